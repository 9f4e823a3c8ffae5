import { constants, openSync } from 'node:fs';
import { PinfsError } from '../../../format/errors.js';
import { passedDescriptor } from '../../../machine/mountpoint.js';
import { mountFlags, isOver, systemCalls } from '../../../machine/system-calls.js';
import { mountType, textOf, type MountLine } from '../../../machine/mountinfo.js';
import { holdPlace, movedAway, type HeldPlace } from '../../../machine/held-place.js';
import { mountOfDevice, unmountOwn, type UnmountMode } from '../../../machine/unmount.js';
import { fusermount } from './fusermount.js';
import { deviceFailed, devicePath, mountFailed, words } from './mount-errors.js';

/** What has to be known to mount. */
export interface MountWish {
  readonly mountpoint: string;
  /** The same, held since it was checked; undefined: it is held for the moment of mounting. */
  readonly place?: HeldPlace | undefined;
  /** Shown as the source of the mount. */
  readonly source: string;
  readonly allowOther: boolean;
  readonly suid: boolean;
  readonly dev: boolean;
  readonly noExec: boolean;
}

export interface MountedDevice {
  readonly device: number;
  /** Its line in the mount table; undefined where it is not found. */
  readonly mounted: MountLine | undefined;
  /** Somebody else has mounted for us, and took our right to unmount away. */
  readonly passed: boolean;
  /** Takes it out of its place, if it still is there. @throws PinfsError MOUNT_BUSY, MOUNT_FAILED. */
  readonly unmount: (mode: UnmountMode) => Promise<void>;
}

function isRoot(): boolean {
  return process.geteuid?.() === 0;
}

/**
 * Mounts, in whatever way is possible: passed from outside, mount(2) as root (also that of a user
 * namespace), fusermount3. The device comes non-blocking and closed on exec. INIT is still to be answered.
 * @throws PinfsError MOUNT_NO_DEVICE, MOUNT_NOT_PERMITTED, MOUNT_FAILED, MOUNT_NO_LIBRARY.
 */
export async function mountDevice(wish: MountWish): Promise<MountedDevice> {
  const passed = passedDescriptor(wish.mountpoint);
  if (passed !== undefined) return takePassed(passed);
  const place = wish.place ?? holdPlace(wish.mountpoint);
  try {
    return await mountOn(wish, place);
  } finally {
    if (wish.place === undefined) place.close();
  }
}

async function mountOn(wish: MountWish, place: HeldPlace): Promise<MountedDevice> {
  if (place.now() !== wish.mountpoint) throw movedAway(wish.mountpoint);
  const device = isRoot()
    ? mountAsRoot(wish, place)
    : await fusermount(wish.mountpoint, helperOptions(wish));
  const mounted = await mountOfDevice(device, wish.mountpoint).catch((thrown: unknown) => {
    // Nobody will serve it: whoever comes must not wait for that.
    systemCalls().close(device);
    throw thrown;
  });
  // fusermount3 goes by the path.
  if (!isRoot() && mounted !== undefined && textOf(mounted.mountpoint) !== place.now()) {
    await unmountOwn(mounted, 'lazy').catch(() => undefined);
    systemCalls().close(device);
    throw movedAway(wish.mountpoint);
  }
  const unmount = async (mode: UnmountMode) => {
    // As long as the connection lives, nobody else has its device number.
    if (mounted === undefined || isOver(systemCalls(), device)) return;
    // Forced, the worker ends it; an abort would look like a fault.
    await unmountOwn(mounted, mode === 'orderly' ? mode : 'lazy');
  };
  return { device, mounted, passed: false, unmount };
}

async function takePassed(device: number): Promise<MountedDevice> {
  const result = systemCalls().adopt(device);
  if (result < 0) {
    throw new PinfsError('MOUNT_FAILED', `/dev/fd/${device} is not open: ${words(-result)}`);
  }
  const unmount = () =>
    Promise.reject(
      new PinfsError('MOUNT_FAILED', 'this mount was made by mount.fuse3: use umount'),
    );
  return { device, mounted: await mountOfDevice(device), passed: true, unmount };
}

function openDevice(): number {
  try {
    return openSync(devicePath, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    throw deviceFailed(error);
  }
}

function mountAsRoot(wish: MountWish, place: HeldPlace): number {
  const calls = systemCalls();
  const device = openDevice();
  const flags =
    mountFlags.RDONLY |
    (wish.suid ? 0 : mountFlags.NOSUID) |
    (wish.dev ? 0 : mountFlags.NODEV) |
    (wish.noExec ? mountFlags.NOEXEC : 0);
  const owner = `user_id=${process.geteuid?.() ?? 0},group_id=${process.getegid?.() ?? 0}`;
  const data = `fd=${device},rootmode=40000,${owner},${permissions(wish)}`;
  // By descriptor: the path could lead elsewhere at any moment.
  const result = calls.mount(wish.source, place.at, mountType, flags, data);
  if (result < 0) {
    calls.close(device);
    throw mountFailed(wish.mountpoint, -result);
  }
  return device;
}

/** The kernel checks permissions by mode and owner, always; allow_other without that would open everything. */
function permissions(wish: MountWish): string {
  return wish.allowOther ? 'default_permissions,allow_other' : 'default_permissions';
}

function helperOptions(wish: MountWish): string {
  const source = wish.source.replace(/[\\,]/g, (special) => `\\${special}`);
  const parts = ['ro', permissions(wish), `fsname=${source}`, 'subtype=pinfs'];
  parts.push(wish.suid ? 'suid' : 'nosuid', wish.dev ? 'dev' : 'nodev');
  if (wish.noExec) parts.push('noexec');
  return parts.join(',');
}
