import { join } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import {
  charge,
  evictionGoal,
  roomForObjects,
  segmentLimit,
  smallObjectBytesMax,
} from '../../eviction/amounts.js';
import { fileShares } from '../../machine/file-budget.js';
import { chargeOf, discard, putAll, totalOf, type Prepared } from './commit.js';
import { openSegmentStore, type SegmentStore } from './compact.js';
import { DiskShelf } from './disk-shelf.js';
import { Eviction, openRoomByEviction } from './eviction.js';
import { DiskFull } from './full.js';
import { hasLayout, cacheUnusable, writeLayout } from './layout.js';
import { openLimit, type Limit } from './limit.js';
import { openLogFlush } from './log-flush.js';
import { removeObject } from './object-files.js';
import { inOrder } from './open-objects.js';
import { forgetOwner, livingOwners, makeOwner, purgeOwners, type Owner } from './owners.js';
import { openPlace, type Place } from './place.js';
import { openPresence, type Presence } from './presence.js';
import { Records } from './records.js';
import type { Statements } from './statements.js';
import { keepReserve, withReserve } from './reserve.js';
import { freeBytes, slackBytes, type Room } from './room.js';
import { openSegmentWriter } from './segments.js';
import { sweepLater } from './sweep.js';

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
const lookIntervalMs = 5000;
// Where a hundred processes begin at once, each waits for the write lock of all others (ms).
const beginMsMax = 60_000;
const logBytesMin = 1024 * 1024;

/** The writing side of a cache; its reading side is `shelf`. */
export class Disk {
  readonly directory: string;
  readonly shelf: DiskShelf;
  /** Bytes that it takes, when last looked at. */
  bytes = 0;
  isVolatile = false; // Whether what is put here goes before all else when room is needed.
  readonly #place: Place;
  readonly #records: Records;
  readonly #presence: Presence;
  readonly #timer: NodeJS.Timeout;
  readonly #stopSweep: (() => void) | undefined;
  readonly #eviction: Eviction;
  readonly #room: Room;
  readonly #limit: Limit;
  readonly #segments: SegmentStore;
  readonly #logFlush = openLogFlush(() => this.#place.at);
  #temporaries = 0;
  #closed = false;

  /**
   * Opens a cache directory for writing, making it if need be.
   * @param limit bytes; lowered where the disk has less room (limit.ts).
   * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL.
   */
  constructor(directory: string, limit: number, options: DiskOptions = {}) {
    this.directory = directory;
    this.#place = openPlace(directory, { make: true });
    try {
      this.#records = withReserve(this.#place.at, () => new Records(this.#place));
    } catch (thrown) {
      this.#place.close();
      throw thrown;
    }
    const fileLimit = options.fileLimit ?? fileShares().objects;
    this.shelf = new DiskShelf(this.#place, this.#records, fileLimit);
    this.#limit = openLimit(limit, options.share ?? defaultShare, {
      taken: () => this.bytes,
      free: () => freeBytes(this.#place.at),
    });
    this.#segments = openSegmentStore(
      openSegmentWriter(),
      () => this.#place.at,
      () => segmentLimit(this.limit),
    );
    this.#eviction = new Eviction(
      () => this.#place.at,
      this.shelf,
      (sql) => this.#segments.compact(sql),
      () => this.#presence.id,
    );
    this.#room = openRoomByEviction(
      this.#eviction,
      this.#records,
      (work) => this.#write(work),
      options.clock ?? Date.now,
    );
    let known: Pick<Owner, 'close'> | undefined;
    try {
      const begun = withReserve(this.#place.at, () => this.#begin());
      known = begun.owner;
      known = this.#presence = openPresence(this.#place, this.#records, begun.owner, (sql) =>
        this.#setLimit(totalOf(sql)),
      );
      this.#setLimit(begun.bytes);
      if (begun.bytes > limit) this.commit([]);
      keepReserve(this.#place.at);
      if (begun.strays) this.#stopSweep = this.#sweep();
      this.#timer = setInterval(() => this.#stayKnown(), lookIntervalMs).unref();
    } catch (thrown) {
      known?.close();
      this.shelf.close();
      this.#records.close();
      this.#place.close();
      throw cacheUnusable(directory, thrown);
    }
  }

  /** Bytes that it may take on the disk. */
  get limit(): number {
    return this.#limit.bytes;
  }

  /** Whether the disk made the limit, because it has no room for the one that was asked for. */
  get limitedByDisk(): boolean {
    return this.#limit.byDisk;
  }

  /** Objects that were removed to make room. */
  get evicted(): number {
    return this.#eviction.count;
  }

  /** Keys of them since the last call, for threads that may have them open. */
  takeEvicted(): readonly string[] {
    return this.#eviction.takeGone();
  }

  /** Times that the records were damaged and had to be begun anew. */
  get rebuilt(): number {
    return this.#records.rebuilt;
  }

  /** Whether there is a record where others see it; whether it is right shows when the object is opened. */
  isRecorded(key: string): boolean {
    return (
      this.#records.isCurrent() &&
      this.#records.tryRead((sql) => sql.get.get(key) !== undefined) === true
    );
  }

  /** Those of many keys for which that is so. */
  recordedOf(keys: readonly string[]): ReadonlySet<string> {
    if (keys.length === 0 || !this.#records.isCurrent()) return new Set();
    return new Set(this.#records.tryRead((sql) => sql.recorded.all(JSON.stringify(keys))));
  }

  /** Leads other threads of this process to the directory that is held now. */
  get at(): string {
    return this.#place.at;
  }

  /** A name for a file in tmp/ that nobody else uses; in a cache that was lost meanwhile, in the next one. @throws PinfsError CACHE_UNUSABLE */
  temporary(): string {
    this.#records.lookAgain();
    if (!this.#records.isCurrent()) this.#write(() => undefined);
    return join(this.#place.at, 'tmp', `${this.#presence.id}.${++this.#temporaries}`);
  }

  /** Whether what was prepared lies in the cache, and not in one that was lost since. */
  isInPlace(temporary: string): boolean {
    return temporary.startsWith(`${this.#place.at}/`);
  }

  /** Up to which size objects are put beside others, and need no file in tmp/ (bytes); below 0: none. */
  get smallBytesMax(): number {
    return segmentLimit(this.limit) === 0 ? -1 : smallObjectBytesMax;
  }

  /** Puts objects on the shelf, for all threads and processes, and keeps the limit. One error or none for each: PinfsError, or NoRoom. */
  commit(batch: readonly Prepared[]): (Error | undefined)[] {
    try {
      const results = this.#writeAnyway((sql) => this.#commitOnce(sql, batch));
      this.#records.lookedAt();
      return results;
    } catch (thrown) {
      const error = cacheUnusable(this.directory, thrown);
      this.#undo(batch);
      return batch.map(() => error);
    } finally {
      this.#logFlush.recorded(batch.length);
      if (this.#records.logSize() > Math.max(logBytesMin, this.limit / 32))
        this.#records.shrink(false);
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
    // Where that can't be written down just now, it is with the next thing that can.
    this.#unlessOutOfUse(() => this.#presence.hold(key, (work) => this.#writeAnyway(work)));
  }

  release(key: string): void {
    // Else it stays held as long as the store is open, at most.
    this.#unlessOutOfUse(() => this.#presence.release(key, (work) => this.#writeAnyway(work)));
  }

  /** Keeps nothing open to write, and writes no more: what is open is read on, all else is as in a cache that was lost. */
  letGo(reason: string): void {
    if (this.#closed) return;
    this.#stopSweep?.();
    clearInterval(this.#timer);
    this.#leave();
    this.#segments.close();
    this.#place.giveUp(reason);
    this.#records.letGo();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopSweep?.();
    clearInterval(this.#timer);
    this.shelf.close();
    this.#leave();
    this.#segments.close();
    this.#records.close();
    this.#place.close();
  }

  /** Others need not respect what is held here any more. */
  #leave(): void {
    try {
      this.#records.write((sql) => forgetOwner(sql, this.#presence.id));
    } catch {
      // The lock is gone in a moment, and the next one to open finds that out.
    }
    this.#presence.close();
  }

  #commitOnce(sql: Statements, batch: readonly Prepared[]): (Error | undefined)[] {
    const need = batch.reduce((sum, object) => sum + chargeOf(object), 0);
    const room = this.#roomFor(totalOf(sql) + need);
    this.#makeRoom(sql, need, room, batch);
    const to = {
      place: this.#place,
      segments: this.#segments,
      limit: this.#limit,
      room,
      isVolatile: this.isVolatile,
    };
    const { results, bytes } = putAll(sql, batch, to);
    this.bytes = bytes;
    return results;
  }

  /** Removes the files of a batch that could not be recorded. */
  #undo(batch: readonly Prepared[]): void {
    for (const object of batch) discard(object);
    const files = batch.filter((object) => 'temporary' in object);
    try {
      this.#records.tryWrite((sql) => {
        for (const { key } of files) {
          if (sql.get.get(key) === undefined) removeObject(this.#place.at, key);
        }
      });
    } catch {
      // Strays: swept one day.
    }
  }

  #begin(): { owner: Owner; bytes: number; strays: boolean } {
    let owner: Owner | undefined;
    const living = livingOwners(this.#place.at);
    try {
      return this.#records.writePatiently(beginMsMax, (sql) => {
        owner?.close();
        const dead = purgeOwners(this.#place.at, sql, undefined, living);
        const strays = dead > 0 || sql.totals.get()?.strays === 1;
        if (strays) sql.recount.run(1);
        owner = makeOwner(this.#place, sql);
        return { owner, bytes: totalOf(sql), strays };
      });
    } catch (thrown) {
      owner?.close();
      throw thrown;
    }
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

  /** One transaction in which others know us, in a directory that is whole. */
  #write<T>(work: (sql: Statements) => T): T {
    return this.#presence.write((sql) => {
      if (!hasLayout(this.#place.path)) writeLayout(this.#place.at);
      return work(sql);
    });
  }

  /** A cache that is full or lost just now does not end what needs no room in it: reading goes on (spare.ts). */
  #unlessOutOfUse(work: () => void): void {
    try {
      work();
    } catch (thrown) {
      const isOutOfUse = thrown instanceof PinfsError && thrown.code === 'CACHE_UNUSABLE';
      if (!isOutOfUse && !(thrown instanceof DiskFull)) throw thrown;
    }
  }

  /** Who only reads would not notice for long that others don't know any more what he holds. */
  #stayKnown(): void {
    try {
      if (!this.#presence.isKnown()) this.#write(() => undefined);
    } catch {
      // At the next fetch it is said.
    }
  }

  #setLimit(bytes: number): void {
    this.bytes = bytes;
    this.#limit.begin();
  }

  /** Bytes that objects may take, or, where they take fewer anyway, at least. */
  #roomFor(bytes: number): number {
    const { limit } = this;
    const atLeast = roomForObjects(limit, Infinity);
    if (bytes <= atLeast) return atLeast;
    const { database, log } = this.#records.sizes();
    return roomForObjects(limit, database + log);
  }

  /** Removes the longest unused objects until `need` bytes more fit into `room`, if they can. */
  #makeRoom(sql: Statements, need: number, room: number, batch: readonly Prepared[]): void {
    const excess = totalOf(sql) + need - room;
    if (excess <= 0) return;
    const spared = new Set(batch.map((object) => object.key));
    for (const [id, used] of inOrder(this.shelf.takeUses())) sql.touch.run(used, id);
    this.#eviction.remove(sql, evictionGoal(excess, this.limit), spared);
  }

  #sweep(): () => void {
    return sweepLater(this.#place, this.#records, () => {
      this.bytes = this.#write((sql) => {
        sql.recount.run(0);
        return totalOf(sql);
      });
    });
  }
}
