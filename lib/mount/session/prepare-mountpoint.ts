import { existsSync, rmdirSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { findMount, mountType, textOf, type MountLine } from '../../machine/mountinfo.js';
import { holdPlace, takePlace, type HeldPlace } from '../../machine/held-place.js';
import { currentMounts, mountOfDevice, unmountFound } from '../../machine/unmount.js';
import { fromText, printable } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { mountOptionTable } from '../../options/mount-options.js';
import { pathsOf } from '../../options/rows.js';
import { sourceOptionTable } from '../../options/source-options.js';
import { directories, processEnvironment } from '../../repository/open/environment.js';
import { isUrl, splitSourcePin } from '../../source/source-pin.js';
import type { Log } from '../log.js';
import {
  checkMountpoint,
  checkReserved,
  resolveMountpoint,
  type Reserved,
  passedDescriptor,
} from '../../machine/mountpoint.js';
import { mountHealth } from '../../machine/stale-mounts.js';
import type { MountSpec } from '../mount-spec.js';
import { openedName } from '../control/runtime.js';

/** A mountpoint that is free for a mount. */
export interface HeldMountpoint {
  /** Its path without links. */
  readonly mountpoint: string;
  /** The directory that was checked; undefined where somebody else mounts, and on other systems than Linux. */
  readonly place: HeldPlace | undefined;
}

/**
 * Checks the mountpoint and holds it; a dead mount of ours is taken away.
 * @throws PinfsError MOUNTPOINT_UNUSABLE, MOUNT_BUSY.
 */
export async function prepareMountpoint(
  spec: MountSpec,
  runtimeDirectory: string,
  log: Log,
): Promise<HeldMountpoint> {
  const { mount } = spec;
  const passed = passedDescriptor(mount.mountpoint);
  if (passed !== undefined) {
    return {
      mountpoint: await preparePassedMount(spec, runtimeDirectory, passed),
      place: undefined,
    };
  }
  const reserved = reservedPaths(spec, runtimeDirectory);
  if (mount.place !== undefined) return checkHeld(takePlace(mount.place), reserved);
  const mounts = await currentMounts();
  const ours = (path: string) => findMount(mounts, path)?.type === mountType;
  if (isAutomount(mounts, mount.mountpoint)) {
    return checkHeld(holdAutomount(mount.mountpoint), reserved);
  }
  await refuseHung(mounts, resolve(mount.mountpoint));
  const mountpoint = resolveMountpoint(mount.mountpoint, ours);
  if (ours(mountpoint)) {
    const health = await mountHealth(mountpoint);
    if (health !== 'stale') throw alreadyMounted(mountpoint);
    const dead = findMount(mounts, mountpoint);
    if (dead !== undefined) await unmountFound(dead, 'lazy');
    log.warn(`removed the mount of a dead process from ${mountpoint}`);
  }
  checkMountpoint(mountpoint, reserved);
  const place = process.platform === 'linux' ? holdPlace(mountpoint) : undefined;
  return { mountpoint, place };
}

/** @throws PinfsError MOUNTPOINT_UNUSABLE */
function checkHeld(place: HeldPlace, reserved: readonly Reserved[]): HeldMountpoint {
  try {
    const mountpoint = place.now();
    checkReserved(mountpoint, reserved);
    return { mountpoint, place };
  } catch (thrown) {
    place.close();
    throw thrown;
  }
}

/**
 * Whether autofs waits there for a mount: on the path itself, as with `x-systemd.automount`, or on the directory above
 * it, where names come up as somebody steps into them. Who looks at it by its path calls for the
 * mount, and, unless mount(8)'s process group is his, waits for it as well, with the mount waiting for him.
 */
function isAutomount(mounts: readonly MountLine[], path: string): boolean {
  const place = resolve(path);
  const there = findMount(mounts, place) ?? findMount(mounts, dirname(place));
  return there?.type === 'autofs';
}

/** Only the way to it is looked at. @throws PinfsError MOUNTPOINT_UNUSABLE */
function holdAutomount(path: string): HeldPlace {
  const automount = resolve(path);
  return holdPlace(resolveMountpoint(automount, (candidate) => candidate === automount));
}

/**
 * The mountpoint of a process that is about to be started in a process group of its own, if it is one that only
 * this process may look at. @throws PinfsError MOUNTPOINT_UNUSABLE
 */
export async function automountPlace(mountpoint: string): Promise<HeldPlace | undefined> {
  return isAutomount(await currentMounts(), mountpoint) ? holdAutomount(mountpoint) : undefined;
}

/**
 * What lies there may never answer, and whoever asks it himself waits with it, beyond the reach of signals.
 * @throws PinfsError MOUNTPOINT_UNUSABLE
 */
async function refuseHung(mounts: readonly MountLine[], path: string): Promise<void> {
  const there = findMount(mounts, path);
  if (there === undefined || there.type === mountType) return;
  if ((await mountHealth(path)) !== 'hung') return;
  throw new PinfsError(
    'MOUNTPOINT_UNUSABLE',
    `can't mount on ${path}: what is mounted there (${there.type}) does not answer`,
    { advice: `Take it away: umount -l ${path}` },
  );
}

/**
 * Where mount.fuse3 has mounted, as far as the kernel tells. Nobody serves it yet, so it must not be touched.
 */
export async function preparePassedMount(
  spec: MountSpec,
  runtimeDirectory: string | undefined,
  descriptor: number,
): Promise<string> {
  const mounted = await mountOfDevice(descriptor);
  if (mounted === undefined) return spec.mount.mountpoint;
  const mountpoint = textOf(mounted.mountpoint);
  if (mounted.source === unnamed) throw unnamedSource(mountpoint);
  checkReserved(mountpoint, reservedPaths(spec, runtimeDirectory));
  return mountpoint;
}

// What mount.fuse3 shows as the source where no fsname is given: the type alone.
const unnamed = 'pinfs';

/** mount(8) would not find its source there, and mount it again and again, one on the other. */
function unnamedSource(mountpoint: string): PinfsError {
  const path = printable(fromText(mountpoint));
  return new PinfsError(
    'USAGE',
    `with drop_privileges, mount.fuse3 mounts by itself and shows no source: 'mount -a' would mount ${path} again, on top`,
    {
      advice: `Add fsname= with the first word of the line to its options, and take this mount away: umount ${path}`,
    },
  );
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

/** Takes away a directory that was made for a mount which is over; where something else is in it by now, it stays. */
export function removePlace(mountpoint: string): void {
  try {
    rmdirSync(mountpoint);
  } catch {
    // Somebody else needs it, or has taken it away.
  }
}

/** Everything that this process uses while it serves: on its own mount it would wait for itself. */
function reservedPaths(
  { options, mount }: MountSpec,
  runtimeDirectory: string | undefined,
): readonly Reserved[] {
  const { cache, state } = directories(options, processEnvironment);
  const used = (what: string, path: string): Reserved[] =>
    isUrl(path) ? [] : [{ what, path: resolve(path), whole: false }];
  return [
    { what: 'the cache', path: cache, whole: true },
    { what: 'the state', path: state, whole: true },
    ...(runtimeDirectory === undefined
      ? []
      : [
          {
            what: 'the directory of the control socket',
            path: runtimeDirectory,
            whole: true,
            except: join(runtimeDirectory, openedName),
          },
        ]),
    ...used('the source', splitSourcePin(options.source, existsSync).source),
    ...[...pathsOf(sourceOptionTable, options), ...pathsOf(mountOptionTable, mount)].flatMap(
      ({ row: { inUse }, path }) => (inUse === undefined ? [] : used(inUse, path)),
    ),
    ...used('pinfs itself', import.meta.dirname),
    ...used('node', process.execPath),
  ];
}
