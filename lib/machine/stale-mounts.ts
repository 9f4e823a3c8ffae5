import { execFile } from 'node:child_process';
import { realpath, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errorCode } from '../format/errno.js';
import { findMount, mountType } from './mountinfo.js';
import { currentMounts, unmountOwn } from './unmount.js';

/** Mounts whose process is dead: found, and detached. Both ways ask for a statfs, which the kernel never answers by itself. */

// A dead mount answers at once (ms).
const answerTimeoutMs = 5000;

/** `stale`: its process is dead. `hung`: no answer within a few seconds. */
export type MountHealth = 'alive' | 'stale' | 'hung';

/**
 * Asks a mount for its statfs, by another process, which alone hangs if the mount does. A stat of its root
 * would do for no answer: the kernel keeps that, also of the dead.
 */
export function mountHealth(path: string, milliseconds = answerTimeoutMs): Promise<MountHealth> {
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
