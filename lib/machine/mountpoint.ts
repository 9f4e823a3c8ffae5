import { constants, lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { access, realpath, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fromText, printable } from '../format/bytes.js';
import { errorReason } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';
import type { HeldPlace } from './held-place.js';
import { recoverStale } from './stale-mounts.js';

/**
 * Looks at a mountpoint before anything else is done, without touching what may be mounted there:
 * a dead mount answers ENOTCONN to everything, a hung one not at all.
 */

/** N of `/dev/fd/N`: mount.fuse3 has mounted already, and hands the device to us as that descriptor. */
export function passedDescriptor(mountpoint: string): number | undefined {
  const text = /^\/dev\/fd\/(\d{1,9})$/.exec(mountpoint)?.[1];
  return text === undefined ? undefined : Number(text);
}

/** What the mountpoint must not hold and not lie in, and what it is called in the message. */
export interface Reserved {
  readonly what: string;
  readonly path: string;
  /** The mountpoint may not lie in it either. */
  readonly whole: boolean;
  /** In it, where mountpoints may lie all the same. */
  readonly except?: string;
}

/** As many as Linux follows (path_resolution(7)). */
const linksMax = 40;

/**
 * Absolute path without links. Components that are mountpoints of ours are taken as directories
 * and not looked at.
 * @throws PinfsError MOUNTPOINT_UNUSABLE
 */
export function resolveMountpoint(path: string, isMounted: (path: string) => boolean): string {
  let rest = resolve(path).split('/').filter(Boolean);
  let here = '/';
  let links = 0;
  while (rest.length > 0) {
    const [name, ...after] = rest;
    const next = join(here, name ?? '');
    rest = after;
    if (isMounted(next)) {
      if (rest.length > 0) throw unusable(path, `it lies inside of a pinfs mount (${shown(next)})`);
      return next;
    }
    const target = linkTarget(next, path);
    if (target === undefined) {
      here = next;
      continue;
    }
    links += 1;
    if (links > linksMax) throw unusable(path, 'too many symbolic links lead to it');
    const absolute = resolve(here, target);
    rest = [...absolute.split('/').filter(Boolean), ...rest];
    here = '/';
  }
  return here;
}

function linkTarget(path: string, asked: string): string | undefined {
  try {
    return lstatSync(path).isSymbolicLink() ? readlinkSync(path) : undefined;
  } catch (thrown) {
    throw unusableBy(asked, thrown);
  }
}

/** @throws PinfsError MOUNTPOINT_UNUSABLE: missing, no directory, or in the way of our own files. */
export function checkMountpoint(path: string, reserved: readonly Reserved[]): void {
  checkReserved(path, reserved);
  let directory: boolean;
  try {
    directory = statSync(path).isDirectory();
  } catch (thrown) {
    throw unusableBy(path, thrown);
  }
  if (!directory) throw unusable(path, 'it is not a directory');
}

/** Likewise, without looking at the mountpoint itself. @throws PinfsError MOUNTPOINT_UNUSABLE */
export function checkReserved(path: string, reserved: readonly Reserved[]): void {
  for (const { what, path: other, whole, except } of reserved) {
    // By its text first: looking at a file in a mount that nobody serves yet would wait for ever.
    const real = isBelow(resolve(other), path) ? resolve(other) : realPath(other);
    if (isBelow(real, path)) {
      throw unusable(path, `${what} (${shown(real)}) would be hidden by the mount`, {
        advice: 'A mount that needs itself hangs. Choose another directory for one of the two.',
      });
    }
    const allowed = except !== undefined && isBelow(path, realPath(except));
    if (whole && !allowed && isBelow(path, real))
      throw unusable(path, `it lies in ${what} (${shown(real)})`);
  }
}

type Log = (level: 'info' | 'warn' | 'error', message: string) => void;

// libfuse and the kernel keep mountpoints in buffers of 1,024 and 4,096 bytes.
const mountpointBytesMax = 1000;

/**
 * Makes sure that a mountpoint can be used, and gives its real path. A mount of ours that a dead
 * process left there is detached first.
 * @throws PinfsError MOUNTPOINT_UNUSABLE.
 */
export async function usableMountpoint(
  mountpoint: string,
  log: Log,
  place?: HeldPlace,
): Promise<string> {
  const path = resolve(mountpoint);
  // What is held was checked; by its path it might be no more, or an automount that waits for us.
  const real = place === undefined ? await checkedPath(path, log) : path;
  if (Buffer.byteLength(real) > mountpointBytesMax) {
    throw unusable(path, `its path is longer than ${mountpointBytesMax} bytes`);
  }
  if (process.getuid?.() !== 0) {
    await access(place?.at ?? real, constants.W_OK).catch((error: unknown) => {
      throw unusableBy(path, error, 'Mount on a directory of your own: mkdir -p ~/mnt');
    });
  }
  return real;
}

async function checkedPath(path: string, log: Log): Promise<string> {
  if (await recoverStale(path)) log('warn', `${path}: the mount of a dead process was detached`);
  const real = await realpath(path).catch((error: unknown) => {
    throw unusableBy(path, error);
  });
  const found = await stat(real).catch((error: unknown) => {
    throw unusableBy(path, error);
  });
  if (!found.isDirectory()) {
    throw unusable(path, 'it is not a directory');
  }
  return real;
}

/** Whether a path is the directory or lies in it; both absolute, without links. */
function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(directory === '/' ? '/' : `${directory}/`);
}

/** Without links as far as the path exists. */
function realPath(path: string): string {
  const absolute = resolve(path);
  try {
    return realpathSync(absolute);
  } catch {
    const parent = dirname(absolute);
    return parent === absolute ? absolute : join(realPath(parent), absolute.slice(parent.length));
  }
}

interface Why {
  readonly advice?: string;
  readonly cause?: unknown;
}

function unusable(path: string, why: string, options: Why = {}): PinfsError {
  return new PinfsError('MOUNTPOINT_UNUSABLE', `can't mount on ${shown(path)}: ${why}`, options);
}

/** Likewise by an error of the file system. */
function unusableBy(path: string, cause: unknown, advice?: string): PinfsError {
  const code = errorReason(cause);
  const known: Readonly<Record<string, readonly [why: string, advice?: string]>> = {
    ENOENT: ['it does not exist', `Make it: mkdir -p ${shown(path)}`],
    ENOTDIR: ['it is not a directory', 'Name a directory.'],
    EACCES: ['you may not reach it, or not write to it', 'Choose another directory.'],
    ENOTCONN: [
      'a mount of another program lies dead there',
      `Remove it: fusermount3 -uz ${shown(path)}`,
    ],
    ELOOP: ['it goes round in symlinks', 'Choose another directory.'],
  };
  const [why, usual] = known[code] ?? [code];
  const given = advice ?? usual;
  return unusable(path, why, given === undefined ? { cause } : { advice: given, cause });
}

function shown(path: string): string {
  return printable(fromText(path));
}
