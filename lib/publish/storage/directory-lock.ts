import { readFile, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { quoted } from '../../format/bytes.js';

/**
 * A lock of the kernel, which ends with the process in whatever way. SQLite takes it, as Node can't.
 * @returns how to release it. @throws PinfsError STORAGE_BUSY
 */
export async function lockDirectory(root: string, own: string): Promise<() => Promise<void>> {
  const lock = new Database(join(own, 'lock'));
  const holder = join(own, 'holder');
  try {
    lock.pragma('busy_timeout = 0');
    lock.pragma('journal_mode = MEMORY');
    lock.exec('BEGIN EXCLUSIVE');
  } catch (thrown) {
    lock.close();
    if (errorCode(thrown)?.startsWith('SQLITE_BUSY') !== true) throw thrown;
    const who = await readFile(holder, 'utf8').catch(() => '');
    throw new PinfsError(
      'STORAGE_BUSY',
      `somebody else is writing to the storage ${root}${who === '' ? '' : `: ${quoted(who)}`}`,
      { advice: 'Wait for that to end, and do it again.', passing: true },
    );
  }
  await writeFile(holder, `process ${process.pid} on ${hostname()}`);
  return () => {
    lock.close();
    return Promise.resolve();
  };
}
