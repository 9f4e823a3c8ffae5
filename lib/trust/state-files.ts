import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  unlinkSync,
  writeSync,
  type Stats,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { dirname, join } from 'node:path';
import { PinfsError } from '../format/errors.js';

/* Small JSON files that must survive a power cut, and that only their owner may have written. */

const fileLimit = 1024 * 1024;
const temporary = '.tmp-';
const temporaryAge = 10 * 60_000;

/** Names of the files in a state directory; none if it does not exist. @throws PinfsError STATE_UNUSABLE */
export function listState(directory: string): string[] {
  if (!isOurs(directory)) return [];
  try {
    return readdirSync(directory).filter((name) => !name.startsWith(temporary));
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw unusable(directory, 'cannot be read', cause);
  }
}

/** The bytes of a state file; undefined if it does not exist. @throws PinfsError STATE_UNUSABLE */
export function readState(path: string): Buffer | undefined {
  try {
    const stats = statSync(path);
    if (!stats.isFile() || stats.size > fileLimit) {
      throw unusable(path, 'is not a file that pinfs wrote');
    }
    return readFileSync(path);
  } catch (cause) {
    if (cause instanceof PinfsError) throw cause;
    if (isMissing(cause)) return undefined;
    throw unusable(path, 'cannot be read', cause);
  }
}

/**
 * Writes a file whole or not at all. `replace: false` leaves a file that is there already alone,
 * and gives false. @throws PinfsError STATE_UNUSABLE
 */
export function writeState(path: string, text: string, options: { replace: boolean }): boolean {
  const directory = dirname(path);
  const draft = join(directory, temporary + randomBytes(8).toString('hex'));
  try {
    writeDurably(draft, text);
    if (options.replace) renameSync(draft, path);
    else {
      try {
        linkSync(draft, path);
      } catch (error) {
        if (codeOf(error) === 'EEXIST') return false;
        throw error;
      } finally {
        unlinkSync(draft);
      }
    }
    syncDirectory(directory);
    return true;
  } catch (cause) {
    rmSync(draft, { force: true });
    throw unusable(path, 'cannot be written', cause);
  }
}

/** Makes a directory for state, for nobody but the user. @throws PinfsError STATE_UNUSABLE */
export function makeStateDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw unusable(directory, 'cannot be made', cause);
  }
  isOurs(directory);
}

/** Removes files, and drafts that a killed process left behind. What fails is left for the next time. */
export function sweepState(directory: string, names: readonly string[]): void {
  for (const name of names) rmSync(join(directory, name), { force: true });
  const oldest = Date.now() - temporaryAge;
  for (const name of readdirSync(directory)) {
    if (!name.startsWith(temporary)) continue;
    const path = join(directory, name);
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats !== undefined && stats.mtimeMs < oldest) rmSync(path, { force: true });
  }
}

export function unusable(path: string, what: string, cause?: unknown, advice?: string): PinfsError {
  const because = cause instanceof Error ? ` (${cause.message})` : '';
  return new PinfsError('STATE_UNUSABLE', `the state ${path} ${what}${because}`, {
    advice: advice ?? 'mend its owner and mode, or use another place with --cache DIR',
    ...(cause === undefined ? {} : { cause }),
  });
}

/** Whether the directory exists. State that others may write is worth nothing, so it is refused. */
function isOurs(directory: string): boolean {
  const stats = statusOf(directory);
  if (stats === undefined) return false;
  if (!stats.isDirectory()) throw unusable(directory, 'is not a directory');
  const user = process.geteuid?.();
  if (user !== undefined && stats.uid !== user)
    throw unusable(directory, 'belongs to another user');
  if ((stats.mode & 0o022) !== 0) throw unusable(directory, 'can be written by others');
  return true;
}

/** What lies there; undefined: nothing does. @throws PinfsError STATE_UNUSABLE where that can't be seen. */
export function statusOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw unusable(path, 'cannot be reached', cause);
  }
}

function writeDurably(path: string, text: string): void {
  const file = openSync(path, 'wx', 0o600);
  try {
    const bytes = Buffer.from(text, 'utf8');
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    // Without it a power cut leaves an empty file under the new name, which then blocks mounting.
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}
