import { closeSync, fstatSync, unlinkSync } from 'node:fs';
import { resolve } from 'node:path';
import { LRUCache } from 'lru-cache';
import { alwaysMiss } from './always-miss.js';
import { DiskFull } from './full.js';
import { fits } from './inflate.js';
import { fileShares, givesBackFiles, withFiles } from '../machine/file-budget.js';
import type { OpenFile } from '../files/regular.js';
import type { ObjectKey } from './key.js';
import { errorCode, objectFile } from './layout.js';
import { openObject, removeObject } from './object-files.js';
import { openPlace, type Place, type PlaceNames } from './place.js';
import { readFully, sha256OfFile } from './read-fully.js';
import { charge, Records, stampOf, tick, type ObjectRecord } from './records.js';
import { freeBytes } from './room.js';
import type { Shelf } from './shelf.js';
import { findSpareDirectory } from './spare-directory.js';
import { emptyShelf, withSpare } from './two-shelves.js';
import { wantKey, type Want } from './want.js';

interface OpenObject {
  readonly key: ObjectKey;
  readonly id: number;
  readonly fd: number;
  readonly size: number;
  readonly sha256: Buffer;
  /** By what it is known as the file that was checked, and when (µs, as `tick`) that was looked at. */
  stamp: string;
  looked: number;
  used: number;
  saved: number;
}

// A file that is open takes room even when it was evicted: large ones count for as many as they have MiB.
const weightUnit = 1024 * 1024;
// After so many openings, and not before so long (ms), those that others evicted are looked for and let go.
const opensBetweenLooks = 64;
const timeBetweenLooks = 500;
// A file that is open may be changed in place: when it is read it is looked at again, not before so long (µs).
const timeBetweenChecks = 1_000_000;
// Where the disk has less than this, also before something is fetched (bytes, and ms).
const scarceBytes = 64 * 1024 * 1024;
const timeBetweenMisses = 20;
const usesKept = 1024;
const missedKept = 4096;
const usesSavedAfter = 60_000;

/**
 * Opens the reading side of a cache, in any thread. Keeps up to `fileLimit` files open, so that a
 * read of one is a single call. An object that the store of another thread or process has fetched is
 * here as soon as its `fetch` has resolved. `ALWAYS_MISS=1` in the environment: see always-miss.ts.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export function openShelf(
  directory: string,
  options: { fileLimit?: number; names?: PlaceNames | undefined } = {},
): Shelf {
  const absolute = resolve(directory);
  const fileLimit = options.fileLimit ?? fileShares().objects;
  const first = openUnlessFull(absolute, fileLimit, options.names);
  let spare: DiskShelf | undefined;
  return unlessAlwaysMiss(
    withSpare(first, () => (spare ??= openSpareShelf(absolute, Math.ceil(fileLimit / 4)))),
  );
}

function openUnlessFull(
  directory: string,
  fileLimit: number,
  names: PlaceNames | undefined,
): Shelf {
  try {
    return openDiskShelf(directory, fileLimit, names);
  } catch (thrown) {
    if (thrown instanceof DiskFull) return emptyShelf;
    throw thrown;
  }
}

/** Where the store of this process has what it could not put into the cache. */
function openSpareShelf(cache: string, fileLimit: number): DiskShelf | undefined {
  const directory = findSpareDirectory(cache);
  if (directory === undefined) return undefined;
  try {
    return openDiskShelf(directory, fileLimit);
  } catch {
    // It is being made, or removed.
    return undefined;
  }
}

function openDiskShelf(directory: string, fileLimit: number, names?: PlaceNames): DiskShelf {
  const place = openPlace(directory, { make: false, names });
  let records: Records;
  try {
    records = new Records(place);
  } catch (thrown) {
    place.close();
    throw thrown;
  }
  const close = (): void => {
    records.close();
    place.close();
  };
  return new DiskShelf(place, records, fileLimit, close);
}

export function unlessAlwaysMiss(shelf: Shelf): Shelf {
  return process.env['ALWAYS_MISS'] === '1' ? alwaysMiss(shelf) : shelf;
}

/** The reading side over records that are open already. */
export class DiskShelf implements Shelf {
  /** Times that an object was here when asked for. */
  hits = 0;

  readonly #place: Place;
  readonly #records: Records;
  readonly #files: LRUCache<string, OpenObject>;
  readonly #closed: () => void;
  readonly #forgetGiver: () => void;
  // Times of use by id of the record, not yet saved.
  #uses = new Map<number, number>();
  #lastSaved = Date.now();
  // What was lacking: the run that finds it after the fetch is the same lookup, which was a miss.
  readonly #missed = new Set<string>();
  #opens = 0;
  #lastLook = 0;

  constructor(
    place: Place,
    records: Records,
    fileLimit: number,
    closed: () => void = () => undefined,
  ) {
    this.#place = place;
    this.#records = records;
    this.#closed = closed;
    const most = Math.max(2, fileLimit);
    const heaviest = Math.min(64, Math.floor(most / 2));
    this.#files = new LRUCache({
      max: most,
      maxSize: most,
      sizeCalculation: ({ size }) => Math.min(heaviest, 1 + Math.floor(size / weightUnit)),
      dispose: (object) => {
        this.#note(object);
        closeSync(object.fd);
      },
    });
    this.#forgetGiver = givesBackFiles(() => this.#files.pop() !== undefined);
  }

  read(
    want: Want,
    position: number,
    length: number,
    target: Buffer,
    targetOffset: number,
  ): number | undefined {
    const object = this.#lookup(want);
    if (object === undefined) return undefined;
    const wanted = Math.max(0, Math.min(length, object.size - position));
    const count = readFully(object.fd, target, targetOffset, wanted, position);
    if (count === wanted) return count;
    // Someone cut the file: it is no longer what was checked.
    this.#files.delete(object.key);
    const record = this.#records.read((sql) => sql.get.get(object.key));
    if (record !== undefined) drop(this.#place.at, this.#records, object.key, record);
    return undefined;
  }

  path(want: Want): string | undefined {
    // SQLite takes a path without links, which may lead elsewhere where the directory is in others' reach.
    this.#records.follow();
    const object = this.#lookup(want);
    return object === undefined ? undefined : objectFile(this.#place.at, object.key);
  }

  stillThere(): boolean {
    return this.#place.problem() === undefined;
  }

  descriptor(want: Want): number | undefined {
    return this.#lookup(want)?.fd;
  }

  has(want: Want): boolean {
    return this.#lookup(want) !== undefined;
  }

  prepare(want: Want): void {
    const key = wantKey(want);
    if (!this.#files.has(key)) this.#open(key);
  }

  beginRun(): void {
    // Nothing to do: only a shelf that lies keeps account of runs.
  }

  close(): void {
    this.#forgetGiver();
    this.#saveUses();
    this.#files.clear();
    this.#closed();
  }

  /**
   * Plain size of an object that is here for everyone, not only for us, who may have a removed one
   * still open; counts as a use.
   */
  sizeOnDisk(key: ObjectKey): number | undefined {
    this.#records.follow();
    if (!this.#records.isCurrent() || this.#recordOf(key) === undefined) return undefined;
    const kept = this.#files.get(key);
    const object = kept ?? this.#open(key);
    if (object === undefined) return undefined;
    object.used = tick();
    // Another thread may be the one that reads it.
    if (kept === undefined) this.#files.delete(key);
    return object.size;
  }

  /** Closes an object that was removed, so that its room is free. */
  forget(key: string): void {
    this.#files.delete(key);
  }

  /** Opens an object that was just put here, in place of what was open before. */
  reopen(key: ObjectKey): void {
    this.#files.delete(key);
    this.#open(key);
  }

  /** Uses since the last call, by id of the record. */
  takeUses(): Map<number, number> {
    for (const object of this.#files.values()) this.#note(object);
    const taken = this.#uses;
    this.#uses = new Map();
    this.#lastSaved = Date.now();
    return taken;
  }

  #lookup(want: Want): OpenObject | undefined {
    const key = wantKey(want);
    let object = this.#files.get(key) ?? this.#open(key);
    const now = tick();
    if (object !== undefined && now - object.looked > timeBetweenChecks) {
      object = this.#unlessChanged(object, now);
    }
    if (object === undefined || !fits(object.size, want)) {
      if (this.#missed.size >= missedKept) this.#missed.clear();
      this.#missed.add(key);
      return undefined;
    }
    object.used = now;
    if (this.#missed.size === 0 || !this.#missed.delete(key)) this.hits++;
    return object;
  }

  /** An open object, or, where its file was changed since it was checked, what is right in its place. */
  #unlessChanged(object: OpenObject, now: number): OpenObject | undefined {
    object.looked = now;
    const status = fstatSync(object.fd, { bigint: true });
    const stamp = stampOf(status);
    if (stamp === object.stamp) return object;
    // Evicting and touching change its times as well.
    const isRight = status.size === BigInt(object.size);
    if (isRight && sha256OfFile(object.fd, status).equals(object.sha256)) {
      object.stamp = stamp;
      return object;
    }
    this.#files.delete(object.key);
    // Its record's stamp is another one as well, so that it is hashed again, and thrown out.
    return this.#open(object.key);
  }

  #open(key: ObjectKey): OpenObject | undefined {
    let record = this.#recordOf(key);
    // Whoever emptied the cache below us may have begun it anew.
    if (record === undefined && this.#records.follow()) record = this.#recordOf(key);
    if (record === undefined) {
      this.#lookWhereRoomIsScarce();
      return undefined;
    }
    const file = this.#openFile(key);
    if (typeof file === 'string' || !this.#isWhatWasChecked(record, file)) {
      if (typeof file !== 'string') closeSync(file.fd);
      drop(this.#place.at, this.#records, key, record);
      return undefined;
    }
    const { id, size, sha256, used } = record;
    const seen = { stamp: stampOf(file.status), looked: tick() };
    const object = { key, id, fd: file.fd, size, sha256, ...seen, used, saved: used };
    if (++this.#opens % opensBetweenLooks === 0) this.#letEvictedGo(timeBetweenLooks);
    this.#files.set(key, object);
    if (this.#uses.size >= usesKept || Date.now() - this.#lastSaved > usesSavedAfter) {
      this.#saveUses();
    }
    return object;
  }

  #recordOf(key: string): ObjectRecord | undefined {
    return this.#records.read((sql) => sql.get.get(key));
  }

  #openFile(key: ObjectKey): OpenFile | 'missing' | 'other' {
    return withFiles(() => openObject(this.#place.at, key));
  }

  #isWhatWasChecked(record: ObjectRecord, { fd, status }: OpenFile): boolean {
    if (status.size !== BigInt(record.size)) return false;
    const stamp = stampOf(status);
    if (stamp === record.stamp) return true;
    if (!sha256OfFile(fd, status).equals(record.sha256)) return false;
    this.#records.tryWrite((sql) => sql.restamp.run(stamp, record.id, record.sha256));
    return true;
  }

  /** What is lacking is about to be fetched: the room of what was evicted for it may be ours. */
  #lookWhereRoomIsScarce(): void {
    try {
      if (freeBytes(this.#place.at) < scarceBytes) this.#letEvictedGo(timeBetweenMisses);
    } catch {
      // Somebody removed the cache below us: there is nothing to let go for.
    }
  }

  #letEvictedGo(interval: number): void {
    const now = performance.now();
    if (now - this.#lastLook < interval) return;
    this.#lastLook = now;
    for (const object of [...this.#files.values()]) {
      if (fstatSync(object.fd).nlink === 0) this.#files.delete(object.key);
    }
  }

  #note(object: OpenObject): void {
    if (object.used > object.saved) this.#uses.set(object.id, object.used);
    object.saved = object.used;
  }

  #saveUses(): void {
    const taken = this.takeUses();
    const saved = this.#records.tryWrite((sql) => {
      for (const [id, used] of inOrder(taken)) sql.touch.run(used, id);
      return true;
    });
    if (saved === true) return;
    // Someone else writes just now: next time.
    for (const [id, used] of taken) if (!this.#uses.has(id)) this.#uses.set(id, used);
  }
}

/** Neighbours by id lie on the same page. */
export function inOrder(uses: ReadonlyMap<number, number>): [number, number][] {
  return [...uses].sort((a, b) => a[0] - b[0]);
}

/** Takes an object out that isn't what its record says, unless someone has mended it meanwhile. */
export function drop(
  at: string,
  records: Records,
  key: string,
  record: ObjectRecord,
): boolean | undefined {
  return records.tryWrite((sql) => {
    const now = sql.get.get(key);
    if (now?.id !== record.id || now.stamp !== record.stamp) return false;
    sql.remove.run(record.id);
    sql.grow.run(-charge(record.size));
    removeObject(at, key);
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
