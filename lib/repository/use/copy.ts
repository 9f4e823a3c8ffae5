import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { printable, toBytes, type ByteString } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import { PinfsError, worseExit } from '../../format/errors.js';
import type { Entry } from '../../tree/entry.js';
import { checkGiven } from '../open/environment.js';
import { openCatalogsAhead, type CatalogsAhead } from './catalogs-ahead.js';
import { list, readRange } from './path.js';
import { openPlaces, type Places } from './places.js';
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
  /** Where a name of each hard-linked file was written, by inode number; undefined: nowhere. */
  readonly links: Map<bigint, Promise<Buffer | undefined>>;
  readonly failures: WalkFailures;
  /** For files: they are copied several at once, while the walk goes on. */
  readonly places: Places;
  readonly ahead: CatalogsAhead;
}

/** A directory of the copy as long as something is put into it. */
interface OpenDirectory {
  /** What is not done: the list of its entries, and those of them that are files and directories. */
  left: number;
  /** Gives it its own mode and times. */
  readonly finish: () => void;
  readonly above: OpenDirectory | undefined;
}

/** Each has a buffer of up to 1 MiB, and a descriptor. */
const filesAtOnceMax = 16;

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
    places: openPlaces(filesAtOnceMax),
    ahead: openCatalogsAhead(repository, start),
  };
  const given = resolve(checkGiven('the destination', destination));
  const target = firstTarget(given, name === '' ? repository.fqrn : name);
  try {
    await copyEntry(copy, start, target, undefined);
  } finally {
    copy.ahead.end();
    await copy.places.end();
  }
  report.skipped.sort();
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

async function copyEntry(
  copy: Copy,
  source: Entry,
  target: Buffer,
  above: OpenDirectory | undefined,
): Promise<void> {
  copy.report.entries += 1;
  copy.changed(copy.report);
  if (source.broken !== undefined) {
    skip(copy, source.path, source.broken);
    return;
  }
  await unlessNotHere(copy, source, () => copyAny(copy, source, target, above));
}

async function unlessNotHere(
  copy: Copy,
  { path }: Entry,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
  } catch (error) {
    const code = errorCode(error) ?? '';
    if (error instanceof PinfsError || !notHere.has(code)) throw error;
    skip(copy, path, `it can't be made here: ${code}`);
  }
}

async function copyAny(
  copy: Copy,
  source: Entry,
  target: Buffer,
  above: OpenDirectory | undefined,
): Promise<void> {
  switch (source.type) {
    case 'directory':
      await copyDirectory(copy, source, target, above);
      return;
    case 'file':
      if (above !== undefined) above.left += 1;
      await copy.places.begin(async () => {
        await unlessNotHere(copy, source, () => copyFile(copy, source, target));
        oneDone(above);
      });
      return;
    case 'symlink':
      fs.symlinkSync(toBytes(source.target), target);
      fs.lutimesSync(target, time(source), time(source));
      return;
    case 'character':
    case 'block':
    case 'fifo':
    case 'socket':
      skip(copy, source.path, `it is a ${source.type}`);
  }
}

function skip(copy: Copy, path: ByteString, reason: PinfsError | string): void {
  const [text, exit] = typeof reason === 'string' ? [reason, 1] : [reason.message, reason.exit];
  const shown = `${printable(path) || '/'}: `;
  // Errors of reading begin with the path.
  copy.report.skipped.push(text.startsWith(shown) ? text : shown + text);
  copy.report.exit = worseExit(copy.report.exit, exit);
}

async function copyDirectory(
  copy: Copy,
  source: Entry,
  target: Buffer,
  above: OpenDirectory | undefined,
): Promise<void> {
  fs.mkdirSync(target, { mode: 0o700 });
  const slash = Buffer.from('/');
  const finish = (): void => {
    fs.chmodSync(target, source.mode & 0o1777);
    fs.utimesSync(target, time(source), time(source));
  };
  const here = { left: 1, finish, above };
  if (above !== undefined) above.left += 1;
  let isFirst = true;
  try {
    for await (const child of list(copy.repository, source)) {
      if (isFirst) copy.ahead.entered(source);
      isFirst = false;
      await copyEntry(copy, child, Buffer.concat([target, slash, toBytes(child.name)]), here);
    }
  } catch (error) {
    skip(copy, source.path, copy.failures.orEnd(error));
  }
  oneDone(here);
}

/** Something in a directory is done: a directory is finished when all in it is, and those above it after it. */
function oneDone(directory: OpenDirectory | undefined): void {
  for (let one = directory; one !== undefined; one = one.above) {
    one.left -= 1;
    if (one.left > 0) return;
    one.finish();
  }
}

async function copyFile(copy: Copy, source: Entry, target: Buffer): Promise<void> {
  if (source.linkGroup === 0) {
    await copyContent(copy, source, target);
    return;
  }
  const before = copy.links.get(source.ino);
  const written = copyLinked(copy, source, target, before);
  copy.links.set(source.ino, written);
  await written;
}

/** @returns where a name of it lies that others can be linked to. */
async function copyLinked(
  copy: Copy,
  source: Entry,
  target: Buffer,
  before: Promise<Buffer | undefined> | undefined,
): Promise<Buffer | undefined> {
  const first = await before;
  if (first !== undefined && isLinked(first, target)) return first;
  return (await copyContent(copy, source, target)) ? target : undefined;
}

/** @returns whether it is there now. */
async function copyContent(copy: Copy, source: Entry, target: Buffer): Promise<boolean> {
  const file = fs.openSync(target, 'wx', 0o600);
  try {
    for await (const piece of readRange(copy.repository, source)) {
      writeAll(file, piece);
      copy.report.bytes += piece.length;
    }
    fs.fchmodSync(file, source.mode & 0o1777);
    fs.futimesSync(file, time(source), time(source));
    return true;
  } catch (error) {
    fs.rmSync(target, { force: true });
    skip(copy, source.path, copy.failures.orEnd(error));
    return false;
  } finally {
    fs.closeSync(file);
  }
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
