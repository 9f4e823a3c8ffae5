import { printable } from '../format/bytes.js';
import { asPinfsError, PinfsError } from '../format/errors.js';
import { openDisk, type Disk, type Prepared } from './disk.js';
import { download, sourceOf, type Sources } from './download.js';
import { unlessAlwaysMiss, unlinkIfThere } from './disk-shelf.js';
import { openFailures } from './failures.js';
import { openFlights } from './flights.js';
import { checkSize, describe, largestObject } from './inflate.js';
import { charge } from './records.js';
import type { Store, StoreStatistics } from './store.js';
import { openUnpacker } from './unpacker.js';
import { wantKey, type Want } from './want.js';

export interface StoreOptions extends Sources {
  readonly directory: string;
  /** Bytes that the cache may take on the disk. */
  readonly limit: number;
  /** Milliseconds; for the memory of failures. */
  readonly clock?: (() => number) | undefined;
}

const limits = { atOnce: 16, weight: 128 * 1024 * 1024, ahead: 256 };

/**
 * Opens the store of a cache directory, which is made if it isn't there. The sources stay the caller's.
 * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL.
 */
export function openStore(options: StoreOptions): Store {
  const { directory } = options;
  const disk = openDisk(directory, options.limit);
  const unpacker = openUnpacker();
  const flights = openFlights(limits);
  const failures = openFailures(options.clock ?? Date.now);
  const committer = openCommitter(disk);
  const counters = { misses: 0, stored: 0 };
  const failed: StoreStatistics['failures'] = {};
  let lastFailure: StoreStatistics['lastFailure'];
  let closing: Promise<void> | undefined;

  function fail(key: string, want: Want, thrown: unknown): PinfsError {
    const error = asPinfsError(thrown);
    if (error.code === 'INTERRUPTED') return error;
    failures.remember(key, error);
    failed[error.code] = (failed[error.code] ?? 0) + 1;
    const { code, message } = error;
    const time = new Date().toISOString();
    lastFailure = { code, message, path: printable(want.path), time };
    return error;
  }

  async function fly(key: string, want: Want, signal: AbortSignal): Promise<void> {
    counters.misses++;
    try {
      const source = sourceOf(want, options);
      const prepared = await download(source, want, disk, unpacker, signal);
      await committer.add(prepared);
      counters.stored += prepared.size;
      failures.forget(key);
    } catch (thrown) {
      throw fail(key, want, thrown);
    }
  }

  /** Whether it is here. @throws PinfsError if it can't be what is wanted. */
  function isHere(want: Want): boolean {
    const size = disk.shelf.sizeOf(wantKey(want));
    if (size === undefined) return false;
    checkSize(size, want);
    return true;
  }

  function refuseAtOnce(key: string, want: Want): void {
    const known = failures.recall(key);
    if (known !== undefined) throw known;
    if (want.size.kind === 'exact') checkPromise(want, disk.limit);
  }

  async function fetch(want: Want, signal?: AbortSignal): Promise<void> {
    if (closing !== undefined) throw new PinfsError('INTERRUPTED', 'the cache was closed');
    if (isHere(want)) return;
    const key = flightKey(want);
    refuseAtOnce(key, want);
    await flights.join(key, weightOf(want), (its) => fly(key, want, its), signal);
    // Opened at once: then it can be read even if others need its room in the next moment.
    disk.shelf.sizeOf(wantKey(want));
  }

  function fetchAhead(wants: readonly Want[]): void {
    for (const want of wants) {
      const key = flightKey(want);
      if (failures.recall(key) !== undefined || !mayFit(want, disk.limit)) continue;
      if (disk.isRecorded(wantKey(want))) continue;
      if (!flights.ahead(key, weightOf(want), (its) => fly(key, want, its))) return;
    }
  }

  const statistics: StoreStatistics = {
    get hits() {
      return disk.shelf.hits;
    },
    get misses() {
      return counters.misses;
    },
    get stored() {
      return counters.stored;
    },
    get evicted() {
      return disk.evicted;
    },
    get bytes() {
      return disk.bytes;
    },
    limit: disk.limit,
    failures: failed,
    get lastFailure() {
      return lastFailure;
    },
  };

  return {
    shelf: unlessAlwaysMiss(disk.shelf),
    directory,
    fetch,
    fetchAhead,
    hold: (want) => disk.hold(wantKey(want)),
    release: (want) => disk.release(wantKey(want)),
    statistics,
    close() {
      closing ??= (async () => {
        await flights.close();
        committer.close();
        await unpacker.close();
        disk.close();
      })();
      return closing;
    },
  };
}

/** The same object with another promise, or from another place, is another flight. */
function flightKey(want: Want): string {
  const { external } = want;
  const range = external?.range;
  const place =
    external === undefined ? '' : `${range?.offset ?? 0}+${range?.length ?? 0} ${external.path}`;
  return `${wantKey(want)} ${want.size.kind} ${want.size.bytes} ${place}`;
}

/** Memory for stored and plain bytes; where only a limit is known, what such objects usually need. */
function weightOf(want: Want): number {
  const plain = want.size.kind === 'exact' ? want.size.bytes : Math.min(want.size.bytes, 2 ** 23);
  return 2 * plain;
}

function mayFit(want: Want, limit: number): boolean {
  return want.size.kind === 'limit' || charge(want.size.bytes) <= limit;
}

function checkPromise(want: Want, limit: number): void {
  if (want.size.bytes > largestObject) {
    const text = `${describe(want)} is too large: ${want.size.bytes} bytes, and at most ${largestObject} can be unpacked`;
    throw new PinfsError('OBJECT_TOO_LARGE', text);
  }
  if (mayFit(want, limit)) return;
  throw new PinfsError(
    'CACHE_FULL',
    `${describe(want)} has ${want.size.bytes} bytes, and the whole cache may have ${limit}`,
    { advice: 'Raise the limit with --cache-limit SIZE, or free space on the disk of the cache.' },
  );
}

const mostAtOnce = 64;

/**
 * Records what arrives in one turn of the event loop in one transaction, if it isn't too much: no
 * long work at once, and where the limit is tight whoever waits can open an object before the next come.
 */
function openCommitter(disk: Disk) {
  let batch: { prepared: Prepared; settle: (error: PinfsError | undefined) => void }[] = [];

  function flush(): void {
    let count = 0;
    let room = disk.limit / 4;
    for (const { prepared } of batch) {
      room -= charge(prepared.size);
      if (count > 0 && (room < 0 || count >= mostAtOnce)) break;
      count++;
    }
    const taken = batch.splice(0, count);
    if (batch.length > 0) setImmediate(flush);
    const results = disk.commit(taken.map((each) => each.prepared));
    taken.forEach((each, index) => each.settle(results[index]));
  }

  return {
    add(prepared: Prepared): Promise<void> {
      return new Promise((resolve, reject) => {
        const settle = (error: PinfsError | undefined): void =>
          error === undefined ? resolve() : reject(error);
        if (batch.push({ prepared, settle }) === 1) setImmediate(flush);
      });
    },
    close(): void {
      for (const { prepared, settle } of batch) {
        unlinkIfThere(prepared.temporary);
        settle(new PinfsError('INTERRUPTED', 'the cache was closed'));
      }
      batch = [];
    },
  };
}
