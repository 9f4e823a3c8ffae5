import { readSync, type BigIntStats } from 'node:fs';
import { createHash } from 'node:crypto';
import { errorCode } from '../../format/errno.js';

/** Reads all of a range. @returns the bytes read, fewer at the end of the file; -1: the disk can't read it. */
export function readFully(
  fd: number,
  target: Buffer,
  offset: number,
  length: number,
  position: number,
): number {
  let count = 0;
  while (count < length) {
    let step: number;
    try {
      step = readSync(fd, target, offset + count, length - count, position + count);
    } catch (thrown) {
      // The disk can't read it: as good as not there.
      if (errorCode(thrown) === 'EIO') return -1;
      throw thrown;
    }
    if (step === 0) break;
    count += step;
  }
  return count;
}

export function sha256OfFile(fd: number, status: BigIntStats): Buffer {
  const hash = createHash('sha256');
  const size = Number(status.size);
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(size, 1024 * 1024)));
  for (let position = 0; position < size;) {
    const count = readFully(fd, buffer, 0, Math.min(buffer.length, size - position), position);
    if (count <= 0) break;
    hash.update(buffer.subarray(0, count));
    position += count;
  }
  return hash.digest();
}
