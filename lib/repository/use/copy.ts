import * as fs from 'node:fs';
import { join, resolve } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { smallObjectBytesMax } from '../../eviction/amounts.js';
import { printable, toBytes } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import type { Entry } from '../../tree/entry.js';
import { checkGiven } from '../open/environment.js';
import { openArrivals } from './arrivals.js';
import { openCatalogsAhead } from './catalogs-ahead.js';
import { copyFile, copySmall, copyWhenHere } from './copy-file.js';
import { itDiffers, oneDone, skip, skipNotHere } from './copying.js';
import type { Copy, CopyOptions, CopyReport, OpenDirectory } from './copying.js';
import {
  inDirectory,
  openTemporaries,
  standingAt,
  sweepTemporaries,
  timeText,
} from './copy-target.js';
import { list } from './path.js';
import { openPlaces } from './places.js';
import type { Repository } from '../repository.js';
import { openWalkFailures } from './walk-failures.js';

/** Each has a buffer of up to 1 MiB, and a descriptor. */
const filesAtOnceMax = 16;
/** Small files that are written in one turn of the event loop. */
const writtenAtOnce = 32;

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
  const places = openPlaces(filesAtOnceMax);
  let written = 0;
  const copy: Copy = {
    ...{ repository, options, temporaries },
    ended: target.done,
    report: { entries: 0, files: 0, before: 0, bytes: 0, skipped: [], exit: 0 },
    links: new Map(),
    failures: openWalkFailures(repository.store),
    places,
    arrivals: openArrivals(repository, places, {
      came: (file) => copySmall(copy, file),
      lacks: (file) => copyWhenHere(copy, file),
      isOver: () => false,
    }),
    scratch: Buffer.allocUnsafe(smallObjectBytesMax),
    breath: () => (++written % writtenAtOnce === 0 ? turn() : undefined),
    ahead: openCatalogsAhead(repository, start),
  };
  options.began?.(() => temporaries.remove());
  try {
    await copyEntry(copy, start, target.path, undefined);
    await copy.arrivals.end();
  } finally {
    copy.arrivals.close();
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
  try {
    await copyAny(copy, source, target, above);
  } catch (error) {
    skipNotHere(copy, source, error);
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
      await copyFile(copy, { source, target, above });
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

/**
 * A directory that is there is gone on with. @returns whether it is new.
 * @throws EEXIST where it is something else.
 */
function makeDirectory(target: Buffer): boolean {
  try {
    fs.mkdirSync(target, { mode: 0o700 });
    return true;
  } catch (error) {
    const it = errorCode(error) === 'EEXIST' ? fs.lstatSync(target) : undefined;
    if (it?.isDirectory() !== true) throw error;
    // A copy may have finished it, and taken the right to write away.
    if ((it.mode & 0o700) !== 0o700) fs.chmodSync(target, it.mode | 0o700);
    sweepTemporaries(target);
    return false;
  }
}

async function copyDirectory(
  copy: Copy,
  source: Entry,
  target: Buffer,
  above: OpenDirectory | undefined,
): Promise<void> {
  const isNew = makeDirectory(target);
  const finish = (): void => {
    if (above === undefined) copy.ended();
    if (copy.options.owners === true) fs.chownSync(target, source.uid, source.gid);
    fs.chmodSync(target, source.mode & 0o1777);
    const time = timeText(source);
    fs.utimesSync(target, time, time);
  };
  const here = { left: 1, finish, isNew, above };
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
