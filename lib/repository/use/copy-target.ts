import * as fs from 'node:fs';
import { toBytes } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import type { Entry } from '../../tree/entry.js';

/* The local side of a copy: files that appear whole under their names, or not at all. */

const slash = Buffer.from('/');

/** A path in a directory. */
export function inDirectory(directory: Buffer, name: string | Buffer): Buffer {
  return Buffer.concat([directory, slash, typeof name === 'string' ? Buffer.from(name) : name]);
}

function directoryOf(target: Buffer): Buffer {
  const end = target.lastIndexOf(0x2f);
  return end < 0 ? Buffer.from('.') : target.subarray(0, Math.max(end, 1));
}

/** Names under which files are written, until they are whole. */
export interface Temporaries {
  /** A new one in the directory of a file. */
  beside(target: Buffer): Buffer;
  /** It is there no more: it has its own name, or failed. */
  gone(path: Buffer): void;
  /** Removes all that are left, as where the process ends now. */
  remove(): void;
}

// Not made of the name of the file, which may be as long as a name can be.
const temporaryName = /^\.pinfs-copy-(\d{1,10})-\d+$/;

export function openTemporaries(): Temporaries {
  const paths = new Map<string, Buffer>();
  let count = 0;
  return {
    beside(target) {
      const path = inDirectory(directoryOf(target), `.pinfs-copy-${process.pid}-${count++}`);
      paths.set(path.toString('latin1'), path);
      return path;
    },
    gone(path) {
      paths.delete(path.toString('latin1'));
    },
    remove() {
      for (const path of paths.values()) fs.rmSync(path, { force: true });
      paths.clear();
    },
  };
}

/** Removes what a copy that was killed has left in a directory. */
export function sweepTemporaries(directory: Buffer): void {
  for (const name of fs.readdirSync(directory, 'latin1')) {
    const pid = Number(temporaryName.exec(name)?.[1] ?? NaN);
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    fs.rmSync(inDirectory(directory, Buffer.from(name, 'latin1')), { force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return errorCode(error) === 'EPERM';
  }
}

/** What stands where an entry is to be copied to. */
export type Standing = 'nothing' | 'copied' | 'other';

/** Whether an entry was copied before: a file of its size and time is whole, for it got its name last. */
export function standingAt(source: Entry, target: Buffer): Standing {
  const it = fs.lstatSync(target, { bigint: true, throwIfNoEntry: false });
  if (it === undefined) return 'nothing';
  const isSame =
    (source.type === 'directory' && it.isDirectory()) ||
    (source.type === 'symlink' &&
      it.isSymbolicLink() &&
      fs.readlinkSync(target, 'buffer').equals(toBytes(source.target))) ||
    (source.type === 'file' &&
      it.isFile() &&
      it.size === BigInt(source.size) &&
      isSameTime(source, it.mtimeNs));
  return isSame ? 'copied' : 'other';
}

/** As far as the time could be kept here: to the microsecond, or the second. */
function isSameTime({ mtime, mtimeNs }: Entry, there: bigint): boolean {
  const published = BigInt(mtime) * 1_000_000_000n + BigInt(Math.floor(mtimeNs / 1000) * 1000);
  const isWholeSecond = there % 1_000_000_000n === 0n;
  return there === published || (isWholeSecond && there === BigInt(mtime) * 1_000_000_000n);
}

/** A file that is written under another name, and gets its own when it is whole. */
export interface NewFile {
  /** Blocks of zeros are left out: they are holes. */
  write(bytes: Buffer, position: number): void;
  /** Gives it what an entry says, and its name. @throws as `giveName` */
  finish(source: Entry, size: number, how: NewFileOptions): void;
  /** Takes it away, unless it is finished. */
  close(): void;
}

export interface NewFileOptions {
  /** It gets the owner of the entry. */
  readonly owners?: boolean;
  /** It replaces what stands there. */
  readonly update?: boolean;
}

const { O_WRONLY, O_CREAT, O_EXCL } = fs.constants;

/** @throws errors of the file system. */
export function newFile(temporaries: Temporaries, target: Buffer): NewFile {
  const path = temporaries.beside(target);
  const file = fs.openSync(path, O_WRONLY | O_CREAT | O_EXCL, 0o600);
  let [end, isFinished] = [0, false];
  return {
    write(bytes, position) {
      end = Math.max(end, writeSparse(file, bytes, position));
    },
    finish(source, size, { owners, update }) {
      if (end < size) fs.ftruncateSync(file, size);
      if (owners === true) fs.fchownSync(file, source.uid, source.gid);
      fs.fchmodSync(file, source.mode & 0o1777);
      const time = timeText(source);
      fs.futimesSync(file, time, time);
      giveName(path, target, update === true);
      isFinished = true;
    },
    close() {
      fs.closeSync(file);
      if (!isFinished) fs.rmSync(path, { force: true });
      temporaries.gone(path);
    },
  };
}

/** Gives a file its own name. Without `replace`, throws EEXIST where there is something. */
function giveName(temporary: Buffer, target: Buffer, replace: boolean): void {
  if (replace) {
    fs.renameSync(temporary, target);
    return;
  }
  try {
    fs.linkSync(temporary, target);
  } catch (error) {
    // Not every file system has links.
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(errorCode(error) ?? ''))
      throw error;
    if (fs.lstatSync(target, { throwIfNoEntry: false }) !== undefined)
      throw Object.assign(new Error('it exists'), { code: 'EEXIST' });
    fs.renameSync(temporary, target);
    return;
  }
  fs.unlinkSync(temporary);
}

const blockBytes = 4096;
const zeros = Buffer.alloc(blockBytes);

/**
 * Writes bytes to their place, and leaves blocks of zeros out: they are holes. A write may be short, as on a full disk.
 * @returns the place behind the last one that was written to.
 */
function writeSparse(file: number, bytes: Buffer, position: number): number {
  let last = 0;
  for (let at = 0; at < bytes.length;) {
    const begin = at;
    while (at < bytes.length && !isHole(bytes, at)) at = Math.min(at + blockBytes, bytes.length);
    for (let done = begin; done < at;)
      done += fs.writeSync(file, bytes, done, at - done, position + done);
    if (at > begin) last = position + at;
    while (at < bytes.length && isHole(bytes, at)) at += blockBytes;
  }
  return last;
}

/** The end of a piece is written in any case: what follows may begin anywhere. */
function isHole(bytes: Buffer, at: number): boolean {
  const end = at + blockBytes;
  return end <= bytes.length && bytes.compare(zeros, 0, blockBytes, at, end) === 0;
}

/**
 * The time of an entry for `utimes`, to the microsecond: Node takes seconds as a double, and its libuv
 * cuts them to whole microseconds, towards zero; half of one beyond keeps the digits from rounding. A
 * text, because Node takes a number below zero for now.
 */
export function timeText({ mtime, mtimeNs }: Entry): string {
  const beyond = mtime < 0 ? -0.5 : 0.5;
  return String(mtime + (Math.floor(mtimeNs / 1000) + beyond) / 1e6);
}
