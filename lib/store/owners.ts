import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { unlinkIfThere } from './disk-shelf.js';
import { errorCode } from './layout.js';
import { tick, type Statements } from './records.js';

/**
 * A store that is open owns its holds and its files in tmp/. Whether it still lives is told by a
 * lock of the kernel on `tmp/<owner>.lock`, which ends with the process in whatever way, and which
 * (unlike process numbers) is seen from other containers too. SQLite takes the lock, as Node can't.
 */
export interface Owner {
  readonly id: string;
  close(): void;
}

/** Makes an owner. Call it under the write lock, so that nobody takes it for a dead one meanwhile. */
export function makeOwner(directory: string, sql: Statements): Owner {
  const id = `${process.pid}-${randomBytes(6).toString('hex')}`;
  const file = lockFile(directory, id);
  const lock = new Database(file);
  lock.pragma('journal_mode = MEMORY');
  lock.exec('BEGIN EXCLUSIVE');
  sql.addOwner.run(id);
  return {
    id,
    close() {
      lock.close();
      unlinkIfThere(file);
    },
  };
}

/**
 * Forgets owners that died, with their holds and unfinished files. Call it under the write lock.
 * @returns their number.
 */
export function purgeOwners(directory: string, sql: Statements, self: string | undefined): number {
  const living = new Set<string>();
  let dead = 0;
  for (const { id } of sql.owners.all()) {
    if (id === self || lives(lockFile(directory, id))) {
      living.add(id);
      continue;
    }
    dead++;
    forgetOwner(sql, id);
  }
  if (self !== undefined) living.add(self);
  for (const name of readdirSync(join(directory, 'tmp'))) {
    if (!living.has(name.slice(0, name.indexOf('.')))) unlinkIfThere(join(directory, 'tmp', name));
  }
  return dead;
}

/** Ends an owner and its holds: what it held was used until now. */
export function forgetOwner(sql: Statements, id: string): void {
  sql.touchHeld.run(tick(), id);
  sql.releaseAll.run(id);
  sql.removeOwner.run(id);
}

function lockFile(directory: string, id: string): string {
  return join(directory, 'tmp', `${id}.lock`);
}

function lives(file: string): boolean {
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
