import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { isRepositoryName } from '../../format/names.js';
import { makeStateDirectory } from '../../trust/memory/state-files.js';
import type { InodePlace } from '../../filesystem/snapshot-descriptor.js';
import type { GivenNumber } from '../../tree/inode-table.js';
import {
  batchMax,
  decodeHeader,
  encodeBatches,
  encodeInodeHeader,
  headerBytes,
  type InodeMode,
} from './inode-records.js';

// Of a repository whose head is followed for years, the snapshots that were used last keep their numbers.
const filesMax = 64;
const folderBytesMax = 512 * 1024 * 1024;
/** More is not written: about 13 bytes for each of the names that are remembered at most. */
export const fileBytesMax = 112 * 1024 * 1024;
const draftAgeMs = 600_000;

/** The folder with the numbers of all snapshots of a repository. */
function inodeFolder(directory: string, fqrn: string): string {
  return join(directory, 'inodes', fqrn);
}

export function inodeFile({ directory, fqrn, rootHash }: InodePlace): string {
  return join(inodeFolder(directory, fqrn), rootHash);
}

/**
 * Makes the file of a snapshot with these numbers, whole or not at all; one that is there already stays.
 * @returns whether it was made. @throws PinfsError STATE_UNUSABLE, or what the file system throws.
 */
export function ensureInodeFile(
  place: InodePlace,
  mode: InodeMode,
  numbers: Iterable<readonly GivenNumber[]> = [],
): boolean {
  const path = inodeFile(place);
  const folder = inodeFolder(place.directory, place.fqrn);
  for (const directory of [place.directory, join(place.directory, 'inodes'), folder])
    makeStateDirectory(directory);
  if (existsSync(path)) return false;
  const draft = join(folder, `.tmp-${randomBytes(8).toString('hex')}`);
  try {
    writeWhole(draft, place, mode, numbers);
    linkSync(draft, path);
  } catch (thrown) {
    if (isThere(thrown)) return false;
    throw new PinfsError('STATE_UNUSABLE', `${path} can't be made: ${messageOf(thrown)}`, {
      cause: thrown,
    });
  } finally {
    rmSync(draft, { force: true });
  }
  sweep(folder, place.rootHash);
  return true;
}

function writeWhole(
  draft: string,
  { rootHash }: InodePlace,
  mode: InodeMode,
  numbers: Iterable<readonly GivenNumber[]>,
): void {
  const descriptor = openSync(draft, 'wx', 0o600);
  const write = (bytes: Buffer): void => {
    for (let at = 0; at < bytes.length;) at += writeSync(descriptor, bytes, at);
  };
  try {
    write(encodeInodeHeader(rootHash, mode));
    for (const some of numbers) write(encodeBatches(some));
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** To whom the numbers in the file of a snapshot were given; undefined: it can't be told. */
export function modeOf(place: InodePlace): InodeMode | undefined {
  const descriptor = openPlain(inodeFile(place));
  if (descriptor === undefined) return undefined;
  try {
    const mode = readHeader(descriptor, place.rootHash);
    return mode === 'newer' ? undefined : mode;
  } finally {
    closeSync(descriptor);
  }
}

/** Removes the numbers of all snapshots of a repository; false if there were none. @throws PinfsError STATE_UNUSABLE */
export function forgetInodes(directory: string, fqrn: string): boolean {
  const folder = inodeFolder(directory, fqrn);
  if (!isRepositoryName(fqrn) || !existsSync(folder)) return false;
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch (cause) {
    throw new PinfsError('STATE_UNUSABLE', `${folder} can't be removed: ${messageOf(cause)}`, {
      cause,
    });
  }
}

/** So many numbers at a time as go into a batch. */
export function* inBatches(numbers: Iterable<GivenNumber>): Generator<readonly GivenNumber[]> {
  let batch: GivenNumber[] = [];
  for (const given of numbers) {
    batch.push(given);
    if (batch.length < batchMax) continue;
    yield batch;
    batch = [];
  }
  yield batch;
}

/** An open file of inode numbers, its header checked. */
export interface InodeFile {
  readonly descriptor: number;
  readonly size: number;
  /** A later version of pinfs wrote it: nothing is added to it. */
  readonly isNewer: boolean;
}

/**
 * Opens the file of a snapshot for reading and appending; it is made if it is not there, and made anew if it is
 * damaged, or something else is in its place.
 * @throws PinfsError STATE_UNUSABLE, or what the file system throws.
 */
export function openInodeFile(place: InodePlace, report: (error: PinfsError) => void): InodeFile {
  ensureInodeFile(place, 'seen');
  const first = tryFile(place);
  if (first !== undefined) return first;
  const path = inodeFile(place);
  renameSync(path, join(inodeFolder(place.directory, place.fqrn), `.damaged-${place.rootHash}`));
  const what = 'is damaged: it is set aside, and numbers are given anew';
  report(new PinfsError('STATE_UNUSABLE', `the file of inode numbers ${path} ${what}`));
  ensureInodeFile(place, 'seen');
  const second = tryFile(place);
  if (second === undefined) throw new PinfsError('STATE_UNUSABLE', `${path} can't be made anew`);
  return second;
}

/** Undefined: what is there is no such file. */
function tryFile(place: InodePlace): InodeFile | undefined {
  const path = inodeFile(place);
  const descriptor = openPlain(path);
  if (descriptor === undefined) return undefined;
  try {
    const size = checkFile(descriptor, path);
    const mode = size === undefined ? undefined : readHeader(descriptor, place.rootHash);
    const isNewer = mode === 'newer';
    if (mode !== undefined && size !== undefined && (isNewer || size <= fileBytesMax))
      // Of a later version's file, which may be larger, no more is read than of ours.
      return { descriptor, size: Math.min(size, fileBytesMax), isNewer };
    closeSync(descriptor);
    return undefined;
  } catch (thrown) {
    closeSync(descriptor);
    throw thrown;
  }
}

/** Undefined: there is a link, a directory or a socket. */
function openPlain(path: string): number | undefined {
  const { O_RDWR, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = constants;
  try {
    return openSync(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
  } catch (thrown) {
    const code = errorCode(thrown);
    if (code === 'ELOOP' || code === 'EISDIR' || code === 'ENXIO') return undefined;
    throw thrown;
  }
}

/** The size; undefined: it is no plain file. @throws PinfsError STATE_UNUSABLE: others can write it. */
function checkFile(descriptor: number, path: string): number | undefined {
  const stats = fstatSync(descriptor);
  const user = process.geteuid?.();
  if ((user !== undefined && stats.uid !== user) || (stats.mode & 0o022) !== 0)
    throw new PinfsError('STATE_UNUSABLE', `others can write ${path}`);
  return stats.isFile() ? stats.size : undefined;
}

function readHeader(descriptor: number, rootHash: string): InodeMode | 'newer' | undefined {
  const header = Buffer.alloc(headerBytes);
  const length = readSync(descriptor, header, 0, headerBytes, 0);
  return decodeHeader(header.subarray(0, length), rootHash);
}

/** Removes the files that were not used for longest, and what killed processes left. Never throws. */
function sweep(folder: string, own: string): void {
  try {
    const files = readdirSync(folder).map((name) => {
      const { mtimeMs, size } = statSync(join(folder, name));
      return { name, mtimeMs, size };
    });
    files.sort((one, other) => other.mtimeMs - one.mtimeMs);
    let bytes = 0;
    for (const [index, { name, size, mtimeMs }] of files.entries()) {
      bytes += size;
      const tooMany = index >= filesMax || bytes > folderBytesMax;
      const left = name.startsWith('.tmp-') && mtimeMs < Date.now() - draftAgeMs;
      if (name !== own && (tooMany || left)) rmSync(join(folder, name), { force: true });
    }
  } catch {
    // It is tried again with the next snapshot.
  }
}

function isThere(thrown: unknown): boolean {
  return errorCode(thrown) === 'EEXIST';
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
