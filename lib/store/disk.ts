import {
  mkdirSync,
  readdirSync,
  renameSync,
  statfsSync,
  statSync,
  type BigIntStats,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { PinfsError } from '../format/errors.js';
import { diskShelf, inOrder, unlinkIfThere, type DiskShelf } from './disk-shelf.js';
import {
  ensureFolders,
  errorCode,
  keyOfFile,
  objectFile,
  prepareDirectory,
  unusable,
} from './layout.js';
import { makeOwner, purgeOwners, type Owner } from './owners.js';
import {
  charge,
  openRecords,
  stampOf,
  tick,
  type Candidate,
  type Records,
  type Statements,
} from './records.js';

/** An object that was verified and written to tmp/. */
export interface Prepared {
  readonly key: string;
  readonly temporary: string;
  readonly size: number;
  readonly sha256: Buffer;
}

/** The writing side of a cache. */
export interface Disk {
  readonly directory: string;
  readonly shelf: DiskShelf;
  /** Whether there is a record; whether it is right shows when the object is opened. */
  isRecorded(key: string): boolean;
  readonly limit: number;
  readonly bytes: number;
  readonly evicted: number;
  /** Times that the records were damaged and had to be begun anew. */
  readonly rebuilt: number;
  /** A name for a file in tmp/ that nobody else uses. */
  temporary(): string;
  /** Puts objects on the shelf, for all threads and processes, and keeps the limit. One error or none for each. */
  commit(batch: readonly Prepared[]): (PinfsError | undefined)[];
  /** Makes room when the disk is full. @returns whether anything was removed. */
  evict(bytes: number): boolean;
  hold(key: string): void;
  release(key: string): void;
  close(): void;
}

const fileLimit = 256;
const candidatesAtOnce = 4096;
// What is removed beyond need at once: few transactions, none of them long.
const slack = 4 * 1024 * 1024;

/**
 * Opens a cache directory for writing, making it if need be. `limit` is in bytes on the disk; it is
 * lowered so that the cache never takes more than half of what it and free space are together.
 * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL.
 */
export function openDisk(directory: string, askedLimit: number): Disk {
  prepareDirectory(directory);
  const records = openRecords(directory);
  const shelf = diskShelf(directory, records, fileLimit);
  const holds = new Map<string, number>();
  let candidates: Candidate[] = [];
  let evicted = 0;
  let numbers = 0;
  let closed = false;
  let owner: Owner;
  let registered = -1;

  try {
    owner = register();
  } catch (thrown) {
    records.close();
    throw thrown;
  }
  const before = records.read((sql) => sql.totals.get());
  const limit = Math.min(askedLimit, Math.floor((before?.bytes ?? 0) / 2 + free(directory) / 2));
  let bytes = write((sql) => {
    if ((before?.bytes ?? 0) > limit) makeRoom(sql, 0, new Set());
    return sql.totals.get()?.bytes ?? 0;
  });
  if (before?.strays === 1) sweepLater();

  function register(): Owner {
    return records.write((sql) => {
      ensureFolders(directory);
      const dead = purgeOwners(directory, sql, undefined);
      if (dead > 0 || sql.totals.get()?.strays === 1) sql.recount.run(1);
      const made = makeOwner(directory, sql);
      for (const key of holds.keys()) sql.hold.run(key, made.id);
      registered = records.rebuilt;
      return made;
    });
  }

  /** As records.write; a database that was begun anew doesn't know us yet. */
  function write<T>(work: (sql: Statements) => T): T {
    return records.write((sql) => {
      if (registered !== records.rebuilt) {
        sql.addOwner.run(owner.id);
        for (const key of holds.keys()) sql.hold.run(key, owner.id);
        registered = records.rebuilt;
      }
      return work(sql);
    });
  }

  /** Removes the longest unused objects until `need` bytes fit. @returns whether they do. */
  function makeRoom(sql: Statements, need: number, spared: ReadonlySet<string>): boolean {
    const total = sql.totals.get()?.bytes ?? 0;
    if (total + need <= limit) return true;
    for (const [id, used] of inOrder(shelf.takeUses())) sql.touch.run(used, id);
    const goal = total + need - limit + Math.min(slack, Math.floor(limit / 64 / 4096) * 4096);
    const freed = remove(sql, goal, spared);
    return total + need - freed <= limit;
  }

  function remove(sql: Statements, goal: number, spared: ReadonlySet<string>): number {
    let freed = 0;
    let atLastRefill = -1;
    while (freed < goal) {
      const next = candidates.pop();
      if (next === undefined) {
        if (freed === atLastRefill) break;
        atLastRefill = freed;
        purgeOwners(directory, sql, owner.id);
        candidates = sql.oldest.all(candidatesAtOnce).reverse();
        continue;
      }
      if (spared.has(next.key) || sql.held.get(next.key) !== undefined) continue;
      if (sql.get.get(next.key)?.used !== next.used) continue;
      sql.remove.run(next.id);
      sql.grow.run(-charge(next.size));
      unlinkIfThere(objectFile(directory, next.key));
      freed += charge(next.size);
      evicted++;
    }
    return freed;
  }

  function commit(batch: readonly Prepared[]): (PinfsError | undefined)[] {
    try {
      return write((sql) => {
        const keys = new Set(batch.map((object) => object.key));
        const need = batch.reduce((sum, object) => sum + charge(object.size), 0);
        makeRoom(sql, need, keys);
        const results = batch.map((object) => place(sql, object));
        bytes = sql.totals.get()?.bytes ?? bytes;
        return results;
      });
    } catch (thrown) {
      for (const object of batch) unlinkIfThere(object.temporary);
      const error = unusable(directory, thrown);
      return batch.map(() => error);
    }
  }

  function place(sql: Statements, object: Prepared): PinfsError | undefined {
    const file = objectFile(directory, object.key);
    const record = sql.get.get(object.key);
    const status = statSync(file, { bigint: true, throwIfNoEntry: false });
    if (record !== undefined && status !== undefined && stampOf(status) === record.stamp) {
      // Another process was quicker.
      unlinkIfThere(object.temporary);
      return undefined;
    }
    const more = charge(object.size) - (record === undefined ? 0 : charge(record.size));
    if ((sql.totals.get()?.bytes ?? 0) + more > limit) {
      unlinkIfThere(object.temporary);
      return limitReached(limit);
    }
    const placed = moveInto(object.temporary, file);
    sql.insert.run(object.key, object.size, object.sha256, stampOf(placed), tick());
    sql.grow.run(more);
    return undefined;
  }

  /** Counts anew and removes objects without record, left by a process that died; a folder at a time. */
  function sweepLater(): void {
    const folders = listFolder(join(directory, 'objects'));
    const step = (): void => {
      if (closed) return;
      try {
        const folder = folders.pop();
        if (folder !== undefined) sweepFolder(directory, records, folder);
        else write((sql) => (bytes = finishSweep(sql)));
        if (folder !== undefined) setImmediate(step).unref();
      } catch {
        // It stays to be done: the mark is in the records.
      }
    };
    setImmediate(step).unref();
  }

  return {
    directory,
    shelf,
    isRecorded: (key) => records.read((sql) => sql.get.get(key) !== undefined),
    limit,
    get bytes() {
      return bytes;
    },
    get evicted() {
      return evicted;
    },
    get rebuilt() {
      return records.rebuilt;
    },
    temporary: () => join(directory, 'tmp', `${owner.id}.${++numbers}`),
    commit,
    evict: (need) => write((sql) => remove(sql, Math.max(need, slack), new Set()) > 0),
    hold(key) {
      const count = holds.get(key) ?? 0;
      holds.set(key, count + 1);
      if (count === 0) write((sql) => sql.hold.run(key, owner.id));
    },
    release(key) {
      const count = holds.get(key) ?? 0;
      if (count > 1) holds.set(key, count - 1);
      else if (holds.delete(key)) write((sql) => sql.release.run(key, owner.id));
    },
    close() {
      if (closed) return;
      closed = true;
      shelf.close();
      try {
        records.write((sql) => {
          sql.releaseAll.run(owner.id);
          sql.removeOwner.run(owner.id);
        });
      } catch {
        // The lock is gone in a moment, and the next one to open finds that out.
      }
      owner.close();
      records.close();
    },
  };
}

export function limitReached(limit: number): PinfsError {
  return new PinfsError(
    'CACHE_FULL',
    `the cache is at its limit of ${limit} bytes, and what is in it is in use`,
    { advice: 'Raise the limit with --cache-limit SIZE.' },
  );
}

function finishSweep(sql: Statements): number {
  sql.recount.run(0);
  return sql.totals.get()?.bytes ?? 0;
}

/** Removes the objects of a folder that have no record. @returns their number. */
export function sweepFolder(directory: string, records: Records, folder: string): number {
  const suspects = listFolder(join(directory, 'objects', folder)).filter((name) =>
    records.read((sql) => sql.get.get(keyOfFile(folder, name)) === undefined),
  );
  if (suspects.length === 0) return 0;
  // Under the lock nobody is between renaming and recording.
  return records.write((sql) => {
    const strays = suspects.filter((name) => sql.get.get(keyOfFile(folder, name)) === undefined);
    for (const name of strays) unlinkIfThere(join(directory, 'objects', folder, name));
    return strays.length;
  });
}

export function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return [];
    throw thrown;
  }
}

function moveInto(temporary: string, file: string): BigIntStats {
  try {
    renameSync(temporary, file);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    // Where the transaction is run a second time, the file lies there already.
    if (statSync(temporary, { throwIfNoEntry: false }) !== undefined) renameSync(temporary, file);
  }
  return statSync(file, { bigint: true });
}

function free(directory: string): number {
  const status = statfsSync(directory);
  return status.bavail * status.bsize;
}
