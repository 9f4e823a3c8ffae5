import type Database from 'better-sqlite3';
import { PinfsError } from '../../format/errors.js';
import { openRecentFailures } from '../recent-failures.js';
import { DiskFull } from './full.js';
import { cacheUnusable, writeLayout } from './layout.js';
import type { Place } from './place.js';
import { prepareStatements, type Statements } from './statements.js';
import {
  inodeOfDatabase,
  isBusy,
  isDamage,
  openDatabase,
  busyTimeoutMs,
  setAside,
  sizeOfLog,
  sizesOfDatabase,
} from './records-file.js';

// A try may have waited some seconds for others, and there may be one at each read.
const triesIntervalMs = 1000;

/**
 * The records of a cache, in SQLite. An object is what its record says, or it isn't there: a name
 * is the hash of stored bytes and can't be checked again from plain ones. Each change is one
 * transaction; whoever changes a file of objects/ does it while holding the write lock. So a process
 * that dies at any moment leaves objects without record (strays: swept later) or records without
 * object (found out at opening), never a wrong one.
 */
export class Records {
  /** Times that the database was set aside, as it was damaged, or begun anew as it was removed. */
  rebuilt = 0;

  readonly #place: Place;
  #current: Open;
  /** Why it could not be opened again: as long as that counts it is not tried. */
  readonly #failures = openRecentFailures<{ readonly error: unknown }>();
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

  /** Likewise, which waits so much longer (ms) where others hold the lock one after the other: who polls may come late. */
  writePatiently<T>(milliseconds: number, work: (sql: Statements) => T): T {
    const end = performance.now() + milliseconds;
    for (;;) {
      try {
        return this.write(work);
      } catch (thrown) {
        const isLocked = thrown instanceof PinfsError && isBusy(thrown.cause);
        if (!isLocked || performance.now() > end) throw thrown;
      }
    }
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

  /** Likewise of the log alone, where it was looked at just now whose it is. */
  logSize(): number {
    return sizeOfLog(this.#place.path);
  }

  /** Closes the database, which is opened again where it is needed, if its place allows that. */
  letGo(): void {
    this.#current.db.close();
    this.lookAgain();
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
    this.lookedAt();
    return true;
  }

  /** That it is current was seen just now, as by a write: that counts for this turn. */
  lookedAt(): void {
    if (this.#wasLookedAt) return;
    this.#wasLookedAt = true;
    setImmediate(() => this.lookAgain()).unref();
  }

  /** For threads that stay in one turn of the event loop. */
  lookAgain(): void {
    this.#wasLookedAt = false;
  }

  #looksCurrent(): boolean {
    if (this.#closed) return true;
    if (!this.#current.db.open) return false;
    if (this.#place.problem() !== undefined) return false;
    return inodeOfDatabase(this.#place.path) === this.#current.inode;
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
    const failure = this.#failures.recall('', performance.now());
    if (failure !== undefined) throw failure.error;
    this.#current.db.close();
    this.lookAgain();
    try {
      writeLayout(this.#place.at);
      this.#current = this.#openWhole();
      this.rebuilt++;
    } catch (thrown) {
      this.#failures.remember('', { error: thrown }, triesIntervalMs, performance.now());
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
      const sql = prepareStatements(db);
      const run = db.transaction((work: () => unknown) => work());
      const locked = <T>(work: () => T): T => run.immediate(work) as T;
      return { db, sql, locked, inode: inodeOfDatabase(this.#place.at) };
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
    const { sql, locked } = this.#current;
    return locked(() => work(sql));
  }
}

interface Open {
  readonly db: Database.Database;
  readonly sql: Statements;
  /** One transaction under the write lock. Made once: that takes as long as a short transaction. */
  readonly locked: <T>(work: () => T) => T;
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
