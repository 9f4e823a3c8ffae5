import type Database from 'better-sqlite3';
import { PinfsError } from '../../format/errors.js';
import { leastRecentlyUsed } from './eviction-policy.js';
import { DiskFull } from './full.js';
import { cacheUnusable, writeLayout } from './layout.js';
import type { Place } from './place.js';
import {
  inodeOfDatabase,
  isBusy,
  isDamage,
  openDatabase,
  busyTimeoutMs,
  setAside,
  sizesOfDatabase,
} from './records-file.js';

/**
 * The records of a cache, in SQLite. An object is what its record says, or it isn't there: a name
 * is the hash of stored bytes and can't be checked again from plain ones. Each change is one
 * transaction; whoever changes a file of objects/ does it while holding the write lock. So a process
 * that dies at any moment leaves objects without record (strays: swept later) or records without
 * object (found out at opening), never a wrong one.
 */
export interface ObjectRecord {
  readonly id: number;
  readonly size: number;
  readonly sha256: Buffer;
  readonly stamp: string;
  readonly used: number;
  /** Among which others it lies, and where; null: it has a file of its own. */
  readonly segment: string | null;
  readonly place: number;
}

/** A segment: what it takes on the disk, and how much of that objects are (bytes). */
export interface SegmentRecord {
  readonly bytes: number;
  readonly live: number;
}

/** What an object takes on the disk: whole blocks of the usual size. */
export function charge(size: number): number {
  return Math.max(4096, Math.ceil(size / 4096) * 4096);
}

let lastTick = 0;

/** The time of a use: microseconds of the clock, but strictly rising within a process. */
export function tick(): number {
  lastTick = Math.max(lastTick + 1, Date.now() * 1000);
  return lastTick;
}

// The only one so far.
const policy = leastRecentlyUsed;

/** The time of a use as it is written for a new object. */
export function firstUse(key: string, isVolatile: boolean): number {
  return policy.firstUse(key, tick(), isVolatile);
}

function prepare(db: Database.Database): Statements {
  return {
    get: db.prepare<[string], ObjectRecord>(
      'SELECT id, size, sha256, stamp, used, segment, place FROM objects WHERE key = ?',
    ),
    insert: db.prepare(
      'INSERT INTO objects(key, size, sha256, stamp, used, segment, place) VALUES (?, ?, ?, ?, ?, ?, ?) ' +
        'ON CONFLICT(key) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, stamp = excluded.stamp, ' +
        'used = excluded.used, segment = excluded.segment, place = excluded.place',
    ),
    remove: db.prepare('DELETE FROM objects WHERE id = ?'),
    restamp: db.prepare('UPDATE objects SET stamp = ? WHERE id = ? AND sha256 = ?'),
    touch: db.prepare(`UPDATE objects SET used = ${policy.nextUse} WHERE id = ?`),
    grow: db.prepare('UPDATE totals SET bytes = bytes + ?'),
    totals: db.prepare<[], { bytes: number; strays: number }>('SELECT bytes, strays FROM totals'),
    count: db.prepare<[], { objects: number; bytes: number }>(
      'SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM objects',
    ),
    recount: db.prepare(
      'UPDATE totals SET strays = ?, bytes = ' +
        '(SELECT coalesce(sum(max(4096, (size + 4095) / 4096 * 4096)), 0) FROM objects WHERE segment IS NULL) + ' +
        '(SELECT coalesce(sum(bytes), 0) FROM segments)',
    ),
    oldest: db.prepare<[number, number, number], Candidate>(
      `SELECT * FROM (SELECT id, key, size, used, segment, ${policy.rank} AS rank FROM objects WHERE ${policy.removable}) ` +
        'WHERE (rank, id) > (?, ?) ORDER BY rank, id LIMIT ?',
    ),
    removable: db
      .prepare<[], number>(
        'SELECT coalesce(sum(iif(segment IS NULL, max(4096, (size + 4095) / 4096 * 4096), size)), 0) FROM objects ' +
          `WHERE ${policy.removable}`,
      )
      .pluck(),
    after: db.prepare<[number, number], { id: number; key: string; size: number }>(
      'SELECT id, key, size FROM objects WHERE id > ? ORDER BY id LIMIT ?',
    ),
    segment: db.prepare<[string], SegmentRecord>('SELECT bytes, live FROM segments WHERE name = ?'),
    segments: db.prepare<[], string>('SELECT name FROM segments').pluck(),
    segmentGrown: db.prepare(
      'INSERT INTO segments(name, bytes, live) VALUES (?, ?, ?) ' +
        'ON CONFLICT(name) DO UPDATE SET bytes = excluded.bytes, live = live + excluded.live',
    ),
    segmentLost: db.prepare('UPDATE segments SET live = live - ? WHERE name = ?'),
    removeSegment: db.prepare('DELETE FROM segments WHERE name = ?'),
    ofSegment: db.prepare<[string], { id: number; size: number; place: number }>(
      'SELECT id, size, place FROM objects WHERE segment = ? ORDER BY place',
    ),
    inSegment: db.prepare<[string]>('SELECT 1 FROM objects WHERE segment = ? LIMIT 1'),
    forgetSegment: db.prepare('DELETE FROM objects WHERE segment = ?'),
    move: db.prepare('UPDATE objects SET segment = ?, place = ? WHERE id = ?'),
    held: db.prepare<[string]>('SELECT 1 FROM holds WHERE key = ? LIMIT 1'),
    hold: db.prepare('INSERT OR IGNORE INTO holds(key, owner) VALUES (?, ?)'),
    release: db.prepare('DELETE FROM holds WHERE key = ? AND owner = ?'),
    // What is held is in use all the time, however long ago it was opened.
    touchHeld: db.prepare(
      `UPDATE objects SET used = ${policy.nextUse} ` +
        'WHERE key IN (SELECT key FROM holds WHERE owner = ?)',
    ),
    releaseAll: db.prepare('DELETE FROM holds WHERE owner = ?'),
    owners: db.prepare<[], { id: string }>('SELECT id FROM owners'),
    addOwner: db.prepare('INSERT OR IGNORE INTO owners(id) VALUES (?)'),
    removeOwner: db.prepare('DELETE FROM owners WHERE id = ?'),
    heldBytes: db.prepare<[], { objects: number; bytes: number }>(
      'SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM objects WHERE key IN (SELECT key FROM holds)',
    ),
  };
}

export interface Candidate {
  readonly id: number;
  readonly key: string;
  readonly size: number;
  readonly used: number;
  readonly segment: string | null;
  /** By which they go, lowest first. */
  readonly rank: number;
}

export interface Statements {
  readonly get: Database.Statement<[string], ObjectRecord>;
  readonly insert: Database.Statement;
  readonly remove: Database.Statement;
  readonly restamp: Database.Statement;
  readonly touch: Database.Statement;
  readonly grow: Database.Statement;
  readonly totals: Database.Statement<[], { bytes: number; strays: number }>;
  readonly count: Database.Statement<[], { objects: number; bytes: number }>;
  readonly recount: Database.Statement;
  /** What may go, behind a rank and id, the first to go first. */
  readonly oldest: Database.Statement<[number, number, number], Candidate>;
  /** Bytes on the disk of what may go. */
  readonly removable: Database.Statement<[], number>;
  readonly after: Database.Statement<[number, number], { id: number; key: string; size: number }>;
  readonly segment: Database.Statement<[string], SegmentRecord>;
  /** The names of all. */
  readonly segments: Database.Statement<[], string>;
  /** Name, bytes that it takes now, bytes of objects that came to it. */
  readonly segmentGrown: Database.Statement;
  readonly segmentLost: Database.Statement;
  readonly removeSegment: Database.Statement;
  readonly ofSegment: Database.Statement<[string], { id: number; size: number; place: number }>;
  readonly inSegment: Database.Statement<[string]>;
  readonly forgetSegment: Database.Statement;
  readonly move: Database.Statement;
  readonly held: Database.Statement<[string]>;
  readonly hold: Database.Statement;
  readonly release: Database.Statement;
  readonly touchHeld: Database.Statement;
  readonly releaseAll: Database.Statement;
  readonly owners: Database.Statement<[], { id: string }>;
  readonly addOwner: Database.Statement;
  readonly removeOwner: Database.Statement;
  readonly heldBytes: Database.Statement<[], { objects: number; bytes: number }>;
}

// A try may have waited some seconds for others, and there may be one at each read.
const triesIntervalMs = 1000;

export class Records {
  /** Times that the database was set aside, as it was damaged, or begun anew as it was removed. */
  rebuilt = 0;

  readonly #place: Place;
  #current: Open;
  /** Why it could not be opened again, and until when that is not tried. */
  #failed: { readonly error: unknown; readonly until: number } | undefined;
  #closed = false;
  /** Whether it was looked after just now that the database is the one that others see. */
  #wasLookedAt = false;

  /**
   * Opens the records of a cache directory. A damaged database is set aside and begun anew.
   * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL.
   */
  constructor(place: Place) {
    this.#place = place;
    this.#current = this.#guard(() => this.#openWhole());
  }

  /** Reads; nobody is waited for. */
  read<T>(work: (sql: Statements) => T): T {
    return this.#mending(() => {
      if (!this.#current.db.open && !this.#closed) this.#goOver();
      return work(this.#current.sql);
    });
  }

  /** Likewise, where a cache that can't be read, or not any more, is as good as an empty one. */
  tryRead<T>(work: (sql: Statements) => T): T | undefined {
    return unlessUnusable(() => this.read(work));
  }

  /** One transaction under the write lock; waits at most some seconds for other processes. */
  write<T>(work: (sql: Statements) => T): T {
    return this.#mending(() => {
      if (!this.#looksCurrent()) this.#goOver();
      return this.#transaction(work);
    });
  }

  /** Likewise, unless another one holds the lock just now, or the cache can't be written to: then undefined. */
  tryWrite<T>(work: (sql: Statements) => T): T | undefined {
    return unlessUnusable(() => this.#mending(() => this.#writeAtOnce(work)));
  }

  /**
   * Brings the log into the database, so that it takes no room; as far as that can be done now, or,
   * with `patient`, in some seconds.
   */
  shrink(patient: boolean): void {
    const { db } = this.#current;
    if (!db.open) return;
    try {
      if (!patient) db.pragma('busy_timeout = 0');
      db.pragma('wal_checkpoint(TRUNCATE)');
    } catch {
      // Another time.
    } finally {
      if (!patient) db.pragma(`busy_timeout = ${busyTimeoutMs}`);
    }
  }

  /** What the database and its log take on the disk (bytes). */
  sizes(): { readonly database: number; readonly log: number } {
    return sizesOfDatabase(this.#place.at);
  }

  close(): void {
    this.#closed = true;
    this.#current.db.close();
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      // Whoever still used it was interrupted: nothing is wrong with the cache.
      if (this.#closed) throw new PinfsError('INTERRUPTED', 'the cache was closed');
      throw cacheUnusable(this.#place.directory, thrown);
    }
  }

  /** Runs it again on a new database when this one is found to be damaged. */
  #mending<T>(work: () => T): T {
    return this.#guard(() => {
      try {
        return work();
      } catch (thrown) {
        if (this.#closed || !isDamage(thrown)) throw thrown;
        // Before it is set aside: closing removes the log of whatever lies in its place.
        this.#current.db.close();
        // Another process may have been quicker.
        if (inodeOfDatabase(this.#place.at) === this.#current.inode) setAside(this.#place.at);
        this.#reopen();
        return work();
      }
    });
  }

  /**
   * Whether the database is still the one that others see; it, or the whole cache, may have been removed or replaced.
   * That takes a dozen system calls: it is looked at once in a turn of the event loop, or after `lookAgain`.
   */
  isCurrent(): boolean {
    if (this.#wasLookedAt) return true;
    if (!this.#looksCurrent()) return false;
    this.#wasLookedAt = true;
    setImmediate(() => this.lookAgain()).unref();
    return true;
  }

  /** For threads that stay in one turn of the event loop. */
  lookAgain(): void {
    this.#wasLookedAt = false;
  }

  #looksCurrent(): boolean {
    return (
      this.#closed ||
      (this.#current.db.open &&
        inodeOfDatabase(this.#place.at) === this.#current.inode &&
        this.#place.problem() === undefined)
    );
  }

  /**
   * Goes over to the database that lies in the place of ours now, or to another place where this one was lost.
   * @returns whether there is another one.
   */
  follow(): boolean {
    if (this.isCurrent()) return false;
    const followed = unlessUnusable(() =>
      this.#guard(() => {
        if (this.#place.problem() !== undefined && this.#place.renew() !== undefined) return false;
        if (inodeOfDatabase(this.#place.at) === undefined) return false;
        this.#reopen();
        return true;
      }),
    );
    return followed === true;
  }

  /** Someone removed the database below us: what is written to the old one nobody else would see. */
  #goOver(): void {
    if (this.#place.problem() !== undefined) {
      const error = this.#place.renew();
      if (error !== undefined) throw error;
    }
    this.#reopen();
  }

  /** What is begun anew is whole: others find a cache. */
  #reopen(): void {
    if (this.#failed !== undefined && performance.now() < this.#failed.until)
      throw this.#failed.error;
    this.#current.db.close();
    this.lookAgain();
    try {
      writeLayout(this.#place.at);
      this.#current = this.#openWhole();
      this.rebuilt++;
      this.#failed = undefined;
    } catch (thrown) {
      this.#failed = { error: thrown, until: performance.now() + triesIntervalMs };
      throw thrown;
    }
  }

  #openWhole(): Open {
    try {
      return this.#open();
    } catch (thrown) {
      if (!isDamage(thrown)) throw thrown;
      setAside(this.#place.at);
      const open = this.#open();
      this.rebuilt++;
      return open;
    }
  }

  #open(): Open {
    const db = openDatabase(this.#place);
    try {
      return { db, sql: prepare(db), inode: inodeOfDatabase(this.#place.at) };
    } catch (thrown) {
      db.close();
      throw thrown;
    }
  }

  #writeAtOnce<T>(work: (sql: Statements) => T): T | undefined {
    const { db } = this.#current;
    if (!db.open) return undefined;
    db.pragma('busy_timeout = 0');
    try {
      return this.#transaction(work);
    } catch (thrown) {
      if (isBusy(thrown)) return undefined;
      throw thrown;
    } finally {
      db.pragma(`busy_timeout = ${busyTimeoutMs}`);
    }
  }

  #transaction<T>(work: (sql: Statements) => T): T {
    const { db, sql } = this.#current;
    return db.transaction(() => work(sql)).immediate();
  }
}

interface Open {
  readonly db: Database.Database;
  readonly sql: Statements;
  readonly inode: bigint | undefined;
}

function unlessUnusable<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (thrown) {
    const isUnusable = thrown instanceof PinfsError && thrown.code === 'CACHE_UNUSABLE';
    if (isUnusable || thrown instanceof DiskFull) return undefined;
    throw thrown;
  }
}
