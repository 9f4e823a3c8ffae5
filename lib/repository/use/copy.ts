import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { printable, toBytes, type ByteString } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import { PinfsError, worseExit } from '../../format/errors.js';
import type { Entry } from '../../tree/entry.js';
import { checkGiven } from '../open/environment.js';
import { list, readRange } from './path.js';
import { openWalkFailures, type WalkFailures } from './walk-failures.js';
import type { Repository } from '../repository.js';

export interface CopyReport {
  entries: number;
  bytes: number;
  /** Paths that could not be made here (devices, sockets, damaged files), with the reason. */
  skipped: string[];
  /** Exit code of a command that ends with this: 0, or that of the worst reason. */
  exit: number;
}

interface Copy {
  readonly repository: Repository;
  readonly report: CopyReport;
  readonly changed: (report: CopyReport) => void;
  /** Where the first name of each hard-linked file was written, by inode number. */
  readonly links: Map<bigint, Buffer>;
  readonly failures: WalkFailures;
}

/**
 * Copies an entry, and all below a directory, to `destination` (or into it, where it is a directory).
 * Modes (without setuid and setgid), times (to the microsecond), links and hard links are kept. Nothing
 * that exists is overwritten, and no symlink at the destination is followed. In a directory it gets the
 * name `name`, where it is not its own: that of a link which led to it.
 * @throws PinfsError USAGE (it exists, or is empty), INTERNAL (the local disk).
 */
export async function copyOut(
  repository: Repository,
  start: Entry,
  destination: string,
  changed: (report: CopyReport) => void,
  name = start.name,
): Promise<CopyReport> {
  const report: CopyReport = { entries: 0, bytes: 0, skipped: [], exit: 0 };
  const copy: Copy = {
    repository,
    report,
    changed,
    links: new Map(),
    failures: openWalkFailures(repository.store),
  };
  await copyEntry(
    copy,
    start,
    firstTarget(
      resolve(checkGiven('the destination', destination)),
      name === '' ? repository.fqrn : name,
    ),
  );
  return report;
}

function firstTarget(destination: string, name: ByteString): Buffer {
  const existing = fs.statSync(destination, { throwIfNoEntry: false });
  if (existing === undefined) return Buffer.from(destination);
  if (!existing.isDirectory()) {
    throw new PinfsError('USAGE', `${destination} exists`, { advice: 'Name a new path.' });
  }
  return Buffer.concat([Buffer.from(join(destination, '/')), toBytes(name)]);
}

// What a local file system says of an entry that it can't hold; anything else is a fault of its own.
const notHere = new Set(['EEXIST', 'EILSEQ', 'EINVAL', 'ENAMETOOLONG', 'ENOENT']);

async function copyEntry(copy: Copy, source: Entry, target: Buffer): Promise<void> {
  const entry = source;
  copy.report.entries += 1;
  copy.changed(copy.report);
  if (entry.broken !== undefined) {
    skip(copy, entry.path, entry.broken);
    return;
  }
  try {
    await copyAny(copy, source, target);
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (error instanceof PinfsError || !notHere.has(code)) throw error;
    skip(copy, entry.path, `it can't be made here: ${code}`);
  }
}

async function copyAny(copy: Copy, source: Entry, target: Buffer): Promise<void> {
  const entry = source;
  switch (entry.type) {
    case 'directory':
      await copyDirectory(copy, source, target);
      return;
    case 'file':
      await copyFile(copy, source, target);
      return;
    case 'symlink':
      fs.symlinkSync(toBytes(entry.target), target);
      fs.lutimesSync(target, time(source), time(source));
      return;
    case 'character':
    case 'block':
    case 'fifo':
    case 'socket':
      skip(copy, entry.path, `it is a ${entry.type}`);
  }
}

function skip(copy: Copy, path: ByteString, reason: PinfsError | string): void {
  const [text, exit] = typeof reason === 'string' ? [reason, 1] : [reason.message, reason.exit];
  const shown = `${printable(path) || '/'}: `;
  // Errors of reading begin with the path.
  copy.report.skipped.push(text.startsWith(shown) ? text : shown + text);
  copy.report.exit = worseExit(copy.report.exit, exit);
}

async function copyDirectory(copy: Copy, source: Entry, target: Buffer): Promise<void> {
  fs.mkdirSync(target, { mode: 0o700 });
  const slash = Buffer.from('/');
  try {
    for await (const child of list(copy.repository, source)) {
      await copyEntry(copy, child, Buffer.concat([target, slash, toBytes(child.name)]));
    }
  } catch (error) {
    skip(copy, source.path, copy.failures.orEnd(error));
  }
  fs.chmodSync(target, source.mode & 0o1777);
  fs.utimesSync(target, time(source), time(source));
}

async function copyFile(copy: Copy, source: Entry, target: Buffer): Promise<void> {
  const first = source.linkGroup === 0 ? undefined : copy.links.get(source.ino);
  if (first !== undefined && isLinked(first, target)) return;
  const file = fs.openSync(target, 'wx', 0o600);
  try {
    for await (const piece of readRange(copy.repository, source)) {
      writeAll(file, piece);
      copy.report.bytes += piece.length;
    }
    fs.fchmodSync(file, source.mode & 0o1777);
    fs.futimesSync(file, time(source), time(source));
  } catch (error) {
    fs.rmSync(target, { force: true });
    skip(copy, source.path, copy.failures.orEnd(error));
    return;
  } finally {
    fs.closeSync(file);
  }
  if (source.linkGroup !== 0) copy.links.set(source.ino, target);
}

/**
 * The time of an entry for `utimes`, to the microsecond: Node takes seconds as a double, and its libuv
 * cuts them to whole microseconds, towards zero; half of one beyond keeps the digits from rounding. A
 * text, because Node takes a number below zero for now.
 */
function time({ mtime, mtimeNs }: Entry): string {
  const beyond = mtime < 0 ? -0.5 : 0.5;
  return String(mtime + (Math.floor(mtimeNs / 1000) + beyond) / 1e6);
}

/** Another name for a file; not where it has as many as it can have. */
function isLinked(first: Buffer, target: Buffer): boolean {
  try {
    fs.linkSync(first, target);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EMLINK') return false;
    throw error;
  }
}

/** A write may be short, as on a disk that becomes full. */
function writeAll(file: number, bytes: Buffer): void {
  for (let at = 0; at < bytes.length;) at += fs.writeSync(file, bytes, at);
}
