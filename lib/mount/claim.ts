import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { findMount, mountType } from '../drivers/mountinfo.js';
import { currentMounts, unmountPath } from '../drivers/unmount.js';
import { PinfsError } from '../format/errors.js';
import { directories, processEnvironment } from '../repository/environment.js';
import { isUrl, splitSourcePin } from '../source/open.js';
import type { Log } from './log.js';
import { checkMountpoint, mountHealth, resolveMountpoint, type Reserved } from './mountpoint.js';
import type { MountOrder } from './order.js';

/**
 * The mountpoint's path without links, free for a mount: a dead mount of ours is taken away.
 * @throws PinfsError MOUNTPOINT_UNUSABLE, MOUNT_BUSY.
 */
export async function claimMountpoint(
  order: MountOrder,
  runtimeDirectory: string,
  log: Log,
): Promise<string> {
  const { mount } = order;
  // Handed over already open by mount.fuse3 (drop_privileges): nothing to look at.
  if (/^\/dev\/fd\/\d+$/.test(mount.mountpoint)) return mount.mountpoint;
  const mounts = await currentMounts();
  const ours = (path: string) => findMount(mounts, path)?.type === mountType;
  const mountpoint = resolveMountpoint(mount.mountpoint, ours);
  if (ours(mountpoint)) {
    const health = await mountHealth(mountpoint);
    if (health !== 'stale') throw alreadyMounted(mountpoint);
    await unmountPath(mountpoint, true);
    log.warn(`removed the mount of a dead process from ${mountpoint}`);
  }
  checkMountpoint(mountpoint, reservedPaths(order, runtimeDirectory));
  return mountpoint;
}

/** Whether a mount of pinfs is at this path now, alive or dead. */
export async function ourMountAt(mountpoint: string): Promise<boolean> {
  return findMount(await currentMounts(), mountpoint)?.type === mountType;
}

export function alreadyMounted(mountpoint: string): PinfsError {
  return new PinfsError('MOUNT_BUSY', `a pinfs mount is already on ${mountpoint}`, {
    advice: `See 'pinfs status'; end it with 'pinfs umount ${mountpoint}'.`,
  });
}

/** Everything that this process uses while it serves: on its own mount it would wait for itself. */
function reservedPaths(
  { options, mount }: MountOrder,
  runtimeDirectory: string,
): readonly Reserved[] {
  const { cache, state } = directories(options, processEnvironment);
  const used = (what: string, path: string | undefined): Reserved[] =>
    path === undefined || isUrl(path) ? [] : [{ what, path: resolve(path), whole: false }];
  return [
    { what: 'the cache', path: cache, whole: true },
    { what: 'the state', path: state, whole: true },
    { what: 'the directory of the control socket', path: runtimeDirectory, whole: true },
    ...used('the source', splitSourcePin(options.source, existsSync).source),
    ...used('the directory of external files', options.external),
    ...used('the log', mount.log),
    ...used('the trace', mount.trace),
    ...used('the blacklist', options.blacklist),
    ...(options.keys ?? []).flatMap((key) => used('a key', key)),
    ...used('pinfs itself', import.meta.dirname),
    ...used('node', process.execPath),
  ];
}
