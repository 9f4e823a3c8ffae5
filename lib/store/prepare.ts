import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectory } from '../files/make.js';
import { withFiles } from '../machine/file-budget.js';
import { unlinkIfThere } from './object-files.js';
import { NoRoom } from './full.js';
import { unpack } from './inflate.js';
import { errorCode } from './layout.js';
import { freeBytes, slackBytes } from './room.js';
import type { Want } from './want.js';

/**
 * Verifies stored bytes and writes the plain ones to a new file, unless that would fill the disk. No
 * fsync: see `stampOf`.
 * @throws PinfsError as unpack; NoRoom; errors of the file system as Node gives them. No file is left then.
 */
export function prepareObject(
  stored: Buffer,
  want: Want,
  temporary: string,
): { size: number; sha256: Buffer } {
  const plain = unpack(stored, want);
  writeFile(temporary, plain);
  return { size: plain.length, sha256: createHash('sha256').update(plain).digest() };
}

function writeFile(file: string, bytes: Buffer): void {
  if (isFull(dirname(file), bytes.length)) throw new NoRoom(bytes.length, false);
  let fd: number | undefined;
  try {
    fd = withFiles(() => openNew(file));
    for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
  } catch (thrown) {
    if (fd !== undefined) unlinkIfThere(file);
    const code = errorCode(thrown);
    throw code === 'ENOSPC' || code === 'EDQUOT' ? new NoRoom(bytes.length, true) : thrown;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Found out before writing: a large object would take the last room from others until it fails. */
function isFull(directory: string, bytes: number): boolean {
  try {
    return freeBytes(directory) < bytes + slackBytes;
  } catch (thrown) {
    // Someone emptied the cache below us.
    if (errorCode(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

function openNew(file: string): number {
  try {
    return openSync(file, 'wx', 0o444);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
    // Someone emptied the cache below us.
    makeDirectory(dirname(file));
    return openSync(file, 'wx', 0o444);
  }
}
