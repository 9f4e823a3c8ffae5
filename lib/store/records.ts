import { renameSync, rmSync, statSync, readFileSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { errorCode, unusable } from './layout.js';

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
}

export interface NewRecord {
  readonly key: string;
  readonly size: number;
  readonly sha256: Buffer;
  readonly stamp: string;
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

let boot: string | undefined;

/**
 * By what a file is recognised as the one that was checked. Nothing is fsynced, so a record counts
 * only for the boot of the machine in which the file was written or last checked; behind it the file
 * is hashed once more.
 */
export function stampOf(status: BigIntStats): string {
  boot ??= bootId();
  return `${status.ino}:${status.mtimeNs}:${status.ctimeNs}:${boot}`;
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
  } catch {
    return 'unknown';
  }
}

const schema = `
  CREATE TABLE IF NOT EXISTS objects(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL, sha256 BLOB NOT NULL, stamp TEXT NOT NULL, used INTEGER NOT NULL);
  CREATE TABLE IF NOT EXISTS holds(key TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY(key, owner)) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS owners(id TEXT PRIMARY KEY) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS totals(one INTEGER PRIMARY KEY CHECK(one = 1), bytes INTEGER NOT NULL, strays INTEGER NOT NULL);
  INSERT OR IGNORE INTO totals VALUES (1, 0, 1);`;

function prepare(db: Database.Database): Statements {
  return {
    get: db.prepare<[string], ObjectRecord>(
      'SELECT id, size, sha256, stamp, used FROM objects WHERE key = ?',
    ),
    insert: db.prepare(
      'INSERT INTO objects(key, size, sha256, stamp, used) VALUES (?, ?, ?, ?, ?) ' +
        'ON CONFLICT(key) DO UPDATE SET size = excluded.size, sha256 = excluded.sha256, stamp = excluded.stamp, used = excluded.used',
    ),
    remove: db.prepare('DELETE FROM objects WHERE id = ?'),
    restamp: db.prepare('UPDATE objects SET stamp = ? WHERE id = ? AND sha256 = ?'),
    touch: db.prepare('UPDATE objects SET used = max(used, ?) WHERE id = ?'),
    grow: db.prepare('UPDATE totals SET bytes = bytes + ?'),
    totals: db.prepare<[], { bytes: number; strays: number }>('SELECT bytes, strays FROM totals'),
    count: db.prepare<[], { objects: number; bytes: number }>(
      'SELECT count(*) AS objects, coalesce(sum(size), 0) AS bytes FROM objects',
    ),
    recount: db.prepare(
      'UPDATE totals SET strays = ?, bytes = ' +
        '(SELECT coalesce(sum(max(4096, (size + 4095) / 4096 * 4096)), 0) FROM objects)',
    ),
    // Catalogs and histories count as used a week later: everything below them hangs on them.
    oldest: db.prepare<[number], Candidate>(
      'SELECT id, key, size, used FROM objects WHERE key NOT IN (SELECT key FROM holds) ' +
        "ORDER BY used + (key GLOB '*[CH]') * 604800000000 LIMIT ?",
    ),
    after: db.prepare<[number, number], { id: number; key: string; size: number }>(
      'SELECT id, key, size FROM objects WHERE id > ? ORDER BY id LIMIT ?',
    ),
    held: db.prepare<[string]>('SELECT 1 FROM holds WHERE key = ? LIMIT 1'),
    hold: db.prepare('INSERT OR IGNORE INTO holds(key, owner) VALUES (?, ?)'),
    release: db.prepare('DELETE FROM holds WHERE key = ? AND owner = ?'),
    // What is held is in use all the time, however long ago it was opened.
    touchHeld: db.prepare(
      'UPDATE objects SET used = max(used, ?) WHERE key IN (SELECT key FROM holds WHERE owner = ?)',
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
  readonly oldest: Database.Statement<[number], Candidate>;
  readonly after: Database.Statement<[number, number], { id: number; key: string; size: number }>;
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

const patience = 5000;

export class Records {
  /** Times that the database was set aside, as it was damaged, or begun anew as it was removed. */
  rebuilt = 0;

  readonly #directory: string;
  readonly #file: string;
  #current: Open;
  #closed = false;

  /**
   * Opens the records of a cache directory. A damaged database is set aside and begun anew.
   * @throws PinfsError CACHE_UNUSABLE, CACHE_FULL.
   */
  constructor(directory: string) {
    this.#directory = directory;
    this.#file = join(directory, 'index.db');
    this.#current = this.#guard(() => {
      try {
        return openDatabase(this.#file);
      } catch (thrown) {
        if (!isDamage(thrown)) throw thrown;
        this.rebuilt++;
        setAside(this.#file);
        return openDatabase(this.#file);
      }
    });
  }

  /** Reads; nobody is waited for. */
  read<T>(work: (sql: Statements) => T): T {
    return this.#mending(() => work(this.#current.sql));
  }

  /** One transaction under the write lock; waits at most some seconds for other processes. */
  write<T>(work: (sql: Statements) => T): T {
    return this.#mending(() => {
      this.#followFile();
      return this.#transaction(work);
    });
  }

  /** Likewise, unless another one holds the lock just now: then undefined. */
  tryWrite<T>(work: (sql: Statements) => T): T | undefined {
    return this.#mending(() => {
      this.#current.db.pragma('busy_timeout = 0');
      try {
        return this.#transaction(work);
      } catch (thrown) {
        if (isBusy(thrown)) return undefined;
        throw thrown;
      } finally {
        this.#current.db.pragma(`busy_timeout = ${patience}`);
      }
    });
  }

  /**
   * Brings the log into the database, so that it takes no room; as far as that can be done now, or,
   * with `patient`, in some seconds.
   */
  shrink(patient: boolean): void {
    const { db } = this.#current;
    try {
      if (!patient) db.pragma('busy_timeout = 0');
      db.pragma('wal_checkpoint(TRUNCATE)');
    } catch {
      // Another time.
    } finally {
      if (!patient) db.pragma(`busy_timeout = ${patience}`);
    }
  }

  /** What the database and its log take on the disk (bytes). */
  sizes(): { readonly database: number; readonly log: number } {
    return { database: sizeOf(this.#file), log: sizeOf(`${this.#file}-wal`) };
  }

  close(): void {
    this.#closed = true;
    this.#current.db.close();
  }

  #guard<T>(work: () => T): T {
    try {
      return work();
    } catch (thrown) {
      throw unusable(this.#directory, thrown);
    }
  }

  /** Runs it again on a new database when this one is found to be damaged. */
  #mending<T>(work: () => T): T {
    return this.#guard(() => {
      try {
        return work();
      } catch (thrown) {
        if (this.#closed || !isDamage(thrown)) throw thrown;
        this.#current.db.close();
        // Another process may have been quicker.
        if (inode(this.#file) === this.#current.inode) setAside(this.#file);
        this.#reopen();
        return work();
      }
    });
  }

  /** Whether the database is still the one that others see; it may have been removed or replaced. */
  isCurrent(): boolean {
    return this.#closed || inode(this.#file) === this.#current.inode;
  }

  /** Goes over to the database that lies in the place of ours now. @returns whether there is another one. */
  follow(): boolean {
    if (this.isCurrent() || inode(this.#file) === undefined) return false;
    this.#guard(() => {
      this.#followFile();
    });
    return true;
  }

  /** Someone removed the database below us: what is written to the old one nobody else would see. */
  #followFile(): void {
    if (this.isCurrent()) return;
    this.#current.db.close();
    this.#reopen();
  }

  #reopen(): void {
    this.rebuilt++;
    this.#current = openDatabase(this.#file);
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

function openDatabase(file: string): Open {
  const db = new Database(file, { timeout: patience });
  try {
    useWal(db);
    db.pragma('synchronous = NORMAL');
    db.pragma('cache_size = -2000');
    // Random keys dirty a page each: few checkpoints, as each waits for the disk.
    db.pragma('wal_autocheckpoint = 4000');
    db.pragma('trusted_schema = OFF');
    if (db.prepare("SELECT 1 FROM sqlite_master WHERE name = 'totals'").get() === undefined) {
      db.transaction(() => db.exec(schema)).immediate();
    }
    return { db, sql: prepare(db), inode: inode(file) };
  } catch (thrown) {
    db.close();
    throw thrown;
  }
}

/** Two processes that begin a cache at once: the change of mode doesn't wait for a lock by itself. */
function useWal(db: Database.Database): void {
  for (let tries = 0; ; tries++) {
    try {
      db.pragma('journal_mode = WAL');
      return;
    } catch (thrown) {
      if (!isBusy(thrown) || tries >= 100) throw thrown;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

function isBusy(thrown: unknown): boolean {
  return errorCode(thrown)?.startsWith('SQLITE_BUSY') === true;
}

/** Damage of the database; SQLITE_ERROR is a table or column that isn't as it should be. */
function isDamage(thrown: unknown): boolean {
  const code = errorCode(thrown);
  return (
    code !== undefined &&
    (/^SQLITE_(?:CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(code) || code === 'SQLITE_ERROR')
  );
}

/** The log goes first: it would be taken for that of the new database. */
function setAside(file: string): void {
  rmSync(`${file}-wal`, { force: true });
  rmSync(`${file}-shm`, { force: true });
  try {
    renameSync(file, `${file}.damaged`);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
  }
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

function inode(file: string): bigint | undefined {
  return statSync(file, { bigint: true, throwIfNoEntry: false })?.ino;
}
