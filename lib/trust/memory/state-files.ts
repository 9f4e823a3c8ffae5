import {
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { holdDirectory, UnsafeDirectory } from '../../files/held.js';
import { makeDirectories } from '../../files/make.js';
import { lookAtOurs, openOurs, removeEntry, type RegularFile } from '../../files/regular.js';
import { errorCode } from '../../format/errno.js';
import { fileFault } from '../../format/file-fault.js';
import { machineFault, PinfsError } from '../../format/errors.js';

/*
 * Small JSON files that must survive a power cut, and that only their owner may have written. Each call checks the
 * directory and reaches the files by its descriptor: state that others may write, or replace, is worth nothing.
 */

const fileBytesMax = 1024 * 1024;
const temporary = '.tmp-';
const temporaryAgeMs = 10 * 60_000;

/** Names of the files in a state directory; none if it does not exist. @throws PinfsError STATE_UNUSABLE */
export function listState(directory: string): string[] {
  return (
    inState(directory, 'cannot be read', (at) =>
      readdirSync(at).filter((name) => !name.startsWith(temporary)),
    ) ?? []
  );
}

/** The bytes of a state file; undefined if it does not exist. @throws PinfsError STATE_UNUSABLE */
export function readState(path: string): Buffer | undefined {
  return inState(dirname(path), 'cannot be read', (at) => {
    const file = openOurs(join(at, basename(path)));
    if (file === 'missing') return undefined;
    if (file === 'other') throw stateUnusable(path, 'is not a file that pinfs wrote');
    return readWhole(file, path);
  });
}

function readWhole({ fd, status }: RegularFile, path: string): Buffer {
  try {
    if (status.size > fileBytesMax) throw stateUnusable(path, 'is not a file that pinfs wrote');
    const bytes = Buffer.alloc(Number(status.size));
    let filled = 0;
    while (filled < bytes.length) {
      const count = readSync(fd, bytes, filled, bytes.length - filled, filled);
      if (count === 0) break;
      filled += count;
    }
    return bytes.subarray(0, filled);
  } finally {
    closeSync(fd);
  }
}

/**
 * Writes a file whole or not at all. `replace: false` leaves a file that is there already alone,
 * and gives false. @throws PinfsError STATE_UNUSABLE
 */
export function writeState(path: string, text: string, options: { replace: boolean }): boolean {
  const written = inState(dirname(path), 'cannot be written', (at) => {
    const draft = join(at, temporary + randomBytes(8).toString('hex'));
    const file = join(at, basename(path));
    try {
      writeDurably(draft, text);
      if (options.replace) renameSync(draft, file);
      else linkSync(draft, file);
      syncDirectory(at);
      return true;
    } catch (thrown) {
      if (!options.replace && errorCode(thrown) === 'EEXIST') return false;
      throw stateUnusable(path, 'cannot be written', thrown);
    } finally {
      rmSync(draft, { force: true });
    }
  });
  if (written === undefined) throw stateUnusable(path, 'cannot be written: its directory is gone');
  return written;
}

/** Makes a directory for state, for nobody but the user. @throws PinfsError STATE_UNUSABLE */
export function makeStateDirectory(directory: string): void {
  try {
    makeDirectories(directory);
  } catch (cause) {
    throw stateUnusable(directory, 'cannot be made', cause);
  }
  inState(directory, 'cannot be used', () => undefined);
}

/** Removes files, and drafts that a killed process left behind. What fails is left for the next time. */
export function sweepState(directory: string, names: readonly string[]): void {
  inState(directory, 'cannot be read', (at) => {
    for (const name of names) rmSync(join(at, name), { force: true });
    const oldest = Date.now() - temporaryAgeMs;
    for (const name of readdirSync(at)) {
      if (!name.startsWith(temporary)) continue;
      const status = lookAtOurs(join(at, name));
      if (typeof status !== 'string' && status.mtimeMs < oldest) {
        rmSync(join(at, name), { force: true });
      }
    }
  });
}

/** Removes a directory below a state directory, with all that is in it; false if it wasn't there. @throws PinfsError STATE_UNUSABLE */
export function removeState(directory: string): boolean {
  return (
    inState(dirname(directory), 'cannot be read', (at) => {
      try {
        return removeEntry(join(at, basename(directory)));
      } catch (cause) {
        throw stateUnusable(directory, 'cannot be removed', cause);
      }
    }) ?? false
  );
}

/** Whether a state could not be written because its disk, or what a user may have of it, is full. */
export function isOfFullDisk({ cause }: PinfsError): boolean {
  return ['ENOSPC', 'EDQUOT'].includes(errorCode(cause) ?? '');
}

/** When a state file was written (ms since 1970); undefined if it is gone. */
export function timeOfState(path: string): number | undefined {
  return inState(dirname(path), 'cannot be read', (at) => {
    const status = lookAtOurs(join(at, basename(path)));
    return typeof status === 'string' ? undefined : Number(status.mtimeMs);
  });
}

export function stateUnusable(
  path: string,
  what: string,
  cause?: unknown,
  advice?: string,
): PinfsError {
  const fault = machineFault(cause);
  if (fault !== undefined) return fault;
  const because = cause instanceof Error ? `: ${fileFault(cause, 'write').why}` : '';
  return new PinfsError('STATE_UNUSABLE', `the state ${path} ${what}${because}`, {
    advice: advice ?? `${mendOf(cause)}, or use another place with --cache DIR`,
    ...(cause === undefined ? {} : { cause }),
  });
}

/** What to do about an error of the file system. */
function mendOf(cause: unknown): string {
  switch (errorCode(cause) ?? '') {
    case 'ENOSPC':
    case 'EDQUOT':
      return 'free some space on its disk';
    case 'EROFS':
      return 'mount its disk so that it can be written to';
    default:
      return 'mend its owner and mode';
  }
}

/** Works in a state directory, by a path that leads nowhere else; undefined if there is none. @throws PinfsError STATE_UNUSABLE */
function inState<T>(directory: string, what: string, work: (at: string) => T): T | undefined {
  try {
    const held = holdDirectory(directory);
    try {
      return work(held.at);
    } finally {
      held.close();
    }
  } catch (cause) {
    if (cause instanceof PinfsError) throw cause;
    if (errorCode(cause) === 'ENOENT') return undefined;
    const unsafe = cause instanceof UnsafeDirectory;
    throw stateUnusable(directory, unsafe ? 'cannot be trusted' : what, cause);
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
