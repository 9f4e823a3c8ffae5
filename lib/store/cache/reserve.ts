import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { lookAtOurs, removeEntry } from '../../files/regular.js';
import { freeBytes } from './room.js';
import { errorCode } from '../../format/errno.js';

/**
 * A file that gives up its room when the disk is full. SQLite can't open the records of a cache without
 * writing a little, and a cache on a disk that others have filled may be all that is left to read.
 */
const reserveBytes = 256 * 1024;

function reserveFile(directory: string): string {
  return join(directory, 'reserve');
}

/** Does what needs a little room; once more without the reserve, where the disk was too full for it. */
export function withReserve<T>(directory: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    const reserve = reserveFile(directory);
    if (freeBytes(directory) >= reserveBytes || lookAtOurs(reserve) === 'missing') throw thrown;
    removeEntry(reserve);
    return work();
  }
}

/** Makes the reserve where there is none, and room enough. */
export function keepReserve(directory: string): void {
  const reserve = reserveFile(directory);
  const found = lookAtOurs(reserve);
  if (typeof found !== 'string' || freeBytes(directory) < 8 * reserveBytes) return;
  if (found === 'other') removeEntry(reserve);
  try {
    writeFileSync(reserve, Buffer.alloc(reserveBytes, 'reserve '), { mode: 0o600, flag: 'wx' });
  } catch (thrown) {
    // Another time; unless another process was quicker.
    if (errorCode(thrown) !== 'EEXIST') removeEntry(reserve);
  }
}
