import { closeSync, fstatSync } from 'node:fs';
import { withFiles } from '../../machine/file-budget.js';
import type { RegularFile } from '../../files/regular.js';
import { drop } from './drop.js';
import { fits } from '../inflate.js';
import type { ObjectKey } from '../key.js';
import { openForeseen, type Foreseen } from './foreseen.js';
import { objectFile } from './layout.js';
import { openObject } from './object-files.js';
import { inOrder, openObjects } from './open-objects.js';
import type { FoundInSegment, OpenFile, OpenObject, OpenObjects } from './open-objects.js';
import type { Place } from './place.js';
import { readFully, sha256OfFile } from './read-fully.js';
import { Records } from './records.js';
import { tick, type ObjectRecord } from './statements.js';
import { freeBytes } from './room.js';
import { openSegmentReader, type SegmentReader } from './segment-reader.js';
import type { RecentUses, Shelf } from '../shelf.js';
import { stampOf } from './stamp.js';
import { wantKey, type Want } from '../want.js';

// A file that is open may be changed in place: when it is read it is looked at again, not before so long (µs).
const checkIntervalUs = 1_000_000;
// Where the disk has less than this, also before something is fetched (bytes, and ms).
const scarceBytes = 64 * 1024 * 1024;
const missIntervalMs = 20;

/** The reading side over records that are open already. */
export class DiskShelf implements Shelf {
  readonly #place: Place;
  readonly #records: Records;
  readonly #files: OpenObjects;
  readonly #foreseen: Foreseen;
  readonly #segments: SegmentReader;
  readonly #closed: () => void;

  constructor(
    place: Place,
    records: Records,
    fileLimit: number,
    closed: () => void = () => undefined,
  ) {
    this.#place = place;
    this.#records = records;
    this.#closed = closed;
    this.#files = openObjects(fileLimit);
    this.#foreseen = openForeseen((work) => records.tryRead(work));
    this.#segments = openSegmentReader(() => place.at, fileLimit);
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
    if (object.kind === 'segment') {
      const bytes = this.#readSmall(object);
      bytes?.copy(target, targetOffset, position, position + wanted);
      return bytes && wanted;
    }
    const count = readFully(object.fd, target, targetOffset, wanted, position);
    if (count === wanted) return count;
    // Someone cut the file: it is no longer what was checked.
    this.#close(object.key);
    const record = this.#recordOf(object.key);
    if (record !== undefined) drop(this.#place.at, this.#records, object.key, record);
    return undefined;
  }

  path(want: Want): string | undefined {
    // SQLite takes a path without links, which may lead elsewhere where the directory is in others' reach.
    this.#follow();
    // Known from there, unless it could not be followed.
    if (!this.#records.isCurrent() && !this.stillThere()) return undefined;
    const object = this.#lookup(want);
    return object?.kind === 'file' ? objectFile(this.#place.at, object.key) : undefined;
  }

  stillThere(): boolean {
    return this.#place.problem() === undefined;
  }

  descriptor(want: Want): number | undefined {
    const object = this.#lookup(want);
    return object?.kind === 'file' ? object.fd : undefined;
  }

  has(want: Want): boolean {
    const object = this.#lookup(want);
    return object?.kind === 'segment'
      ? this.#readSmall(object) !== undefined
      : object !== undefined;
  }

  isRecorded(want: Want): boolean {
    return this.#foreseen.find(wantKey(want)) !== undefined;
  }

  prepare(want: Want): void {
    const key = wantKey(want);
    const object = this.#files.get(key) ?? this.#open(key);
    // What isn't right any more is seen to by who reads it.
    if (object?.kind === 'segment') this.#segments.prepare(object);
  }

  beginRun(): void {
    this.#records.lookAgain();
  }

  close(): void {
    this.#saveUses();
    this.#files.closeAll();
    this.#segments.closeAll();
    this.#closed();
  }

  /**
   * Plain size of an object that is here for everyone, not only for us, who may have a removed one
   * still open; counts as a use.
   */
  sizeOnDisk(key: ObjectKey): number | undefined {
    this.#follow();
    if (!this.#records.isCurrent() || this.#recordOf(key) === undefined) return undefined;
    const kept = this.#files.get(key);
    this.#foreseen.forget(key);
    const object = kept ?? this.#open(key);
    if (object === undefined) return undefined;
    if (object.kind === 'segment' && !this.#segments.reaches(object)) {
      this.#dropSmall(object);
      return undefined;
    }
    object.used = tick();
    // Another thread may be the one that reads it.
    if (kept === undefined) this.#close(key);
    return object.size;
  }

  /** Closes an object that was removed, so that its room is free. */
  forget(key: string): void {
    this.#close(key);
  }

  /** Closes segments that were removed, so that their room is free. */
  letRemovedGo(): void {
    this.#segments.letRemovedGo();
  }

  /** Opens an object that was just put here, in place of what was open before. */
  reopen(key: ObjectKey): void {
    this.#close(key);
    this.#open(key);
  }

  letGo(keys: readonly string[]): void {
    for (const key of keys) this.#close(key);
    if (keys.length > 0) this.#segments.letRemovedGo();
  }

  recentUses(): RecentUses {
    return this.#files.takeRecentUses();
  }

  /** Notes uses in another thread of this process. */
  noteUses(uses: RecentUses): void {
    this.#files.putUsesBack(uses);
  }

  /** Uses since the last call, by id of the record. */
  takeUses(): Map<number, number> {
    return this.#files.takeUses();
  }

  #lookup(want: Want): OpenObject | undefined {
    const key = wantKey(want);
    let object = this.#files.get(key) ?? this.#open(key);
    const now = tick();
    if (object?.kind === 'file' && now - object.looked > checkIntervalUs) {
      object = this.#unlessChanged(object, now);
    }
    if (object === undefined || !fits(object.size, want)) return undefined;
    this.#files.use(object, now);
    return object;
  }

  /** An open object, or, where its file was changed since it was checked, what is right in its place. */
  #unlessChanged(object: OpenFile, now: number): OpenObject | undefined {
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
    this.#close(object.key);
    // Its record's stamp is another one as well, so that it is hashed again, and thrown out.
    return this.#open(object.key);
  }

  #open(key: ObjectKey): OpenObject | undefined {
    let record = this.#foreseen.find(key);
    // Whoever emptied the cache below us may have begun it anew.
    if (record === undefined && this.#follow()) record = this.#recordOf(key);
    if (record === undefined) {
      this.#lookWhereRoomIsScarce();
      return undefined;
    }
    if (record.segment !== null) return this.#foundInSegment(key, record, record.segment);
    const file = this.#openFile(key);
    if (typeof file === 'string' || !this.#isWhatWasChecked(record, file)) {
      if (typeof file !== 'string') closeSync(file.fd);
      // With all of the cache, or by itself.
      if (this.#follow()) return this.#open(key);
      drop(this.#place.at, this.#records, key, record);
      return undefined;
    }
    const { id, size, sha256, used } = record;
    const seen = { stamp: stampOf(file.status), looked: tick() };
    const known = { key, id, size, sha256, used, saved: used };
    return this.#keep({ kind: 'file', fd: file.fd, ...known, ...seen });
  }

  /** Closes an object, and what is said of it next is looked up. */
  #close(key: string): void {
    this.#files.close(key);
    this.#foreseen.forget(key);
  }

  /** Whether there is another database now, of which nothing is known yet. */
  #follow(): boolean {
    const isAnother = this.#records.follow();
    if (isAnother) this.#foreseen.clear();
    return isAnother;
  }

  #foundInSegment(key: ObjectKey, record: ObjectRecord, segment: string): OpenObject {
    const { id, size, sha256, used, place } = record;
    return this.#keep({
      kind: 'segment',
      key,
      id,
      size,
      sha256,
      segment,
      place,
      used,
      saved: used,
    });
  }

  #keep(object: OpenObject): OpenObject {
    this.#files.add(object);
    if (this.#files.usesAreDue()) this.#saveUses();
    return object;
  }

  /** All bytes of a small object, checked; what isn't right is thrown out. */
  #readSmall(object: FoundInSegment): Buffer | undefined {
    const bytes = this.#segments.read(object);
    if (typeof bytes !== 'string') return bytes;
    // Others may have moved it, or put it somewhere else since.
    this.#close(object.key);
    const now = this.#open(object.key);
    const again = now?.kind === 'segment' ? this.#segments.read(now) : 'missing';
    if (typeof again !== 'string') return again;
    if (now?.kind === 'segment') this.#dropSmall(now);
    return undefined;
  }

  #dropSmall(object: FoundInSegment): void {
    this.#close(object.key);
    const record = this.#recordOf(object.key);
    const isSame = record?.segment === object.segment && record.place === object.place;
    if (isSame) drop(this.#place.at, this.#records, object.key, record);
  }

  #recordOf(key: string): ObjectRecord | undefined {
    return this.#records.tryRead((sql) => sql.get.get(key));
  }

  #openFile(key: ObjectKey): RegularFile | 'missing' | 'other' {
    return withFiles(() => openObject(this.#place.at, key));
  }

  #isWhatWasChecked(record: ObjectRecord, { fd, status }: RegularFile): boolean {
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
      if (freeBytes(this.#place.at) >= scarceBytes) return;
      this.#files.letEvictedGo(missIntervalMs);
      this.#segments.letRemovedGo();
    } catch {
      // Somebody removed the cache below us: there is nothing to let go for.
    }
  }

  #saveUses(): void {
    const taken = this.takeUses();
    const saved = this.#records.tryWrite((sql) => {
      for (const [id, used] of inOrder(taken)) sql.touch.run(used, id);
      return true;
    });
    if (saved === true) return;
    // Someone else writes just now: next time.
    this.#files.putUsesBack(taken);
  }
}
