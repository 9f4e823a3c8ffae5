import { execFile } from 'node:child_process';
import { closeSync, constants as fileConstants, openSync, readlinkSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import { fromText, printable, printableText } from '../format/bytes.js';
import { PinfsError } from '../format/errors.js';
import { namesOfHolders } from './holders.js';
import { systemCalls, unmountFlags, type SystemCalls } from './system-calls.js';
import { O_PATH } from './held-place.js';
import {
  findMount,
  lineOfConnection,
  mountpointOf,
  mountType,
  parseMountinfo,
  textOf,
  type MountLine,
} from './mountinfo.js';

/** The mounts that this process sees now. Reads /proc only, so no mount can make it wait. */
export async function currentMounts(): Promise<MountLine[]> {
  return parseMountinfo(await readFile('/proc/self/mountinfo', 'latin1'));
}

/**
 * The mount that a FUSE device of this process serves, wherever it lies by now. Where the kernel does not tell: the
 * one of ours on top at `mountpoint`, if that is given.
 */
export async function mountOfDevice(
  descriptor: number | string | undefined,
  mountpoint?: string,
): Promise<MountLine | undefined> {
  const mounts = await currentMounts();
  const facts =
    descriptor === undefined
      ? ''
      : await readFile(`/proc/self/fdinfo/${descriptor}`, 'utf8').catch(() => '');
  const there = mountpoint === undefined ? undefined : findMount(mounts, mountpoint);
  return lineOfConnection(mounts, facts) ?? (there?.type === mountType ? there : undefined);
}

/**
 * `orderly`: refused while it is in use. `lazy`: out of sight at once, and served until its last user
 * leaves. `force`: over at once; whoever is still inside gets errors.
 */
export type UnmountMode = 'orderly' | 'lazy' | 'force';

export const unmountModes: readonly UnmountMode[] = ['orderly', 'lazy', 'force'];

interface Tool {
  readonly command: string;
  readonly arguments: (mountpoint: string, detach: boolean) => readonly string[];
}

// None of these gets a shell, and none looks into the mount itself: `-c` keeps umount from
// resolving the path. fusermount3 comes first, since it works for everyone.
const fusermount = (command: string): Tool => ({
  command,
  arguments: (mountpoint, detach) => [detach ? '-uz' : '-u', '--', mountpoint],
});
const tools: readonly Tool[] = [
  fusermount('fusermount3'),
  fusermount('fusermount'),
  {
    command: 'umount',
    arguments: (mountpoint, detach) => [...(detach ? ['-l'] : []), '-c', '-i', '--', mountpoint],
  },
];

const toolTimeoutMs = 20_000;

/**
 * Unmounts a mountpoint (absolute, symlinks resolved); by `force`, whoever is in it gets
 * errors, as far as this user may do that.
 * @throws PinfsError MOUNT_BUSY (naming who holds it), NOT_MOUNTED, MOUNT_FAILED.
 */
export async function unmountPath(mountpoint: string, mode: UnmountMode): Promise<void> {
  const mount = findMount(await currentMounts(), mountpoint);
  if (mount === undefined) {
    throw new PinfsError('NOT_MOUNTED', `${mountpoint} is not a mountpoint`);
  }
  if (mode === 'force') await abortConnection(mount.device, mountpoint);
  let message = '';
  for (const tool of tools) {
    const result = await run(tool.command, tool.arguments(mountpoint, mode !== 'orderly'));
    if (result === undefined) return;
    if (result.missing) continue;
    // It may have gone in the meantime, by another hand.
    if (findMount(await currentMounts(), mountpoint)?.device !== mount.device) return;
    if (/busy/i.test(result.message)) throw await busy(mountpoint, mount);
    message = result.message;
  }
  throw new PinfsError('MOUNT_FAILED', `${mountpoint} could not be unmounted: ${message.trim()}`, {
    advice:
      message === ''
        ? 'No fusermount3, fusermount or umount was found: apt-get install -y fuse3'
        : 'See who may unmount it; root always can: umount -l MOUNTPOINT',
  });
}

/**
 * Unmounts a mount of ours, wherever it lies by now, if it is still there. By `force`, whoever is in it gets
 * errors, as far as this user may do that.
 * @throws PinfsError MOUNT_BUSY, MOUNT_FAILED.
 */
export async function unmountOwn(own: MountLine, mode: UnmountMode): Promise<void> {
  const mounts = await currentMounts();
  const place = mountpointOf(mounts, own);
  if (place !== undefined) refuseCovered(mounts, place, own.device);
  // What has no place any more has lost its numbers too, or may lose them: `abortConnection` is for who serves it.
  if (place === undefined) return;
  if (mode === 'force') await abortConnection(own.device, place);
  const calls = rootsCalls();
  const flags = unmountFlags.NOFOLLOW | (mode !== 'orderly' ? unmountFlags.DETACH : 0);
  const result = calls && unmountAt(calls, place, own.device, flags);
  if (result === 0) return;
  if (result === -EBUSY) throw await busy(place, own);
  // In a namespace of users, root may not do everything: fusermount3 may.
  const isForTools = result === undefined || result === -EPERM;
  if (isForTools) await unmountPath(place, mode);
  // It may have gone, also by another hand; another mount may have both numbers by now, at a place of its own.
  if (mountpointOf(await currentMounts(), own) !== place) return;
  // The tools go by the path.
  if (isForTools || result === -ESTALE) throw leadsElsewhere(place);
  throw new PinfsError('MOUNT_FAILED', `${place} could not be unmounted (errno ${-result})`);
}

function leadsElsewhere(place: string): PinfsError {
  const text = `${place} could not be unmounted: its path leads elsewhere`;
  return new PinfsError('MOUNT_FAILED', text, {
    advice: "Somebody renames a directory above it: try again. 'pinfs status' says where it lies.",
  });
}

/**
 * The same for a mount that was found at its place a moment ago, and is not ours to serve: only while it lies
 * there still. Both numbers of one that is gone are given to the next at once.
 * @throws PinfsError MOUNT_BUSY, MOUNT_FAILED.
 */
export async function unmountFound(found: MountLine, mode: UnmountMode): Promise<void> {
  if (mountpointOf(await currentMounts(), found) !== textOf(found.mountpoint)) return;
  await unmountOwn(found, mode);
}

const { EBUSY, EPERM, ESTALE } = constants.errno;

/**
 * umount2(2) through a descriptor of the directory above: who owns one further up may put a link in its place,
 * and would have root unmount something else. @returns 0 or the negative errno; -ESTALE: it is not there.
 */
export function unmountAt(
  calls: SystemCalls,
  place: string,
  device: string,
  flags: number,
): number {
  const above = dirname(place);
  let parent: number;
  try {
    parent = openSync(above, O_PATH | fileConstants.O_NOFOLLOW);
  } catch {
    return -ESTALE;
  }
  try {
    const at = `/proc/self/fd/${parent}`;
    const target = `${at}/${basename(place)}`;
    if (readlinkSync(at) !== above || calls.deviceNumber(target) !== device) return -ESTALE;
    return calls.umount(target, flags);
  } finally {
    closeSync(parent);
  }
}

/** The system calls, where they can do what no tool does better. */
function rootsCalls(): SystemCalls | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  try {
    return systemCalls();
  } catch {
    return undefined;
  }
}

/**
 * Ends the connection of a mount. `place` is where it lies, on top; whoever serves it, and sees that it is not over,
 * may do without.
 */
export async function abortConnection(device: string, place?: string): Promise<void> {
  const minor = device.slice(device.indexOf(':') + 1);
  const aborted = await writeFile(`/sys/fs/fuse/connections/${minor}/abort`, '1', {
    // The file belongs to who mounted, and can only be written.
    flag: fileConstants.O_WRONLY,
  }).then(
    () => true,
    () => false,
  );
  if (aborted || place === undefined) return;
  // This aborts also what is in use, and is then refused.
  const calls = rootsCalls();
  const flags = unmountFlags.NOFOLLOW | unmountFlags.FORCE;
  if (calls !== undefined) unmountAt(calls, place, device, flags);
}

/** @throws PinfsError MOUNT_BUSY: another mount lies on the one with this device number. */
function refuseCovered(mounts: readonly MountLine[], mountpoint: string, device: string): void {
  const top = findMount(mounts, mountpoint);
  if (top === undefined || top.device === device) return;
  throw new PinfsError('MOUNT_BUSY', `${mountpoint} has another mount (${top.type}) on top`, {
    advice: `Unmount that first: umount '${mountpoint}'`,
  });
}

function run(
  command: string,
  args: readonly string[],
): Promise<{ readonly missing: boolean; readonly message: string } | undefined> {
  return new Promise((resolve) => {
    const options = { timeout: toolTimeoutMs, env: { ...process.env, LC_ALL: 'C' }, cwd: '/' };
    execFile(command, args, options, (error, _, stderr) => {
      if (error === null) resolve(undefined);
      else resolve({ missing: error.code === 'ENOENT', message: stderr || error.message });
    });
  });
}

async function busy(mountpoint: string, { device }: MountLine): Promise<PinfsError> {
  return inUse(mountpoint, await namesOfHolders({ device, place: mountpoint }));
}

/** MOUNT_BUSY, with both ways out. */
export function inUse(mountpoint: string, holders: string | undefined): PinfsError {
  const path = printable(fromText(mountpoint));
  const by = holders === undefined ? 'by whom could not be seen' : `by ${printableText(holders)}`;
  return new PinfsError('MOUNT_BUSY', `${path} is in use ${by}`, {
    advice: `End these processes; or let them go on and detach it: pinfs umount --lazy ${path}; or end it under them: pinfs umount --force ${path}`,
  });
}
