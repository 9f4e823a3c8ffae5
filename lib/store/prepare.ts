import { createHash } from 'node:crypto';
import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectory } from '../files/make.js';
import { withFiles } from '../machine/file-budget.js';
import { unlinkIfThere } from './disk-shelf.js';
import { unpack } from './inflate.js';
import { errorCode } from './layout.js';
import type { Want } from './want.js';

/**
 * Verifies stored bytes and writes the plain ones to a new file. No fsync: see `stampOf`.
 * @throws PinfsError as unpack; errors of the file system as Node gives them, and no file is left then.
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
  const fd = withFiles(() => openNew(file));
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
  } catch (thrown) {
    closeSync(fd);
    unlinkIfThere(file);
    throw thrown;
  }
  closeSync(fd);
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
