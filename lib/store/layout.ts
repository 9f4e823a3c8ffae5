import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { PinfsError } from '../format/errors.js';

/**
 * A cache directory:
 *
 *   version        number of this layout
 *   CACHEDIR.TAG   tells backup programs to leave it out
 *   index.db       the records (records.ts)
 *   reserve        gives its room to the records when the disk is full (reserve.ts)
 *   objects/ab/…   plain bytes, by key, mode 0444
 *   tmp/           what is being written, `<owner>.<number>`, and a lock `<owner>.lock` of each process
 */
export const layoutVersion = 1;

const tag =
  'Signature: 8a477f597d28d172789f06886806bc55\n' +
  '# This directory is a cache of pinfs: everything in it can be fetched again.\n';

// What may lie in a directory before it becomes a cache; another's files are no cache to a backup.
const ours = new Set(['objects', 'tmp', 'state', 'version', 'reserve', 'CACHEDIR.TAG']);

/** What is a cache's own, and removed there when nobody knows of it. */
const swept = ['objects', 'tmp', 'index.db'];

/** Whether a directory has been made a cache. */
export function isCache(directory: string): boolean {
  return existsSync(join(directory, 'version'));
}

function isEmpty(directory: string): boolean {
  const status = statSync(directory, { throwIfNoEntry: false });
  return status === undefined || (status.isDirectory() && readdirSync(directory).length === 0);
}

export function objectFile(directory: string, key: string): string {
  // Not `join`: it costs more than looking an open file up.
  return `${directory}/objects/${key.slice(0, 2)}/${key.slice(2)}`;
}

/** The key of a file below objects/. */
export function keyOfFile(folder: string, name: string): string {
  return folder + name;
}

/**
 * Makes sure that there is a cache directory of this user that nobody else can write to.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export function prepareDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    checkOwner(directory);
    checkVersion(directory);
    ensureFolders(directory);
  } catch (thrown) {
    throw unusable(directory, thrown);
  }
}

/** Makes the folders, at first and when someone removed them. */
export function ensureFolders(directory: string): void {
  mkdirSync(join(directory, 'tmp'), { recursive: true, mode: 0o700 });
  mkdirSync(join(directory, 'objects'), { recursive: true, mode: 0o700 });
}

function checkOwner(directory: string): void {
  const status = statSync(directory);
  const self = process.geteuid?.();
  if (self !== undefined && status.uid !== self) {
    throw new PinfsError(
      'CACHE_UNUSABLE',
      `the cache ${directory} belongs to another user (uid ${status.uid})`,
      { advice: 'Give a directory of your own with --cache DIR.' },
    );
  }
  if ((status.mode & 0o022) !== 0) {
    throw new PinfsError('CACHE_UNUSABLE', `others may write to the cache ${directory}`, {
      advice: `Run: chmod go-w ${directory}`,
    });
  }
}

function checkVersion(directory: string): void {
  const file = join(directory, 'version');
  const text = readIfThere(file);
  if (text === undefined) {
    const names = readdirSync(directory);
    // Without `version` what lies there is somebody else's (a git directory has objects/ as well),
    // and would be swept as strays; unless another process has just made it a cache.
    const foreign = swept.find((name) => names.includes(name) && !isEmpty(join(directory, name)));
    if (foreign !== undefined && readIfThere(file) === undefined) {
      throw new PinfsError('CACHE_UNUSABLE', `${directory} has ${foreign}, and is no cache`, {
        advice: 'Give an empty or new directory with --cache DIR.',
      });
    }
    if (names.every((name) => ours.has(name))) writeFileSync(join(directory, 'CACHEDIR.TAG'), tag);
    const temporary = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
    writeFileSync(temporary, `${layoutVersion}\n`);
    renameSync(temporary, file);
    return;
  }
  const advice = `Give another directory with --cache DIR, or remove ${directory}.`;
  if (!/^[0-9]{1,9}\n?$/.test(text)) {
    throw new PinfsError('CACHE_UNUSABLE', `${file} is not the version of a cache`, { advice });
  }
  if (Number(text) !== layoutVersion) {
    const text2 = `the cache ${directory} was made by a newer pinfs (version ${text.trim()})`;
    throw new PinfsError('CACHE_UNUSABLE', text2, { advice });
  }
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return undefined;
    throw thrown;
  }
}

/** The `code` of an error of Node or SQLite. */
export function errorCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

export function unusable(directory: string, thrown: unknown): PinfsError {
  if (thrown instanceof PinfsError) return thrown;
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  const code = errorCode(thrown);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'SQLITE_FULL') return diskFull(directory);
  return new PinfsError('CACHE_UNUSABLE', `the cache ${directory} can't be used: ${reason}`, {
    advice: 'Give another directory with --cache DIR.',
    cause: thrown,
  });
}

export function diskFull(
  directory: string,
  message = `the disk of the cache ${directory} is full`,
): PinfsError {
  return new PinfsError('CACHE_FULL', message, {
    advice: 'Free some space, or give a directory on another disk with --cache DIR.',
  });
}
