import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  rmSync,
  unlinkSync,
  type BigIntStats,
} from 'node:fs';
import { ownUser } from './owners.js';
import { errorCode } from '../format/errno.js';

/** A file that is open for reading. */
export interface RegularFile {
  readonly fd: number;
  readonly status: BigIntStats;
}

/** Errors of open(2) for what is there, and is no file that we could have written. */
const codesOfOthers = new Set(['ELOOP', 'ENXIO', 'ENODEV', 'EISDIR', 'EACCES', 'EPERM']);
const codesOfNothing = new Set(['ENOENT', 'ENOTDIR']);
/** Likewise where the last name isn't followed: a link above it leads in circles. */
const codesOfNoEntry = new Set([...codesOfNothing, 'ELOOP']);

/**
 * Opens a file of ours for reading, without waiting (a FIFO would wait for its writer) and without following a
 * link. @returns `missing`; `other` for what isn't a regular file of ours. @throws other errors of the file system.
 */
export function openOurs(path: string): RegularFile | 'missing' | 'other' {
  return openFile(path, false);
}

/** Likewise a file of ours or root's. */
export function openTrusted(path: string): RegularFile | 'missing' | 'other' {
  return openFile(path, true);
}

function openFile(path: string, rootsToo: boolean): RegularFile | 'missing' | 'other' {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
  } catch (thrown) {
    const code = errorCode(thrown) ?? '';
    if (codesOfNothing.has(code)) return 'missing';
    if (codesOfOthers.has(code)) return 'other';
    throw thrown;
  }
  const status = fstatSync(fd, { bigint: true });
  if (isOurFile(status) || (rootsToo && status.isFile() && status.uid === 0n))
    return { fd, status };
  closeSync(fd);
  return 'other';
}

const smallBytes = 4096;

/** The first bytes of a file of ours or root's, as Latin-1 (at most 4 KiB). @throws other errors of the file system. */
export function readSmall(path: string): 'missing' | 'other' | { readonly text: string } {
  const file = openTrusted(path);
  if (file === 'missing' || file === 'other') return file;
  try {
    const bytes = Buffer.alloc(smallBytes);
    return { text: bytes.toString('latin1', 0, readSync(file.fd, bytes, 0, smallBytes, 0)) };
  } finally {
    closeSync(file.fd);
  }
}

/** What lies at a path, which is not opened: SQLite loses its locks on a file that is closed beside it. */
export function lookAtOurs(path: string): BigIntStats | 'missing' | 'other' {
  try {
    const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (status === undefined) return 'missing';
    return isOurFile(status) ? status : 'other';
  } catch (thrown) {
    if (codesOfNoEntry.has(errorCode(thrown) ?? '')) return 'missing';
    throw thrown;
  }
}

function isOurFile(status: BigIntStats): boolean {
  const self = ownUser();
  return status.isFile() && (self === undefined || status.uid === BigInt(self));
}

/** Removes whatever lies at a path, a directory with all that is in it. @returns whether something did. */
export function removeEntry(path: string): boolean {
  try {
    unlinkSync(path);
    return true;
  } catch (thrown) {
    const code = errorCode(thrown) ?? '';
    if (codesOfNoEntry.has(code)) return false;
    if (code !== 'EISDIR' && code !== 'EPERM') throw thrown;
    // EPERM is also a file that may not be removed: the way of directories would call it none.
    if (!lstatSync(path).isDirectory()) throw thrown;
  }
  rmSync(path, { recursive: true, force: true });
  return true;
}
