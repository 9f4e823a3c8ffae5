import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  unlinkSync,
  type BigIntStats,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { alwaysMiss } from './always-miss.js';
import { fits } from './inflate.js';
import { errorCode, objectFile } from './layout.js';
import { charge, openRecords, stampOf, tick, type ObjectRecord, type Records } from './records.js';
import type { Shelf } from './shelf.js';
import { wantKey, type Want } from './want.js';

/** A shelf as the store uses it: it tells sizes, and what was used. */
export interface DiskShelf extends Shelf {
  /** Plain size of an object that is here and is what its record says; counts as a use. */
  sizeOf(key: string): number | undefined;
  /** Uses since the last call, by id of the record. */
  takeUses(): Map<number, number>;
  /** Times that an object was here when asked for. */
  readonly hits: number;
}

interface OpenObject {
  readonly key: string;
  readonly id: number;
  readonly fd: number;
  readonly size: number;
  used: number;
  saved: number;
}

const usesKept = 1024;
const usesSavedAfter = 60_000;

/**
 * Opens the reading side of a cache, in any thread. Keeps up to `fileLimit` files open, so that a
 * read of one is a single call. An object that the store of another thread or process has fetched is
 * here as soon as its `fetch` has resolved. `ALWAYS_MISS=1` in the environment: see always-miss.ts.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export function openShelf(directory: string, options: { fileLimit?: number } = {}): Shelf {
  const records = openRecords(directory);
  const shelf = diskShelf(directory, records, options.fileLimit ?? 256);
  const owning: Shelf = {
    ...shelf,
    close() {
      shelf.close();
      records.close();
    },
  };
  return unlessAlwaysMiss(owning);
}

export function unlessAlwaysMiss(shelf: Shelf): Shelf {
  return process.env['ALWAYS_MISS'] === '1' ? alwaysMiss(shelf) : shelf;
}

/** The reading side over records that are open already (and stay open behind it). */
export function diskShelf(directory: string, records: Records, fileLimit: number): DiskShelf {
  let uses = new Map<number, number>();
  let lastSaved = Date.now();
  let hits = 0;
  const files = new LRUCache<string, OpenObject>({
    max: Math.max(2, fileLimit),
    dispose(object) {
      note(object);
      closeSync(object.fd);
    },
  });

  function note(object: OpenObject): void {
    if (object.used > object.saved) uses.set(object.id, object.used);
    object.saved = object.used;
  }

  function takeUses(): Map<number, number> {
    for (const object of files.values()) note(object);
    const taken = uses;
    uses = new Map();
    lastSaved = Date.now();
    return taken;
  }

  function saveUses(): void {
    const taken = takeUses();
    const saved = records.tryWrite((sql) => {
      for (const [id, used] of inOrder(taken)) sql.touch.run(used, id);
      return true;
    });
    // Someone else writes just now: next time.
    if (saved === undefined) for (const [id, used] of taken) if (!uses.has(id)) uses.set(id, used);
  }

  function open(key: string): OpenObject | undefined {
    const record = records.read((sql) => sql.get.get(key));
    if (record === undefined) return undefined;
    const fd = openFile(key);
    if (fd === undefined || !isWhatWasChecked(record, fd)) {
      if (fd !== undefined) closeSync(fd);
      drop(directory, records, key, record);
      return undefined;
    }
    const { id, size, used } = record;
    const object = { key, id, fd, size, used, saved: used };
    files.set(key, object);
    if (uses.size >= usesKept || Date.now() - lastSaved > usesSavedAfter) saveUses();
    return object;
  }

  function openFile(key: string): number | undefined {
    for (;;) {
      try {
        return openSync(objectFile(directory, key), constants.O_RDONLY | constants.O_NOFOLLOW);
      } catch (thrown) {
        const code = errorCode(thrown);
        if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return undefined;
        // Others of this process took the descriptors: give back ours, one by one.
        if (code !== 'EMFILE' || files.pop() === undefined) throw thrown;
      }
    }
  }

  function isWhatWasChecked(record: ObjectRecord, fd: number): boolean {
    const status = fstatSync(fd, { bigint: true });
    if (!status.isFile() || status.size !== BigInt(record.size)) return false;
    const stamp = stampOf(status);
    if (stamp === record.stamp) return true;
    if (!sha256OfFile(fd, status).equals(record.sha256)) return false;
    records.tryWrite((sql) => sql.restamp.run(stamp, record.id, record.sha256));
    return true;
  }

  function lookup(want: Want): OpenObject | undefined {
    const key = wantKey(want);
    const object = files.get(key) ?? open(key);
    if (object === undefined || !fits(object.size, want)) return undefined;
    object.used = tick();
    hits++;
    return object;
  }

  function read(want: Want, position: number, length: number, target: Buffer, offset: number) {
    const object = lookup(want);
    if (object === undefined) return undefined;
    const wanted = Math.max(0, Math.min(length, object.size - position));
    const count = readFully(object.fd, target, offset, wanted, position);
    if (count === wanted) return count;
    // Someone cut the file: it is no longer what was checked.
    files.delete(object.key);
    const record = records.read((sql) => sql.get.get(object.key));
    if (record !== undefined) drop(directory, records, object.key, record);
    return undefined;
  }

  return {
    get hits() {
      return hits;
    },
    takeUses,
    sizeOf(key) {
      const object = files.get(key) ?? open(key);
      if (object !== undefined) object.used = tick();
      return object?.size;
    },
    read,
    path(want) {
      return lookup(want) === undefined ? undefined : objectFile(directory, wantKey(want));
    },
    descriptor: (want) => lookup(want)?.fd,
    has: (want) => lookup(want) !== undefined,
    beginRun: () => undefined,
    close() {
      saveUses();
      files.clear();
    },
  };
}

/** Neighbours by id lie on the same page. */
export function inOrder(uses: ReadonlyMap<number, number>): [number, number][] {
  return [...uses].sort((a, b) => a[0] - b[0]);
}

function readFully(
  fd: number,
  target: Buffer,
  offset: number,
  length: number,
  position: number,
): number {
  let count = 0;
  while (count < length) {
    let step: number;
    try {
      step = readSync(fd, target, offset + count, length - count, position + count);
    } catch (thrown) {
      // The disk can't read it: as good as not there.
      if (errorCode(thrown) === 'EIO') return -1;
      throw thrown;
    }
    if (step === 0) break;
    count += step;
  }
  return count;
}

/** Takes an object out that isn't what its record says, unless someone has mended it meanwhile. */
export function drop(
  directory: string,
  records: Records,
  key: string,
  record: ObjectRecord,
): boolean | undefined {
  return records.tryWrite((sql) => {
    const now = sql.get.get(key);
    if (now?.id !== record.id || now.stamp !== record.stamp) return false;
    sql.remove.run(record.id);
    sql.grow.run(-charge(record.size));
    unlinkIfThere(objectFile(directory, key));
    return true;
  });
}

export function unlinkIfThere(file: string): boolean {
  try {
    unlinkSync(file);
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return false;
    throw thrown;
  }
}

export function sha256OfFile(fd: number, status: BigIntStats): Buffer {
  const hash = createHash('sha256');
  const size = Number(status.size);
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(size, 1024 * 1024)));
  for (let position = 0; position < size;) {
    const count = readFully(fd, buffer, 0, Math.min(buffer.length, size - position), position);
    if (count <= 0) break;
    hash.update(buffer.subarray(0, count));
    position += count;
  }
  return hash.digest();
}
