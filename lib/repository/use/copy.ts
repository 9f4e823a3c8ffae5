import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { printable, toBytes, type ByteString } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError, worseExit } from '../../format/errors.js';
import type { Entry } from '../../tree/entry.js';
import { checkGiven } from '../open/environment.js';
import { openCatalogsAhead, type CatalogsAhead } from './catalogs-ahead.js';
import { list, readRange } from './path.js';
import { openPlaces, type Places } from './places.js';
import { openWalkFailures, type WalkFailures } from './walk-failures.js';
import type { Repository } from '../repository.js';
import {
  giveName,
  inDirectory,
  openTemporaries,
  standingAt,
  sweepTemporaries,
  timeText,
  writeSparse,
  type Temporaries,
} from './copy-target.js';

export interface CopyReport {
  /** All that was come to. */
  entries: number;
  /** What is no directory and is there now, whether it was copied now or before. */
  files: number;
  /** Of those: what was there already. */
  before: number;
  /** Bytes of content that were written. */
  bytes: number;
  /** Paths that could not be made here (devices, sockets, damaged files), with the reason. */
  skipped: string[];
  /** Exit code of a command that ends with this: 0, or that of the worst reason. */
  exit: number;
}

export interface CopyOptions {
  /** Told often of what is done so far. */
  readonly changed?: (report: CopyReport) => void;
  /** Its name in the destination, where that is a directory and this is not its own: that of a link which led to it. */
  readonly name?: ByteString;
  /** The content of a directory goes into the destination itself, though that is one. */
  readonly contents?: boolean;
  /** What is there and differs in size or time is replaced. */
  readonly update?: boolean;
  /** Owners and groups as they were published. */
  readonly owners?: boolean;
  /** Told once how to clean up where the process is to end before the copy does. */
  readonly began?: (abandon: () => void) => void;
}

interface Copy {
  readonly options: CopyOptions;
  /** All is copied but for mode and times of the first directory. */
  readonly ended: () => void;
  readonly temporaries: Temporaries;
  readonly repository: Repository;
  readonly report: CopyReport;
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
 * Copies an entry, and all below a directory, to `destination`, or into it, where it is a directory; the content of
 * the root, which has no name, goes into the destination itself. Modes (without setuid and setgid), times (to the
 * microsecond), links and hard links are kept, blocks of zeros become holes. A file gets its name when it is whole.
 * What was copied before is not copied again, so a copy that was interrupted goes on; what differs is not
 * overwritten unless asked for, and no symlink at the destination is followed.
 * @throws PinfsError USAGE (a file exists and differs, the destination is empty), INTERNAL (the local disk).
 */
export async function copyOut(
  repository: Repository,
  start: Entry,
  destination: string,
  options: CopyOptions = {},
): Promise<CopyReport> {
  const temporaries = openTemporaries();
  const target = firstTarget(start, resolve(checkGiven('the destination', destination)), options);
  const copy: Copy = {
    ...{ repository, options, temporaries },
    ended: target.done,
    report: { entries: 0, files: 0, before: 0, bytes: 0, skipped: [], exit: 0 },
    links: new Map(),
    failures: openWalkFailures(repository.store),
    places: openPlaces(filesAtOnceMax),
    ahead: openCatalogsAhead(repository, start),
  };
  options.began?.(() => temporaries.remove());
  try {
    await copyEntry(copy, start, target.path, undefined);
  } finally {
    copy.ahead.end();
    await copy.places.end();
    temporaries.remove();
  }
  copy.report.skipped.sort();
  return copy.report;
}

interface FirstTarget {
  readonly path: Buffer;
  /** The copy has come to its end. */
  readonly done: () => void;
}

/** Says in a directory that is made by a copy which one it is, so that the same command goes on there. */
const unfinishedName = '.pinfs-unfinished-copy';

function firstTarget(start: Entry, destination: string, options: CopyOptions): FirstTarget {
  const path = Buffer.from(destination);
  const isDirectory = start.type === 'directory';
  const mark = join(destination, unfinishedName);
  const whose = `${printable(start.path) || '/'}\n`;
  const done = (): void => fs.rmSync(mark, { force: true });
  const existing = fs.statSync(destination, { throwIfNoEntry: false });
  if (existing === undefined) {
    if (!isDirectory) return { path, done: () => undefined };
    fs.mkdirSync(destination, { mode: 0o700 });
    fs.writeFileSync(mark, whose, { flag: 'wx' });
    return { path, done };
  }
  if (!existing.isDirectory()) {
    if (!isDirectory && (options.update === true || standingAt(start, path) === 'copied'))
      return { path, done: () => undefined };
    throw new PinfsError('USAGE', `${destination} exists`, {
      advice: 'Name a new path; --update replaces a file that differs.',
    });
  }
  const name = options.name ?? start.name;
  if (isDirectory && (name === '' || options.contents === true)) return { path, done };
  if (isDirectory && readMark(mark) === whose) return { path, done };
  const inside = Buffer.concat([Buffer.from(join(destination, '/')), toBytes(name)]);
  return { path: inside, done: () => undefined };
}

function readMark(path: string): string | undefined {
  try {
    return fs.readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
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
  copy.options.changed?.(copy.report);
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
    skip(copy, path, `it can't be made here: ${fileFault(error, 'write').why}`);
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
      copyLink(copy, source, target);
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

function copyLink(copy: Copy, source: Entry, target: Buffer): void {
  const standing = standingAt(source, target);
  if (standing === 'nothing' || (standing === 'other' && copy.options.update === true)) {
    const temporary = copy.temporaries.beside(target);
    try {
      fs.symlinkSync(toBytes(source.target), temporary);
      if (copy.options.owners === true) fs.lchownSync(temporary, source.uid, source.gid);
      fs.lutimesSync(temporary, timeText(source), timeText(source));
      fs.renameSync(temporary, target);
    } catch (error) {
      fs.rmSync(temporary, { force: true });
      throw error;
    } finally {
      copy.temporaries.gone(temporary);
    }
  } else if (standing === 'other') {
    skip(copy, source.path, itDiffers);
    return;
  } else copy.report.before += 1;
  copy.report.files += 1;
}

const itDiffers = 'it exists, and differs (--update replaces it)';

/** A directory that is there is gone on with. @throws EEXIST where it is something else. */
function makeDirectory(target: Buffer): void {
  try {
    fs.mkdirSync(target, { mode: 0o700 });
  } catch (error) {
    const it = errorCode(error) === 'EEXIST' ? fs.lstatSync(target) : undefined;
    if (it?.isDirectory() !== true) throw error;
    // A copy may have finished it, and taken the right to write away.
    if ((it.mode & 0o700) !== 0o700) fs.chmodSync(target, it.mode | 0o700);
    sweepTemporaries(target);
  }
}

async function copyDirectory(
  copy: Copy,
  source: Entry,
  target: Buffer,
  above: OpenDirectory | undefined,
): Promise<void> {
  makeDirectory(target);
  const finish = (): void => {
    if (above === undefined) copy.ended();
    if (copy.options.owners === true) fs.chownSync(target, source.uid, source.gid);
    fs.chmodSync(target, source.mode & 0o1777);
    fs.utimesSync(target, timeText(source), timeText(source));
  };
  const here = { left: 1, finish, above };
  if (above !== undefined) above.left += 1;
  let isFirst = true;
  try {
    for await (const child of list(copy.repository, source)) {
      if (isFirst) copy.ahead.entered(source);
      isFirst = false;
      await copyEntry(copy, child, inDirectory(target, toBytes(child.name)), here);
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
  const standing = standingAt(source, target);
  if (standing === 'other' && copy.options.update !== true) {
    skip(copy, source.path, itDiffers);
    return;
  }
  const isThere = standing === 'copied';
  if (isThere) copy.report.before += 1;
  const written =
    source.linkGroup === 0
      ? isThere || (await copyContent(copy, source, target))
      : await copyGroup(copy, source, target, isThere);
  if (written) copy.report.files += 1;
  copy.options.changed?.(copy.report);
}

/** A name of a file that may have others. @returns whether it is there now. */
async function copyGroup(
  copy: Copy,
  source: Entry,
  target: Buffer,
  isThere: boolean,
): Promise<boolean> {
  const before = copy.links.get(source.ino);
  const written = isThere
    ? Promise.resolve<Buffer | undefined>(target)
    : copyLinked(copy, source, target, before);
  copy.links.set(source.ino, written);
  return (await written) !== undefined;
}

/** @returns where a name of it lies that others can be linked to. */
async function copyLinked(
  copy: Copy,
  source: Entry,
  target: Buffer,
  before: Promise<Buffer | undefined> | undefined,
): Promise<Buffer | undefined> {
  const first = await before;
  if (first !== undefined && isLinked(copy, first, target)) return first;
  return (await copyContent(copy, source, target)) ? target : undefined;
}

/** @returns whether it is there now. */
async function copyContent(copy: Copy, source: Entry, target: Buffer): Promise<boolean> {
  const temporary = copy.temporaries.beside(target);
  const file = fs.openSync(temporary, 'wx', 0o600);
  try {
    let position = 0;
    for await (const piece of readRange(copy.repository, source)) {
      writeSparse(file, piece, position);
      position += piece.length;
      copy.report.bytes += piece.length;
      copy.options.changed?.(copy.report);
    }
    // A hole at the end.
    fs.ftruncateSync(file, position);
    if (copy.options.owners === true) fs.fchownSync(file, source.uid, source.gid);
    fs.fchmodSync(file, source.mode & 0o1777);
    fs.futimesSync(file, timeText(source), timeText(source));
    giveName(temporary, target, copy.options.update === true);
    return true;
  } catch (error) {
    fs.rmSync(temporary, { force: true });
    const code = errorCode(error) ?? '';
    if (!(error instanceof PinfsError) && notHere.has(code)) throw error;
    skip(copy, source.path, copy.failures.orEnd(error));
    return false;
  } finally {
    copy.temporaries.gone(temporary);
    fs.closeSync(file);
  }
}

/** Another name for a file; not where it has as many as it can have. */
function isLinked({ options }: Copy, first: Buffer, target: Buffer): boolean {
  try {
    if (options.update === true) fs.rmSync(target, { force: true });
    fs.linkSync(first, target);
    return true;
  } catch (error) {
    if (errorCode(error) === 'EMLINK') return false;
    throw error;
  }
}
