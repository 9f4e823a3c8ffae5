import { mkdirSync, renameSync, statSync, type BigIntStats } from 'node:fs';
import { dirname, join } from 'node:path';
import { PinfsError } from '../format/errors.js';
import { DiskShelf, inOrder, unlinkIfThere } from './disk-shelf.js';
import {
  diskFull,
  ensureFolders,
  errorCode,
  objectFile,
  prepareDirectory,
  unusable,
} from './layout.js';
import { forgetOwner, makeOwner, purgeOwners, type Owner } from './owners.js';
import { charge, Records, stampOf, tick, type Candidate, type Statements } from './records.js';
import { freeBytes, keepReserve, withReserve } from './reserve.js';
import { sweepLater } from './sweep.js';

/** An object that was verified and written to tmp/. */
export interface Prepared {
  readonly key: string;
  readonly temporary: string;
  readonly size: number;
  readonly sha256: Buffer;
}

const fileLimit = 256;
const candidatesAtOnce = 4096;
// What is removed beyond need at once: few transactions, none of them long.
const slack = 4 * 1024 * 1024;
// What the records may take beside the limit; what is more counts in it, up to a quarter: a database
// does not become smaller again.
const recordsFree = 2 * 1024 * 1024;
const leastLog = 1024 * 1024;

/** The writing side of a cache; its reading side is `shelf`. */
export class Disk {
  readonly directory: string;
  readonly shelf: DiskShelf;
  /** Bytes that it may take on the disk. */
  readonly limit: number;
  /** Whether the disk made the limit, because it has no room for the one that was asked for. */
  readonly limitedByDisk: boolean;
  /** Objects that were removed to make room. */
  evicted = 0;
  /** Bytes that it takes, when last looked at. */
  bytes = 0;

  readonly #records: Records;
  readonly #owner: Owner;
  readonly #holds = new Map<string, number>();
  readonly #stopSweep: (() => void) | undefined;
  #candidates: Candidate[] = [];
  #temporaries = 0;
  #closed = false;
  // For which of the databases, which may be begun anew, owner and holds are written.
  #registered: number;

  /**
   * Opens a cache directory for writing, making it if need be. The limit is lowered so that the cache
   * never takes more than half of what it and the free space are together.
   * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL.
   */
  constructor(directory: string, limit: number) {
    prepareDirectory(directory);
    this.directory = directory;
    this.#records = withReserve(directory, () => new Records(directory));
    this.shelf = new DiskShelf(directory, this.#records, fileLimit);
    try {
      const begun = withReserve(directory, () => this.#begin());
      this.#owner = begun.owner;
      this.#registered = this.#records.rebuilt;
      const half = Math.floor((begun.bytes + freeBytes(directory)) / 2);
      this.limit = Math.min(limit, half);
      this.limitedByDisk = half < limit;
      this.bytes = begun.bytes;
      // Where the disk is too full for what is here, it goes when something new comes: until then it
      // harms nobody, and may be all that is left without a network.
      if (begun.bytes > limit) this.commit([]);
      keepReserve(directory);
      if (begun.strays) this.#stopSweep = this.#sweep();
    } catch (thrown) {
      this.#records.close();
      throw unusable(directory, thrown);
    }
  }

  /** Times that the records were damaged and had to be begun anew. */
  get rebuilt(): number {
    return this.#records.rebuilt;
  }

  /** Whether there is a record; whether it is right shows when the object is opened. */
  isRecorded(key: string): boolean {
    return this.#records.read((sql) => sql.get.get(key) !== undefined);
  }

  /** A name for a file in tmp/ that nobody else uses. */
  temporary(): string {
    return join(this.directory, 'tmp', `${this.#owner.id}.${++this.#temporaries}`);
  }

  /** Puts objects on the shelf, for all threads and processes, and keeps the limit. One error or none for each. */
  commit(batch: readonly Prepared[]): (PinfsError | undefined)[] {
    try {
      return this.#writeAnyway((sql) => this.#commitOnce(sql, batch));
    } catch (thrown) {
      const error = unusable(this.directory, thrown);
      this.#undo(batch);
      return batch.map(() => error);
    } finally {
      const { log } = this.#records.sizes();
      if (log > Math.max(leastLog, this.limit / 32)) this.#records.shrink(false);
    }
  }

  /** Makes room when the disk is full. @returns whether anything was removed. */
  evict(bytes: number): boolean {
    const goal = Math.max(bytes, Math.min(slack, Math.floor(this.limit / 8)));
    try {
      return this.#write((sql) => this.#remove(sql, goal, new Set()) > 0);
    } catch (thrown) {
      // There was no room to write that down; the files are gone nevertheless, and found out later.
      if (!isFull(thrown)) throw thrown;
      return true;
    } finally {
      this.#records.shrink(true);
    }
  }

  /** Keeps an object from eviction, here and by other processes; counted. */
  hold(key: string): void {
    const count = this.#holds.get(key) ?? 0;
    this.#holds.set(key, count + 1);
    if (count === 0) this.#writeAnyway((sql) => sql.hold.run(key, this.#owner.id));
  }

  release(key: string): void {
    const count = this.#holds.get(key) ?? 0;
    if (count > 1) this.#holds.set(key, count - 1);
    else if (this.#holds.delete(key)) {
      this.#write((sql) => {
        sql.touchHeld.run(tick(), this.#owner.id);
        sql.release.run(key, this.#owner.id);
      });
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopSweep?.();
    this.shelf.close();
    try {
      this.#records.write((sql) => forgetOwner(sql, this.#owner.id));
    } catch {
      // The lock is gone in a moment, and the next one to open finds that out.
    }
    this.#owner.close();
    this.#records.close();
  }

  #commitOnce(sql: Statements, batch: readonly Prepared[]): (PinfsError | undefined)[] {
    const keys = new Set(batch.map((object) => object.key));
    const need = batch.reduce((sum, object) => sum + charge(object.size), 0);
    const { database, log } = this.#records.sizes();
    const room = this.limit - Math.min(this.limit / 4, Math.max(0, database + log - recordsFree));
    this.#makeRoom(sql, need, room, keys);
    const before = total(sql);
    this.bytes = before;
    const results = batch.map((object) => this.#place(sql, object, room));
    if (this.bytes !== before) sql.grow.run(this.bytes - before);
    return results;
  }

  /** Removes the files of a batch that could not be recorded. */
  #undo(batch: readonly Prepared[]): void {
    for (const { temporary } of batch) unlinkIfThere(temporary);
    try {
      this.#records.tryWrite((sql) => {
        for (const { key } of batch) {
          if (sql.get.get(key) === undefined) unlinkIfThere(objectFile(this.directory, key));
        }
      });
    } catch {
      // Strays: swept one day.
    }
  }

  #begin(): { owner: Owner; bytes: number; strays: boolean } {
    const { directory } = this;
    return this.#records.write((sql) => {
      ensureFolders(directory);
      const dead = purgeOwners(directory, sql, undefined);
      const strays = dead > 0 || sql.totals.get()?.strays === 1;
      if (strays) sql.recount.run(1);
      return { owner: makeOwner(directory, sql), bytes: total(sql), strays };
    });
  }

  /** As `write`, with something removed for it where the disk is full. */
  #writeAnyway<T>(work: (sql: Statements) => T): T {
    try {
      return this.#write(work);
    } catch (thrown) {
      // The records need room as well.
      if (!isFull(thrown) || !this.evict(0)) throw thrown;
      return this.#write(work);
    }
  }

  /** As `write` of the records; a database that was begun anew doesn't know us yet. */
  #write<T>(work: (sql: Statements) => T): T {
    return this.#records.write((sql) => {
      if (this.#registered !== this.#records.rebuilt) {
        sql.addOwner.run(this.#owner.id);
        for (const key of this.#holds.keys()) sql.hold.run(key, this.#owner.id);
        this.#registered = this.#records.rebuilt;
      }
      return work(sql);
    });
  }

  /** Removes the longest unused objects until `need` bytes more fit into `room`, if they can. */
  #makeRoom(sql: Statements, need: number, room: number, spared: ReadonlySet<string>): void {
    const excess = total(sql) + need - room;
    if (excess <= 0) return;
    for (const [id, used] of inOrder(this.shelf.takeUses())) sql.touch.run(used, id);
    const more = Math.min(slack, Math.floor(this.limit / 64 / 4096) * 4096);
    this.#remove(sql, excess + more, spared);
  }

  #remove(sql: Statements, goal: number, spared: ReadonlySet<string>): number {
    let freed = 0;
    let atLastRefill = -1;
    while (freed < goal) {
      const next = this.#candidates.pop();
      if (next === undefined) {
        if (freed === atLastRefill) break;
        atLastRefill = freed;
        purgeOwners(this.directory, sql, this.#owner.id);
        // Only the oldest part: what is new by then is not in the list, and may be older than its end.
        const some = Math.ceil((sql.count.get()?.objects ?? 0) / 8);
        this.#candidates = sql.oldest.all(Math.min(candidatesAtOnce, some)).reverse();
        continue;
      }
      // The list may be old: held or used since then, or gone.
      if (spared.has(next.key) || sql.held.get(next.key) !== undefined) continue;
      if (sql.get.get(next.key)?.used !== next.used) continue;
      sql.remove.run(next.id);
      sql.grow.run(-charge(next.size));
      unlinkIfThere(objectFile(this.directory, next.key));
      this.shelf.forget(next.key);
      freed += charge(next.size);
      this.evicted++;
    }
    return freed;
  }

  #place(sql: Statements, object: Prepared, room: number): PinfsError | undefined {
    const file = objectFile(this.directory, object.key);
    const record = sql.get.get(object.key);
    if (record !== undefined && stampOfFile(file) === record.stamp) {
      // Another process was quicker.
      unlinkIfThere(object.temporary);
      return undefined;
    }
    const more = charge(object.size) - (record === undefined ? 0 : charge(record.size));
    if (this.bytes + more > room) {
      unlinkIfThere(object.temporary);
      return this.#limitReached();
    }
    const placed = moveInto(object.temporary, file);
    sql.insert.run(object.key, object.size, object.sha256, stampOf(placed), tick());
    this.bytes += more;
    return undefined;
  }

  #limitReached(): PinfsError {
    const { directory, limit } = this;
    if (this.limitedByDisk) {
      return diskFull(
        directory,
        `the disk of the cache ${directory} is too full: the cache may take ${limit} bytes of it, and what is in it is in use`,
      );
    }
    return new PinfsError(
      'CACHE_FULL',
      `the cache is at its limit of ${limit} bytes, and what is in it is in use`,
      { advice: 'Raise the limit with --cache-limit SIZE.' },
    );
  }

  #sweep(): () => void {
    return sweepLater(this.directory, this.#records, () => {
      this.bytes = this.#write((sql) => {
        sql.recount.run(0);
        return total(sql);
      });
    });
  }
}

function total(sql: Statements): number {
  return sql.totals.get()?.bytes ?? 0;
}

function isFull(thrown: unknown): boolean {
  return thrown instanceof PinfsError && thrown.code === 'CACHE_FULL';
}

function stampOfFile(file: string): string | undefined {
  const status = statSync(file, { bigint: true, throwIfNoEntry: false });
  return status === undefined ? undefined : stampOf(status);
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
