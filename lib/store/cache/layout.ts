import { existsSync, lstatSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { quoted } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError } from '../../format/errors.js';
import { faultBehind } from '../../machine/descriptors.js';
import { UnsafeDirectory } from '../../files/held.js';
import { makeDirectory } from '../../files/make.js';
import { isOurs, isTrusted } from '../../files/owners.js';
import { lookAtOurs, readSmall, removeEntry } from '../../files/regular.js';
import { DiskFull } from './full.js';
import type { ObjectKey } from '../key.js';

/**
 * A cache directory:
 *
 *   version        number of this layout
 *   CACHEDIR.TAG   tells backup programs to leave it out
 *   index.db       the records (records.ts)
 *   reserve        gives its room to the records when the disk is full (reserve.ts)
 *   objects/ab/…   plain bytes, by key, mode 0444
 *   segments/…     plain bytes of small objects, one behind the other (segments.ts)
 *   tmp/           what is being written, `<owner>.<number>`, and a lock `<owner>.lock` of each process
 */
const layoutVersion = 1;

const tag =
  'Signature: 8a477f597d28d172789f06886806bc55\n' +
  '# This directory is a cache of pinfs: everything in it can be fetched again.\n';

/** What may lie in a directory before it becomes a cache: the state with its logs, and what a file system of its own has. */
const allowed = new Set(['state', 'lost+found']);
/** Likewise where nothing is in it yet. */
const allowedEmpty = new Set(['objects', 'tmp']);

function isEmpty(directory: string): boolean {
  const status = statSync(directory, { throwIfNoEntry: false });
  return status === undefined || (status.isDirectory() && readdirSync(directory).length === 0);
}

/** Where the file of an object lies; `at` is the cache directory. */
export function objectFile(at: string, key: ObjectKey): string {
  // Not `join`: it costs more than looking an open file up.
  return `${at}/objects/${key.slice(0, 2)}/${key.slice(2)}`;
}

/** The key of a file below objects/, if it has the name of one. */
export function keyOfFile(folder: string, name: string): string {
  return folder + name;
}

const folders = ['tmp', 'objects', 'segments'] as const;

/**
 * Makes a directory that is ours a cache, or checks that it is one: tag, version, folders.
 * @param at leads to it; `directory` is what it is called.
 * @throws PinfsError CACHE_UNUSABLE; errors of the file system.
 */
export function furnish(at: string, directory: string): void {
  if (!checkLayout(at, directory)) {
    refuseForeign(at, directory);
  }
  writeLayout(at);
  for (const name of folders) {
    const folder = join(at, name);
    // What is no directory has no place here.
    if (lstatSync(folder, { throwIfNoEntry: false })?.isDirectory() === false) removeEntry(folder);
    makeDirectory(folder);
  }
  const problem = folderProblem(at);
  if (problem !== undefined) throw new UnsafeDirectory(problem);
}

/** Why what lies in a cache directory can't be relied on: a folder that isn't ours alone. One that is lacking is made when it is needed. */
export function folderProblem(at: string): string | undefined {
  for (const name of folders) {
    const status = lstatSync(`${at}/${name}`, { throwIfNoEntry: false });
    if (status === undefined) continue;
    if (!status.isDirectory()) return `${name} in it is no directory`;
    if (!isOurs(status)) return `${name} in it belongs to another user (uid ${status.uid})`;
    if ((status.mode & 0o022) !== 0) return `others may write to ${name} in it`;
  }
  return undefined;
}

/**
 * Whether a directory has been made a cache: it has our tag, or (one of before, which got none where other things lay)
 * a version and records. @throws PinfsError CACHE_UNUSABLE if it is one of another layout.
 */
export function checkLayout(at: string, directory: string): boolean {
  const found = readSmall(join(at, 'version'));
  const isOne = hasTag(at) || (typeof found !== 'string' && exists(join(at, 'index.db')));
  if (!isOne) return false;
  if (typeof found !== 'string' && !isUnwritten(found.text))
    checkVersionText(found.text, directory);
  return true;
}

/** What a power cut left of a file that was made just before: its name, and perhaps its size. */
function isUnwritten(text: string): boolean {
  return /^\0*$/.test(text);
}

function hasTag(at: string): boolean {
  const found = readSmall(join(at, 'CACHEDIR.TAG'));
  return typeof found !== 'string' && found.text === tag;
}

function exists(path: string): boolean {
  return lookAtOurs(path) !== 'missing';
}

/** What lies there without that is somebody else's, and would be swept as strays; unless another process has just made it a cache. */
function refuseForeign(at: string, directory: string): void {
  const foreign = readdirSync(at).find(
    (name) => !allowed.has(name) && !(allowedEmpty.has(name) && isEmpty(join(at, name))),
  );
  if (foreign === undefined || checkLayout(at, directory)) return;
  throw new PinfsError('CACHE_UNUSABLE', `${directory} has ${quoted(foreign)}, and is no cache`, {
    advice: 'Give an empty or new directory with --cache DIR.',
  });
}

/**
 * Refuses a directory that can't become a cache, before anything is made in it.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export function checkFree(directory: string): void {
  refuseAnothers(directory);
  try {
    if (exists(directory) && !checkLayout(directory, directory))
      refuseForeign(directory, directory);
  } catch (thrown) {
    throw cacheUnusable(directory, thrown);
  }
}

/** Refuses a directory of another user, whose files would look like none of a cache. @throws PinfsError CACHE_UNUSABLE. */
export function refuseAnothers(directory: string): void {
  let status: Stats;
  try {
    status = statSync(directory);
  } catch {
    // Not there, or whoever opens it says why.
    return;
  }
  if (isTrusted(status)) return;
  const problem = `it belongs to another user (uid ${status.uid})`;
  throw cacheUnusable(directory, new UnsafeDirectory(problem));
}

/** Whether all is there that makes a directory a cache. */
export function hasLayout(at: string): boolean {
  return existsSync(`${at}/version`) && existsSync(`${at}/CACHEDIR.TAG`);
}

/** Writes what makes a directory a cache, where it is lacking. The tag comes first: with it alone it is one. */
export function writeLayout(at: string): void {
  if (!hasTag(at)) writeNew(at, 'CACHEDIR.TAG', tag);
  const found = readSmall(join(at, 'version'));
  if (typeof found === 'string' || isUnwritten(found.text))
    writeNew(at, 'version', `${layoutVersion}\n`);
}

/** Puts a file in the place of whatever lies there, whole or not at all. */
function writeNew(at: string, name: string, text: string): void {
  const file = join(at, name);
  const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(temporary, text, { flag: 'wx' });
  try {
    renameSync(temporary, file);
  } catch (thrown) {
    if (errorCode(thrown) !== 'EISDIR') throw thrown;
    removeEntry(file);
    renameSync(temporary, file);
  }
}

function checkVersionText(text: string, directory: string): void {
  const advice = 'Give another directory with --cache DIR.';
  if (!/^[0-9]{1,9}\n?$/.test(text)) {
    const file = join(directory, 'version');
    throw new PinfsError('CACHE_UNUSABLE', `${file} is not the version of a cache`, { advice });
  }
  if (Number(text) !== layoutVersion) {
    const text2 = `the cache ${directory} was made by a newer pinfs (version ${text.trim()})`;
    throw new PinfsError('CACHE_UNUSABLE', text2, { advice });
  }
}

/** The names in a directory; none if it isn't there. @throws other errors of the file system. */
export function listFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT' || errorCode(thrown) === 'ENOTDIR') return [];
    throw thrown;
  }
}

export function cacheUnusable(directory: string, thrown: unknown): PinfsError {
  if (thrown instanceof PinfsError) return thrown;
  const fault = faultBehind(thrown);
  if (fault !== undefined) return fault;
  const { why: reason } = fileFault(thrown, 'write');
  const code = errorCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL') return diskFull(directory);
  const advice = thrown instanceof UnsafeDirectory ? thrown.advice : undefined;
  return new PinfsError('CACHE_UNUSABLE', `the cache ${directory} can't be used: ${reason}`, {
    advice: advice ?? 'Give another directory with --cache DIR.',
    cause: thrown,
  });
}

export function diskFull(
  directory: string,
  message = `the disk of the cache ${directory} is full`,
): PinfsError {
  return new DiskFull(message);
}
