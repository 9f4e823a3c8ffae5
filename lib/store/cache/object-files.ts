import { lstatSync, renameSync, unlinkSync, type BigIntStats } from 'node:fs';
import { join } from 'node:path';
import { makeDirectory } from '../../files/make.js';
import { isOurs } from '../../files/owners.js';
import { lookAtOurs, openOurs, removeEntry, type RegularFile } from '../../files/regular.js';
import { objectFile } from './layout.js';
import { parseKey, type ObjectKey } from '../key.js';
import { stampOf } from './stamp.js';
import { errorCode } from '../../format/errno.js';

/* The files below objects/. Whatever else lies in the place of one is thrown out; `at` leads to the cache directory. */

/** Opens the file of an object for reading, without waiting for anything. @throws errors of the file system. */
export function openObject(at: string, key: ObjectKey): RegularFile | 'missing' | 'other' {
  return openOurs(objectFile(at, key));
}

/** Removes the file of an object. A key that is none (of a damaged record) names no file. */
export function removeObject(at: string, key: string): void {
  const parsed = parseKey(key);
  if (parsed !== undefined) removeEntry(objectFile(at, parsed));
}

/** The stamp of an object's file, if there is one. */
export function stampInPlace(at: string, key: ObjectKey): string | undefined {
  const status = lookAtOurs(objectFile(at, key));
  return typeof status === 'string' ? undefined : stampOf(status);
}

/** Puts a file of tmp/ in the place of an object. @throws errors of the file system. */
export function moveInto(at: string, temporary: string, key: ObjectKey): BigIntStats {
  const file = objectFile(at, key);
  const folder = join(at, 'objects', key.slice(0, 2));
  // A link there would lead out of the cache.
  if (!isFolder(folder)) makeFolder(at, folder);
  try {
    renameSync(temporary, file);
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === 'EISDIR' || code === 'ENOTEMPTY' || code === 'EEXIST') {
      removeEntry(file);
      renameSync(temporary, file);
    } else if (code !== 'ENOENT' || typeof lookAtOurs(file) === 'string') throw thrown;
    // Where the transaction is run a second time, the file lies there already.
  }
  const status = lookAtOurs(file);
  if (typeof status === 'string') throw new Error(`${file} was replaced at once`);
  return status;
}

function isFolder(path: string): boolean {
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status?.isDirectory() === true && isOurs(status) && (status.mode & 0o022) === 0;
}

function makeFolder(at: string, folder: string): void {
  removeEntry(folder);
  makeDirectory(join(at, 'objects'));
  makeDirectory(folder);
}

export function unlinkIfThere(file: string): boolean {
  try {
    unlinkSync(file);
    return true;
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return false;
    throw thrown;
  }
}
