import { constants } from 'node:fs';
import { access, realpath, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errorCode } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';
import { findMount, mountType } from '../machine/mountinfo.js';
import type { HeldPlace } from '../machine/held-place.js';
import { currentMounts, unmountOwn } from '../machine/unmount.js';

// A dead mount answers at once (ms).
const answerTimeoutMs = 5000;

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
    throw new PinfsError(
      'MOUNTPOINT_UNUSABLE',
      `the path of the mountpoint is longer than ${mountpointBytesMax} bytes`,
    );
  }
  if (process.getuid?.() !== 0) {
    await access(place?.at ?? real, constants.W_OK).catch((error: unknown) => {
      throw unusable(path, error, 'Mount on a directory of your own: mkdir -p ~/mnt');
    });
  }
  return real;
}

async function checkedPath(path: string, log: Log): Promise<string> {
  if (await recoverStale(path)) log('warn', `${path}: the mount of a dead process was detached`);
  const real = await realpath(path).catch((error: unknown) => {
    throw unusable(path, error);
  });
  const found = await stat(real).catch((error: unknown) => {
    throw unusable(path, error);
  });
  if (!found.isDirectory()) {
    throw new PinfsError('MOUNTPOINT_UNUSABLE', `${path} is not a directory`);
  }
  return real;
}

/**
 * Detaches a mount of ours whose process is dead (ENOTCONN), and says whether there was one.
 * Mounts of others are left alone.
 */
export async function recoverStale(mountpoint: string): Promise<boolean> {
  // A stat of the root of a dead mount may be answered from what the kernel keeps; a statfs never is.
  const asked = statfs(mountpoint).then(() => undefined, errorCode);
  // Who is silent is not dead.
  const code = await Promise.race([asked, wait(answerTimeoutMs, undefined, { ref: false })]);
  if (code !== 'ENOTCONN' && code !== 'ECONNABORTED') return false;
  // The dead mount itself can't be walked any more, the way to it can.
  const real = join(await realpath(dirname(mountpoint)), basename(mountpoint));
  const mount = findMount(await currentMounts(), real);
  if (mount?.type !== mountType) return false;
  await unmountOwn(mount, 'lazy');
  return true;
}

function unusable(path: string, error: unknown, advice?: string): PinfsError {
  const code = errorCode(error) ?? '';
  const known: Record<string, readonly [string, string]> = {
    ENOENT: ['does not exist', `mkdir -p '${path}'`],
    ENOTDIR: ['is not a directory', 'Name a directory.'],
    ENOTCONN: ['holds the mount of a dead process', `fusermount3 -uz '${path}'`],
    EACCES: ['may not be entered or written by this user', 'Choose another directory.'],
    ELOOP: ['goes round in symlinks', 'Choose another directory.'],
  };
  const [what, remedy] = known[code] ?? [`can't be used (${code})`, 'Choose another directory.'];
  return new PinfsError('MOUNTPOINT_UNUSABLE', `${path} ${what}`, {
    advice: advice ?? remedy,
    cause: error,
  });
}
