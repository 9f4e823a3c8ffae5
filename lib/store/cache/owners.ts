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
 * Ids of the owners that live just now. It needs no lock, so that nobody waits for it: to look at one takes half a
 * millisecond, and with a hundred of them that is long for who waits.
 */
export function livingOwners(at: string): ReadonlySet<string> {
  const living = new Set<string>();
  for (const name of listFolder(join(at, 'tmp'))) {
    const id = idOfLock(name);
    if (id !== undefined && lives(lockFile(at, id))) living.add(id);
  }
  return living;
}

/**
 * Forgets owners that died, with their holds and unfinished files. Call it under the write lock.
 * @param known ids that were just seen to live; they are not looked at again.
 * @returns their number.
 */
export function purgeOwners(
  at: string,
  sql: Statements,
  self: string | undefined,
  known: ReadonlySet<string> = new Set(),
): number {
  // An identity that is none must not become a path.
  const isLiving = (id: string): boolean =>
    id === self || known.has(id) || (idForm.test(id) && lives(lockFile(at, id)));
  const living = new Set<string>(self === undefined ? [] : [self]);
  let dead = 0;
  for (const { id } of sql.owners.all()) {
    if (isLiving(id)) living.add(id);
    else {
      dead++;
      forgetOwner(sql, id);
    }
  }
  for (const name of listFolder(join(at, 'tmp'))) {
    const id = name.slice(0, name.indexOf('.'));
    if (living.has(id)) continue;
    if (isLiving(id)) {
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

const idForm = /^\d{1,10}-[0-9a-f]{12}$/;

function lockFile(at: string, id: string): string {
  return `${at}/tmp/${id}.lock`;
}

/** The id in the name of an owner's lock. */
function idOfLock(name: string): string | undefined {
  const id = name.endsWith('.lock') ? name.slice(0, -'.lock'.length) : '';
  return idForm.test(id) ? id : undefined;
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
