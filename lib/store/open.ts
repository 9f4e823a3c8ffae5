import { resolve } from 'node:path';
import { printable } from '../format/bytes.js';
import { asPinfsError, PinfsError } from '../format/errors.js';
import { beginWait, defaultPatience, type Patience } from '../source/patience.js';
import { Disk, type Prepared } from './disk.js';
import { download, sourceOf, type Sources } from './download.js';
import { unlessAlwaysMiss, unlinkIfThere } from './disk-shelf.js';
import { openFailures, type Failures } from './failures.js';
import { Flights, type FlightLimits, type Leg } from './flights.js';
import { checkSize, describe, largestObject } from './inflate.js';
import { diskFull } from './layout.js';
import type { PlaceNames } from './place.js';
import { charge } from './records.js';
import type { Shelf } from './shelf.js';
import type { Store, StoreStatistics, Waiting } from './store.js';
import { Unpacker } from './unpacker.js';
import { flightKey, wantKey, type Want } from './want.js';

export interface StoreOptions extends Sources {
  readonly directory: string;
  /** Bytes that the cache may take on the disk. */
  readonly limit: number;
  /** Of whoever waits and has none of his own. */
  readonly patience?: Patience | undefined;
  /** Milliseconds; for the memory of failures. */
  readonly clock?: (() => number) | undefined;
}

const limits: FlightLimits = {
  atOnce: 16,
  lightPlaces: 4,
  lightWeight: 2 * 1024 * 1024,
  weight: 128 * 1024 * 1024,
  ahead: 256,
  aheadAtOnce: 4,
};

/**
 * Opens the store of a cache directory, which is made if it isn't there. The sources stay the caller's.
 * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL.
 */
export function openStore(options: StoreOptions): Store {
  return new DiskStore(options);
}

class DiskStore implements Store {
  readonly shelf: Shelf;
  readonly directory: string;
  readonly statistics: StoreStatistics;

  readonly #sources: Sources;
  readonly #patience: Patience;
  readonly #disk: Disk;
  readonly #unpacker = new Unpacker();
  readonly #flights = new Flights(limits);
  readonly #failures: Failures;
  readonly #committer: Committer;
  #closing: Promise<void> | undefined;

  constructor(options: StoreOptions) {
    this.directory = resolve(options.directory);
    this.#sources = options;
    this.#patience = options.patience ?? defaultPatience;
    this.#disk = new Disk(this.directory, options.limit);
    this.#failures = openFailures(options.clock ?? Date.now);
    this.#committer = openCommitter(this.#disk);
    this.shelf = unlessAlwaysMiss(this.#disk.shelf);
    this.statistics = openStatistics(this.#disk);
  }

  async fetch(want: Want, signal?: AbortSignal, how: Waiting = {}): Promise<void> {
    if (this.#closing !== undefined) throw new PinfsError('INTERRUPTED', 'the cache was closed');
    if (this.#isHere(want)) return;
    const key = flightKey(want);
    const known = this.#failures.recall(key);
    if (known !== undefined) throw known;
    checkPromise(want, this.#disk);
    const wait = how.wait ?? beginWait(this.#patience, performance.now(), want.size.bytes);
    await this.#flights.join(key, weightOf(want), (leg) => this.#fly(key, want, leg), {
      wait,
      late: () => tooLate(want, wait.patience),
      signal,
      persistent: how.brief !== true,
      heard: how.heard,
    });
    // Opened at once: then it can be read even if others need its room in the next moment. Who reads in another
    // thread opens it there; if it went meanwhile, it is asked for again.
    if (how.readElsewhere === true) this.#disk.shelf.forget(wantKey(want));
    else this.#disk.shelf.reopen(wantKey(want));
  }

  fetchAhead(wants: readonly Want[]): void {
    if (this.#closing !== undefined || this.#sources.offline === true) return;
    for (const want of wants) {
      const key = flightKey(want);
      const hopeless = this.#failures.recall(key) !== undefined || !mayFit(want, this.#disk.limit);
      if (hopeless || this.#disk.isRecorded(wantKey(want))) continue;
      const begun = this.#flights.ahead(key, weightOf(want), (leg) => this.#fly(key, want, leg));
      if (!begun) return;
    }
  }

  get names(): PlaceNames {
    return this.#disk.names;
  }

  hold(want: Want): void {
    this.#disk.hold(wantKey(want));
  }

  release(want: Want): void {
    this.#disk.release(wantKey(want));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#flights.close();
    this.#committer.close();
    await this.#unpacker.close();
    this.#disk.close();
  }

  async #fly(key: string, want: Want, leg: Leg): Promise<void> {
    this.statistics.misses++;
    try {
      this.statistics.stored += await this.#bring(want, leg);
      this.#failures.forget(key);
    } catch (thrown) {
      const error = asPinfsError(thrown);
      this.#failures.remember(key, error);
      countFailure(this.statistics, want, error);
      throw error;
    }
  }

  /** Fetches, verifies and stores it; once more where the cache was lost meanwhile. @returns its plain size. */
  async #bring(want: Want, leg: Leg): Promise<number> {
    const source = sourceOf(want, this.#sources);
    for (let tries = 1; ; tries++) {
      const prepared = await download(source, want, this.#disk, this.#unpacker, leg);
      try {
        await this.#committer.add(prepared);
        return prepared.size;
      } catch (thrown) {
        if (tries >= 2 || this.#disk.isInPlace(prepared)) throw thrown;
      }
    }
  }

  /** Whether it is here. @throws PinfsError if what is here can't be what is wanted. */
  #isHere(want: Want): boolean {
    const size = this.#disk.shelf.sizeOnDisk(wantKey(want));
    if (size === undefined) return false;
    checkSize(size, want);
    return true;
  }
}

function tooLate(want: Want, { deadline }: Patience): PinfsError {
  const text = `${describe(want)} did not come: nothing, or next to nothing, for ${deadline / 1000} s`;
  return new PinfsError('SOURCE_TIMEOUT', text, { passing: true });
}

function openStatistics(disk: Disk): StoreStatistics {
  return {
    get hits() {
      return disk.shelf.hits;
    },
    misses: 0,
    stored: 0,
    get evicted() {
      return disk.evicted;
    },
    get bytes() {
      return disk.bytes;
    },
    get limit() {
      return disk.limit;
    },
    get rebuilt() {
      return disk.rebuilt;
    },
    get lost() {
      return disk.lost;
    },
    failures: {},
    lastFailure: undefined,
  };
}

function countFailure(statistics: StoreStatistics, want: Want, error: PinfsError): void {
  const { code, message } = error;
  if (code === 'INTERRUPTED') return;
  statistics.failures[code] = (statistics.failures[code] ?? 0) + 1;
  const time = new Date().toISOString();
  statistics.lastFailure = { code, message, path: printable(want.path), time };
}

/** Memory for stored and plain bytes; where only a limit is known, what such objects usually need. */
function weightOf(want: Want): number {
  const plain = want.size.kind === 'exact' ? want.size.bytes : Math.min(want.size.bytes, 2 ** 23);
  return 2 * plain;
}

function mayFit(want: Want, limit: number): boolean {
  return want.size.kind === 'limit' || charge(want.size.bytes) <= limit;
}

/** Refuses before anything is downloaded. */
function checkPromise(want: Want, disk: Disk): void {
  if (want.size.kind === 'limit') return;
  if (want.size.bytes > largestObject) {
    const text = `${describe(want)} is too large: ${want.size.bytes} bytes, and at most ${largestObject} can be unpacked`;
    throw new PinfsError('OBJECT_TOO_LARGE', text);
  }
  const { directory, limit } = disk;
  if (mayFit(want, limit)) return;
  const text = `${describe(want)} has ${want.size.bytes} bytes, and the whole cache may have ${limit}`;
  if (disk.limitedByDisk) throw diskFull(directory, `${text}: its disk is too full (${directory})`);
  throw new PinfsError('CACHE_FULL', text, { advice: 'Raise the limit with --cache-limit SIZE.' });
}

const mostAtOnce = 64;

interface Committer {
  add(prepared: Prepared): Promise<void>;
  close(): void;
}

/**
 * Records what arrives in one turn of the event loop in one transaction, if it isn't too much: no
 * long work at once, and where the limit is tight whoever waits can open an object before the next come.
 */
function openCommitter(disk: Disk): Committer {
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
    if (taken.length === 0) return;
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
