import type { BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { PinfsError } from '../format/errors.js';
import { removeEntry } from '../files/regular.js';
import { fileShares } from '../machine/file-budget.js';
import { DiskShelf, inOrder, unlinkIfThere } from './disk-shelf.js';
import type { ObjectKey } from './key.js';
import { Eviction, openRoomByEviction } from './eviction.js';
import { DiskFull, limitReached } from './full.js';
import { hasLayout, unusable, writeLayout } from './layout.js';
import { openLower, type Lower } from './lower.js';
import { moveInto, removeObject, stampInPlace } from './object-files.js';
import { forgetOwner, makeOwner, purgeOwners, type Owner } from './owners.js';
import { openPlace, spareDirectory, type Place, type PlaceNames } from './place.js';
import { charge, firstUse, Records, stampOf, tick, type Statements } from './records.js';
import { keepReserve, withReserve } from './reserve.js';
import { freeBytes, slackBytes, type Room } from './room.js';
import { sweepLater } from './sweep.js';

/** An object that was verified and written to tmp/. */
export interface Prepared {
  readonly key: ObjectKey;
  readonly temporary: string;
  readonly size: number;
  readonly sha256: Buffer;
}

/** How a cache is opened for writing. */
export interface DiskOptions {
  /** Share of the free space, and of what the cache has already, that it may take at most. */
  readonly share?: number;
  /** Files that the shelf keeps open. */
  readonly fileLimit?: number;
  /** Milliseconds. */
  readonly clock?: (() => number) | undefined;
}

const defaultShare = 1 / 2;
// What is removed beyond need at once: few transactions, none of them long.
const timeBetweenLooksMs = 5000;
const slack = 4 * 1024 * 1024;
// What the records may take beside the limit; what is more counts in it, up to a quarter: a database
// does not become smaller again.
const recordsFree = 2 * 1024 * 1024;
const leastLog = 1024 * 1024;

/** The writing side of a cache; its reading side is `shelf`. */
export class Disk {
  readonly directory: string;
  readonly shelf: DiskShelf;
  /** Bytes that it takes, when last looked at. */
  bytes = 0;
  isVolatile = false; // Whether what is put here goes before all else when room is needed.
  /** Where it goes on when the directory is lost (place.ts). */
  readonly #spare: string;
  readonly #place: Place;
  readonly #records: Records;
  #owner: Owner;
  #lower: Lower | undefined;
  readonly #holds = new Map<string, number>();
  readonly #timer: NodeJS.Timeout;
  readonly #stopSweep: (() => void) | undefined;
  readonly #eviction: Eviction;
  readonly #room: Room;
  readonly #limitAsked: number;
  readonly #share: number;
  #limit = 0;
  #temporaries = 0;
  #closed = false;
  // For which of the databases, which may be begun anew, owner and holds are written; undefined: for none.
  #registered: number | undefined;

  /**
   * Opens a cache directory for writing, making it if need be. The limit is lowered so that the cache
   * grows to no more than a share of what it and the free space are together.
   * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL.
   */
  constructor(directory: string, limit: number, options: DiskOptions = {}) {
    this.directory = directory;
    this.#limitAsked = limit;
    this.#share = options.share ?? defaultShare;
    this.#spare = spareDirectory();
    this.#place = openPlace(directory, { make: true, names: { spare: this.#spare } });
    try {
      this.#records = withReserve(this.#place.at, () => new Records(this.#place));
    } catch (thrown) {
      this.#place.close();
      throw thrown;
    }
    const fileLimit = options.fileLimit ?? fileShares().objects;
    this.shelf = new DiskShelf(this.#place, this.#records, fileLimit);
    this.#eviction = new Eviction(
      () => this.#place.at,
      this.shelf,
      () => this.#owner.id,
    );
    this.#room = openRoomByEviction(
      this.#eviction,
      this.#records,
      (work) => this.#write(work),
      options.clock ?? Date.now,
    );
    try {
      const begun = withReserve(this.#place.at, () => this.#begin());
      this.#owner = begun.owner;
      this.#registered = this.#records.rebuilt;
      this.#setLimit(begun.bytes);
      if (begun.bytes > limit) this.commit([]);
      keepReserve(this.#place.at);
      if (begun.strays) this.#stopSweep = this.#sweep();
      this.#timer = setInterval(() => this.#stayKnown(), timeBetweenLooksMs).unref();
    } catch (thrown) {
      this.#records.close();
      this.#place.close();
      throw unusable(directory, thrown);
    }
  }

  /**
   * Bytes that it may take on the disk. Where the disk has no room for what was asked for, that is
   * looked at again: more room that appears counts.
   */
  get limit(): number {
    if (this.limitedByDisk) {
      this.#limit = Math.min(this.#limitAsked, Math.max(this.#limit, this.#shareOfDisk()));
    }
    return this.#limit;
  }

  /** Whether the disk made the limit, because it has no room for the one that was asked for. */
  get limitedByDisk(): boolean {
    return this.#limit < this.#limitAsked;
  }

  /** Objects that were removed to make room. */
  get evicted(): number {
    return this.#eviction.count;
  }

  /** Times that the records were damaged and had to be begun anew. */
  get rebuilt(): number {
    return this.#records.rebuilt;
  }

  /** Whether there is a record; whether it is right shows when the object is opened. */
  isRecorded(key: string): boolean {
    return this.#records.read((sql) => sql.get.get(key) !== undefined);
  }

  /** Where other threads find it. */
  get names(): PlaceNames {
    return { at: this.#place.at, spare: this.#spare };
  }

  /** Why what is fetched is not kept; undefined if it is. */
  get lost(): string | undefined {
    return this.#place.lost;
  }

  /** A name for a file in tmp/ that nobody else uses; in a cache that was lost meanwhile, in the next one. */
  temporary(): string {
    if (!this.#records.isCurrent()) this.#write(() => undefined);
    return join(this.#place.at, 'tmp', `${this.#owner.id}.${++this.#temporaries}`);
  }

  /** Whether what was prepared lies in the cache, and not in one that was lost since. */
  isInPlace({ temporary }: Pick<Prepared, 'temporary'>): boolean {
    return temporary.startsWith(`${this.#place.at}/`);
  }

  /** A copy of what a cache that can only be read has, checked; undefined if it has not. */
  fromLower(key: ObjectKey): Prepared | undefined {
    const { lower, at } = this.#place;
    if (lower === undefined) return undefined;
    this.#lower ??= openLower(lower, at);
    const temporary = this.temporary();
    const found = this.#lower.copy(key, temporary);
    return found && { key, temporary, ...found };
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

  /**
   * Makes room on a full disk for an object and its record, by removing what was not used for longest.
   * @param unmeasured what the disk says to be free could not be written.
   * @returns whether there is room now; nothing more is removed where that brings none.
   */
  makeRoom(bytes: number, unmeasured: boolean): boolean {
    if (this.#records.sizes().log > 0) this.#records.shrink(false);
    return this.#room.make(charge(bytes) + (unmeasured ? 0 : slackBytes), unmeasured);
  }

  /** There was no room for an object though it had been made. */
  noRoomAfterAll(): void {
    this.#room.failed();
  }

  /** Keeps an object from eviction, here and by other processes; counted. */
  hold(key: string): void {
    const count = this.#holds.get(key) ?? 0;
    this.#holds.set(key, count + 1);
    if (count > 0) return;
    try {
      this.#writeAnyway((sql) => sql.hold.run(key, this.#owner.id));
    } catch (thrown) {
      if (!(thrown instanceof DiskFull)) throw thrown;
      // With the next thing that can be written.
      this.#registered = undefined;
    }
  }

  release(key: string): void {
    const count = this.#holds.get(key) ?? 0;
    if (count > 1) this.#holds.set(key, count - 1);
    else if (this.#holds.delete(key)) {
      try {
        this.#writeAnyway((sql) => {
          sql.touchHeld.run(tick(), this.#owner.id);
          sql.release.run(key, this.#owner.id);
        });
      } catch (thrown) {
        // It stays held as long as the store is open, at most.
        if (!(thrown instanceof DiskFull)) throw thrown;
      }
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopSweep?.();
    clearInterval(this.#timer);
    this.shelf.close();
    try {
      this.#records.write((sql) => forgetOwner(sql, this.#owner.id));
    } catch {
      // The lock is gone in a moment, and the next one to open finds that out.
    }
    this.#owner.close();
    this.#records.close();
    this.#lower?.close();
    this.#place.close();
    removeEntry(this.#spare);
  }

  #commitOnce(sql: Statements, batch: readonly Prepared[]): (PinfsError | undefined)[] {
    const keys = new Set(batch.map((object) => object.key));
    const need = batch.reduce((sum, object) => sum + charge(object.size), 0);
    const { database, log } = this.#records.sizes();
    const room = this.limit - Math.min(this.limit / 4, Math.max(0, database + log - recordsFree));
    this.#makeRoom(sql, need, room, keys);
    const before = total(sql);
    this.bytes = before;
    const results = batch.map((object) => this.#put(sql, object, room));
    if (this.bytes !== before) sql.grow.run(this.bytes - before);
    return results;
  }

  /** Removes the files of a batch that could not be recorded. */
  #undo(batch: readonly Prepared[]): void {
    for (const { temporary } of batch) unlinkIfThere(temporary);
    try {
      this.#records.tryWrite((sql) => {
        for (const { key } of batch) {
          if (sql.get.get(key) === undefined) removeObject(this.#place.at, key);
        }
      });
    } catch {
      // Strays: swept one day.
    }
  }

  #begin(): { owner: Owner; bytes: number; strays: boolean } {
    return this.#records.write((sql) => {
      const dead = purgeOwners(this.#place.at, sql, undefined);
      const strays = dead > 0 || sql.totals.get()?.strays === 1;
      if (strays) sql.recount.run(1);
      return { owner: makeOwner(this.#place, sql), bytes: total(sql), strays };
    });
  }

  /** As `write`, with something removed for it where the disk is full: the records need room as well. */
  #writeAnyway<T>(work: (sql: Statements) => T): T {
    try {
      return this.#write(work);
    } catch (thrown) {
      if (!(thrown instanceof DiskFull)) throw thrown;
      this.#records.shrink(true);
      if (!this.makeRoom(slackBytes, true)) throw thrown;
      return this.#write(work);
    }
  }

  /** As `write` of the records; a database that was begun anew, maybe in another place, doesn't know us yet. */
  #write<T>(work: (sql: Statements) => T): T {
    let registered = this.#registered;
    const result = this.#records.write((sql) => {
      registered = this.#records.rebuilt;
      const isKnown = registered === this.#registered && this.#owner.isInPlace(this.#place.at);
      if (!isKnown) this.#register(sql);
      if (!hasLayout(this.#place.at)) writeLayout(this.#place.at);
      return work(sql);
    });
    this.#registered = registered;
    return result;
  }

  /** Who only reads would not notice for long that others don't know any more what he holds. */
  #stayKnown(): void {
    try {
      const isKnown = this.#records.isCurrent() && this.#owner.isInPlace(this.#place.at);
      if (!isKnown) this.#write(() => undefined);
    } catch {
      // At the next fetch it is said.
    }
  }

  /** Writes down again that we live, and what we hold. */
  #register(sql: Statements): void {
    if (this.#owner.isInPlace(this.#place.at)) sql.addOwner.run(this.#owner.id);
    else {
      this.#owner.close();
      this.#owner = makeOwner(this.#place, sql, this.#owner.id);
    }
    for (const key of this.#holds.keys()) sql.hold.run(key, this.#owner.id);
    this.#setLimit(total(sql));
  }

  /** What lies here already counts: it harms nobody, and may be all that is left without a network. */
  #setLimit(bytes: number): void {
    this.bytes = bytes;
    this.#limit = Math.min(this.#limitAsked, Math.max(bytes, this.#shareOfDisk()));
  }

  #shareOfDisk(): number {
    return Math.floor((this.bytes + freeBytes(this.#place.at)) * this.#share);
  }

  /** Removes the longest unused objects until `need` bytes more fit into `room`, if they can. */
  #makeRoom(sql: Statements, need: number, room: number, spared: ReadonlySet<string>): void {
    const excess = total(sql) + need - room;
    if (excess <= 0) return;
    for (const [id, used] of inOrder(this.shelf.takeUses())) sql.touch.run(used, id);
    const more = Math.min(slack, Math.floor(this.limit / 64 / 4096) * 4096);
    this.#eviction.remove(sql, excess + more, spared);
  }

  #put(sql: Statements, object: Prepared, room: number): PinfsError | undefined {
    const { at } = this.#place;
    const record = sql.get.get(object.key);
    if (record !== undefined && stampInPlace(at, object.key) === record.stamp) {
      // Another process was quicker.
      unlinkIfThere(object.temporary);
      return undefined;
    }
    const more = charge(object.size) - (record === undefined ? 0 : charge(record.size));
    if (this.bytes + more > room) {
      unlinkIfThere(object.temporary);
      return limitReached(this.directory, this.limit, this.limitedByDisk);
    }
    let placed: BigIntStats;
    try {
      placed = moveInto(at, object.temporary, object.key);
    } catch (thrown) {
      // A fault of this one's place; others of the batch have their own.
      unlinkIfThere(object.temporary);
      return unusable(this.directory, thrown);
    }
    const used = firstUse(object.key, this.isVolatile);
    sql.insert.run(object.key, object.size, object.sha256, stampOf(placed), used);
    this.bytes += more;
    return undefined;
  }

  #sweep(): () => void {
    return sweepLater(this.#place, this.#records, () => {
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
