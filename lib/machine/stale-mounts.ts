import { execFile } from 'node:child_process';
import { realpath, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { errorCode } from '../format/errno.js';
import { findMount, mountType, type MountLine } from './mountinfo.js';
import { currentMounts, unmountFound } from './unmount.js';

/** Mounts whose process is dead: found, and detached. Both ways ask for a statfs, which the kernel never answers by itself. */

// A dead mount answers at once (ms).
const answerTimeoutMs = 5000;

// ENOTCONN and ECONNABORTED, as glibc and musl put them, at the end: the path, which may hold anything, comes before.
const deathWords = /(not connected|onnection abort(ed)?)\s*$/;

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
        const isDead = error !== null && deathWords.test(stderr);
        settle(isDead ? 'stale' : 'alive');
      },
    );
    const timer = setTimeout(() => {
      // One that hangs in the kernel does not even die: it is not waited for.
      child.kill('SIGKILL');
      child.stdout?.destroy();
      child.stderr?.destroy();
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
  // What is there before it is asked; what comes after it is another one.
  const before = await lineAt(mountpoint);
  // A stat of the root of a dead mount may be answered from what the kernel keeps; a statfs never is.
  const asked = statfs(mountpoint).then(() => undefined, errorCode);
  // Who is silent is not dead.
  const code = await Promise.race([asked, wait(answerTimeoutMs, undefined, { ref: false })]);
  if (code !== 'ENOTCONN' && code !== 'ECONNABORTED') return false;
  const mount = await lineAt(mountpoint);
  if (mount?.type !== mountType || mount.id !== before?.id || mount.device !== before.device)
    return false;
  await unmountFound(mount, 'lazy');
  return true;
}

/** A dead mount itself can't be walked any more, the way to it can. */
async function lineAt(mountpoint: string): Promise<MountLine | undefined> {
  const above = await realpath(dirname(mountpoint)).catch(() => undefined);
  if (above === undefined) return undefined;
  return findMount(await currentMounts(), join(above, basename(mountpoint)));
}
