import { renameSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { UnsafeDirectory } from '../../files/held.js';
import { lookAtOurs, removeEntry } from '../../files/regular.js';
import type { Place } from './place.js';
import { migrateRecords } from './records-schema.js';
import { errorCode } from '../../format/errno.js';

/** The file of the records and those that SQLite makes beside it. They are never opened but by SQLite (the log apart): closing one would drop its locks. */
const file = 'index.db';
const besides = ['index.db-wal', 'index.db-shm', 'index.db-journal'];

/** How long others are waited for, that write just now (ms). */
export const busyTimeoutMs = 5000;

/**
 * Opens the database of the records; it is made, or brought to the present schema, by need. Only what is ours is opened: what
 * others could have put there goes first, and what was opened in spite of that is thrown away.
 * @throws UnsafeDirectory; PinfsError CACHE_UNUSABLE; errors of SQLite and of the file system.
 */
export function openDatabase(place: Place): Database.Database {
  const { at } = place;
  removeUseless(at);
  const db = place.openSafely((now) => new Database(join(now, file), { timeout: busyTimeoutMs }));
  try {
    useWal(db, at);
    db.pragma('synchronous = NORMAL');
    db.pragma('cache_size = -2000');
    // Random keys dirty a page each: few checkpoints, as each waits for the disk.
    db.pragma('wal_autocheckpoint = 4000');
    db.pragma('trusted_schema = OFF');
    migrateRecords(db, place.directory);
  } catch (thrown) {
    db.close();
    throw thrown;
  }
  // The log and its index are open by now as well.
  const problem = place.problem() ?? foreignName(at);
  if (problem === undefined) return db;
  db.close();
  // What another's log held may have been brought into it.
  for (const name of [...besides, file]) removeEntry(join(at, name));
  throw new UnsafeDirectory(problem);
}

function foreignName(at: string): string | undefined {
  const found = [file, ...besides].find((name) => lookAtOurs(join(at, name)) === 'other');
  return found === undefined ? undefined : `${found} in it is no file of ours`;
}

function removeUseless(at: string): void {
  const { database, log } = sizesOfDatabase(at);
  // The first page is there before there is a log: without one somebody emptied it.
  const isEmptied = database === 0 && log > 0;
  if (isEmptied || lookAtOurs(join(at, file)) === 'other') setAside(at);
  for (const name of besides) {
    if (lookAtOurs(join(at, name)) === 'other') removeEntry(join(at, name));
  }
}

/** A database that somebody emptied while others, who have it open, keep it locked: it never becomes one again by itself. */
class Emptied extends Error {}

/**
 * Two processes that begin a cache at once: the change of mode doesn't always wait for a lock by itself. Together it waits
 * as long as a single lock may take.
 */
function useWal(db: Database.Database, at: string): void {
  const end = performance.now() + busyTimeoutMs;
  db.pragma('busy_timeout = 0');
  for (;;) {
    try {
      db.pragma('journal_mode = WAL');
      db.pragma(`busy_timeout = ${busyTimeoutMs}`);
      return;
    } catch (thrown) {
      if (!isBusy(thrown)) throw thrown;
      if (performance.now() > end) {
        throw sizesOfDatabase(at).database === 0 ? new Emptied() : thrown;
      }
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10);
    }
  }
}

export function isBusy(thrown: unknown): boolean {
  return errorCode(thrown)?.startsWith('SQLITE_BUSY') === true;
}

/** Damage of the database; SQLITE_ERROR is a table or column that isn't as it should be. */
export function isDamage(thrown: unknown): boolean {
  if (thrown instanceof Emptied) return true;
  const code = errorCode(thrown);
  return (
    code !== undefined &&
    (/^SQLITE_(?:CORRUPT|NOTADB|IOERR_SHORT_READ)/.test(code) || code === 'SQLITE_ERROR')
  );
}

/** Puts a database aside, that is damaged or not ours. The log goes first: it would be taken for that of the new one. */
export function setAside(at: string): void {
  for (const name of besides) removeEntry(join(at, name));
  const aside = join(at, `${file}.damaged`);
  removeEntry(aside);
  try {
    renameSync(join(at, file), aside);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
  }
}

/** What the database and its log take on the disk (bytes). */
export function sizesOfDatabase(at: string): { readonly database: number; readonly log: number } {
  return { database: sizeOf(`${at}/${file}`), log: sizeOfLog(at) };
}

export function sizeOfLog(at: string): number {
  return sizeOf(logFile(at));
}

/** Where the log lies. Nobody locks it, so that it may be opened and closed. */
export function logFile(at: string): string {
  return `${at}/${file}-wal`;
}

function sizeOf(path: string): number {
  const status = lookAtOurs(path);
  return typeof status === 'string' ? 0 : Number(status.size);
}

/** By what the database is known as the one that was opened; undefined if there is none of ours. */
export function inodeOfDatabase(at: string): bigint | undefined {
  const status = lookAtOurs(`${at}/${file}`);
  return typeof status === 'string' ? undefined : status.ino;
}
