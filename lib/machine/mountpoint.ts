import { execFile } from 'node:child_process';
import { lstatSync, readlinkSync, realpathSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fromText, printable } from '../format/bytes.js';
import { errorReason } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';

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
    throw unusableBy(asked, errorReason(thrown));
  }
}

/** @throws PinfsError MOUNTPOINT_UNUSABLE: missing, no directory, or in the way of our own files. */
export function checkMountpoint(path: string, reserved: readonly Reserved[]): void {
  checkReserved(path, reserved);
  let directory: boolean;
  try {
    directory = statSync(path).isDirectory();
  } catch (thrown) {
    throw unusableBy(path, errorReason(thrown));
  }
  if (!directory) throw unusable(path, 'it is not a directory');
}

/** As above, without looking at the mountpoint itself. @throws PinfsError MOUNTPOINT_UNUSABLE */
export function checkReserved(path: string, reserved: readonly Reserved[]): void {
  for (const { what, path: other, whole } of reserved) {
    // By its text first: looking at a file in a mount that nobody serves yet would wait for ever.
    const real = isBelow(resolve(other), path) ? resolve(other) : realPath(other);
    if (isBelow(real, path)) {
      throw unusable(path, `${what} (${shown(real)}) would be hidden by the mount`, {
        advice: 'A mount that needs itself hangs. Choose another directory for one of the two.',
      });
    }
    if (whole && isBelow(path, real)) throw unusable(path, `it lies in ${what} (${shown(real)})`);
  }
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

function unusable(path: string, why: string, options: { advice?: string } = {}): PinfsError {
  return new PinfsError('MOUNTPOINT_UNUSABLE', `can't mount on ${shown(path)}: ${why}`, options);
}

function unusableBy(path: string, code: string): PinfsError {
  switch (code) {
    case 'ENOENT':
      return unusable(path, 'it does not exist', { advice: `Make it: mkdir -p ${shown(path)}` });
    case 'ENOTDIR':
      return unusable(path, 'it is not a directory');
    case 'EACCES':
      return unusable(path, 'you may not reach it');
    case 'ENOTCONN':
      return unusable(path, 'a mount of another program lies dead there', {
        advice: `Remove it: fusermount3 -uz ${shown(path)}`,
      });
    default:
      return unusable(path, code);
  }
}

function shown(path: string): string {
  return printable(fromText(path));
}

/** `stale`: its process is dead. `hung`: no answer within a few seconds. */
export type MountHealth = 'alive' | 'stale' | 'hung';

/**
 * Asks a mount for its statfs, by another process, which alone hangs if the mount does. A stat of its root
 * would do for no answer: the kernel keeps that, also of the dead.
 */
export function mountHealth(path: string, milliseconds = 5000): Promise<MountHealth> {
  return new Promise((resolvePromise) => {
    let settled = false;
    const settle = (health: MountHealth) => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      resolvePromise(health);
    };
    const child = execFile(
      'stat',
      ['-f', '--', path],
      { env: { ...process.env, LC_ALL: 'C' }, cwd: '/' },
      (error, _stdout, stderr) => {
        // Any other error, such as EACCES of another user's mount, is an answer of somebody who lives.
        const isDead = error !== null && /not connected|connection abort/.test(stderr);
        settle(isDead ? 'stale' : 'alive');
      },
    );
    const timer = setTimeout(() => {
      child.kill('SIGKILL');
      child.unref();
      settle('hung');
    }, milliseconds);
  });
}
