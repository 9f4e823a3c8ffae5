import * as fs from 'node:fs';
import { errorCode } from '../../format/errno.js';
import { runNow } from '../../store/run.js';
import type { Want } from '../../store/want.js';
import { wholeWant } from '../../tree/content.js';
import type { Entry } from '../../tree/entry.js';
import { newFile, standingAt } from './copy-target.js';
import { isNotHere, itDiffers, oneDone, skip, skipNotHere } from './copying.js';
import type { Copy, FileToCopy } from './copying.js';
import { readRange } from './path.js';

/** Copies a regular file, now or as soon as its content is here. */
export async function copyFile(copy: Copy, file: FileToCopy): Promise<void> {
  if (file.above !== undefined) file.above.left += 1;
  const small = smallContent(copy, file.source);
  if (small === undefined) {
    await copy.places.begin(() => copyWhenHere(copy, file));
    return;
  }
  if (!isToBeWritten(copy, file)) {
    oneDone(file.above);
    return;
  }
  const { want } = small;
  if (want === undefined) {
    if (copySmall(copy, file)) await copy.breath();
    else await copy.places.begin(() => copyWhenHere(copy, file));
  } else await copy.arrivals.add(file, want);
}

/** What a file has that is written by one go: an object, or nothing. undefined: it has more. */
function smallContent(copy: Copy, source: Entry): { readonly want: Want | undefined } | undefined {
  const { content, size, linkGroup } = source;
  if (linkGroup !== 0 || content === undefined) return undefined;
  if (size === 0) return { want: undefined };
  const want = content.chunked ? undefined : wholeWant(source, content);
  return want !== undefined && copy.arrivals.takes(want) ? { want } : undefined;
}

/** Whether a file is to be written; what stands in its place is counted, or told of. */
function isToBeWritten(copy: Copy, { source, target, above }: FileToCopy): boolean {
  if (above?.isNew === true) return true;
  try {
    const standing = standingAt(source, target);
    if (standing === 'nothing' || (standing === 'other' && copy.options.update === true))
      return true;
    if (standing === 'other') skip(copy, source.path, itDiffers);
    else {
      copy.report.before += 1;
      countFile(copy);
    }
  } catch (error) {
    skipNotHere(copy, source, error);
  }
  return false;
}

function countFile(copy: Copy): void {
  copy.report.files += 1;
  copy.options.changed?.(copy.report);
}

/** Copies a file whose only object has come. @returns false: it can't be read like that, and was not copied. */
export function copySmall(copy: Copy, { source, target, above }: FileToCopy): boolean {
  const { repository, scratch, report, options } = copy;
  const { filesystem, store } = repository;
  const read = runNow(() => filesystem.read(source.node, 0, source.size, scratch, 0), store.shelf);
  if (read.kind !== 'done' || read.value !== source.size) return false;
  try {
    const file = newFile(copy.temporaries, target);
    try {
      file.write(scratch.subarray(0, source.size), 0);
      report.bytes += source.size;
      file.finish(source, source.size, options);
    } finally {
      file.close();
    }
    countFile(copy);
  } catch (error) {
    skipNotHere(copy, source, error);
  }
  oneDone(above);
  return true;
}

/** Copies a file, and waits for what it has. */
export async function copyWhenHere(copy: Copy, file: FileToCopy): Promise<void> {
  try {
    await copyAny(copy, file.source, file.target);
  } catch (error) {
    skipNotHere(copy, file.source, error);
  }
  oneDone(file.above);
}

async function copyAny(copy: Copy, source: Entry, target: Buffer): Promise<void> {
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
  const file = newFile(copy.temporaries, target);
  try {
    let position = 0;
    for await (const piece of readRange(copy.repository, source)) {
      file.write(piece, position);
      position += piece.length;
      copy.report.bytes += piece.length;
      copy.options.changed?.(copy.report);
    }
    file.finish(source, position, copy.options);
    return true;
  } catch (error) {
    if (isNotHere(error)) throw error;
    skip(copy, source.path, copy.failures.orEnd(error));
    return false;
  } finally {
    file.close();
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
