import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { makeDirectory } from '../../files/make.js';
import { lookAtOurs, removeEntry } from '../../files/regular.js';
import { listFolder } from './layout.js';
import type { Place } from './place.js';
import { tick, type Statements } from './statements.js';
import { errorCode } from '../../format/errno.js';

/**
 * A store that is open owns its holds and its files in tmp/. Whether it still lives is told by a
 * lock of the kernel on `tmp/<owner>.lock`, which ends with the process in whatever way, and which
 * (unlike process numbers) is seen from other containers too. SQLite takes the lock, as Node can't.
 */
export interface Owner {
  readonly id: string;
  /** Whether others see its lock: its file, or all of tmp/, may have been removed. */
  isInPlace(at: string): boolean;
  close(): void;
}

/** Makes an owner, or the one that was known by `id` anew. Call it under the write lock, so that nobody takes it for a dead one meanwhile. */
export function makeOwner(place: Place, sql: Statements, id = newId()): Owner {
  makeDirectory(join(place.at, 'tmp'));
  const file = lockFile(place.at, id);
  removeEntry(file);
  const lock = place.openSafely(() => new Database(file));
  try {
    lock.pragma('journal_mode = MEMORY');
    lock.exec('BEGIN EXCLUSIVE');
    sql.addOwner.run(id);
  } catch (thrown) {
    lock.close();
    throw thrown;
  }
  const inode = inodeOf(file);
  return {
    id,
    isInPlace: (at) => inode !== undefined && inodeOf(lockFile(at, id)) === inode,
    close() {
      lock.close();
      if (inodeOf(file) === inode) removeEntry(file);
    },
  };
}

function newId(): string {
  return `${process.pid}-${randomBytes(6).toString('hex')}`;
}

function inodeOf(file: string): bigint | undefined {
  const status = lookAtOurs(file);
  return typeof status === 'string' ? undefined : status.ino;
}

/**
 * Forgets owners that died, with their holds and unfinished files. Call it under the write lock.
 * @returns their number.
 */
export function purgeOwners(at: string, sql: Statements, self: string | undefined): number {
  const living = new Set<string>();
  let dead = 0;
  for (const { id } of sql.owners.all()) {
    // An identity that is none must not become a path.
    if (id === self || (idForm.test(id) && lives(lockFile(at, id)))) {
      living.add(id);
      continue;
    }
    dead++;
    forgetOwner(sql, id);
  }
  if (self !== undefined) living.add(self);
  for (const name of listFolder(join(at, 'tmp'))) {
    const id = name.slice(0, name.indexOf('.'));
    if (living.has(id)) continue;
    if (idForm.test(id) && lives(lockFile(at, id))) {
      // The records were begun anew, and it hasn't noticed yet.
      living.add(id);
      sql.addOwner.run(id);
    } else removeEntry(join(at, 'tmp', name));
  }
  return dead;
}

/** Ends an owner and its holds: what it held was used until now. */
export function forgetOwner(sql: Statements, id: string): void {
  sql.touchHeld.run(tick(), id);
  sql.releaseAll.run(id);
  sql.removeOwner.run(id);
}

/** Whether any store that lives has a cache directory open. */
export function livingOwner(directory: string): boolean {
  return listFolder(join(directory, 'tmp')).some(
    (name) => name.endsWith('.lock') && lives(join(directory, 'tmp', name)),
  );
}

const idForm = /^\d{1,10}-[0-9a-f]{12}$/;

function lockFile(at: string, id: string): string {
  return join(at, 'tmp', `${id}.lock`);
}

function lives(file: string): boolean {
  if (typeof lookAtOurs(file) === 'string') return false;
  let lock: Database.Database;
  try {
    lock = new Database(file, { fileMustExist: true, timeout: 0 });
  } catch {
    return false;
  }
  try {
    lock.exec('BEGIN EXCLUSIVE');
    return false;
  } catch (thrown) {
    return errorCode(thrown)?.startsWith('SQLITE_BUSY') === true;
  } finally {
    lock.close();
  }
}
