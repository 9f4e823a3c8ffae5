import { execFile } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { PinfsError } from '../format/errors.js';
import { findMount, parseMountinfo, type MountLine } from './mountinfo.js';

/** The mounts that this process sees now. Reads /proc only, so no mount can make it wait. */
export async function currentMounts(): Promise<MountLine[]> {
  return parseMountinfo(await readFile('/proc/self/mountinfo', 'latin1'));
}

interface Tool {
  readonly command: string;
  readonly arguments: (mountpoint: string, lazy: boolean) => readonly string[];
}

// None of these gets a shell, and none looks into the mount itself: `-c` keeps umount from
// resolving the path. fusermount3 comes first, since it works for everyone.
const fusermount = (command: string): Tool => ({
  command,
  arguments: (mountpoint, lazy) => [lazy ? '-uz' : '-u', '--', mountpoint],
});
const tools: readonly Tool[] = [
  fusermount('fusermount3'),
  fusermount('fusermount'),
  {
    command: 'umount',
    arguments: (mountpoint, lazy) => [...(lazy ? ['-l'] : []), '-c', '-i', '--', mountpoint],
  },
];

const toolTimeout = 20_000;

/**
 * Unmounts a mountpoint (absolute, symlinks resolved); `lazy` detaches it though it is in use.
 * @throws PinfsError MOUNT_BUSY (naming who holds it), NOT_MOUNTED, MOUNT_FAILED.
 */
export async function unmountPath(mountpoint: string, lazy: boolean): Promise<void> {
  const mount = findMount(await currentMounts(), mountpoint);
  if (mount === undefined) {
    throw new PinfsError('NOT_MOUNTED', `${mountpoint} is not a mountpoint`);
  }
  let message = '';
  for (const tool of tools) {
    const result = await run(tool.command, tool.arguments(mountpoint, lazy));
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

/** @throws PinfsError MOUNT_BUSY: another mount lies on the one with this device number. */
export function refuseCovered(
  mounts: readonly MountLine[],
  mountpoint: string,
  device: string,
): void {
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
    const options = { timeout: toolTimeout, env: { ...process.env, LC_ALL: 'C' }, cwd: '/' };
    execFile(command, args, options, (error, _, stderr) => {
      if (error === null) resolve(undefined);
      else resolve({ missing: error.code === 'ENOENT', message: stderr || error.message });
    });
  });
}

async function busy(mountpoint: string, mount: MountLine): Promise<PinfsError> {
  const holders = await holdersOf(mountpoint, mount.device);
  const named = holders.slice(0, 10).map((it) => `${it.pid} (${it.command}: ${it.how})`);
  const more = holders.length > 10 ? ` and ${holders.length - 10} more` : '';
  return new PinfsError(
    'MOUNT_BUSY',
    named.length === 0
      ? `${mountpoint} is in use; by whom could not be seen`
      : `${mountpoint} is in use by ${named.join(', ')}${more}`,
    { advice: 'End these processes, or detach it: pinfs umount --lazy MOUNTPOINT' },
  );
}

/** A process that keeps a mount from going. */
export interface Holder {
  readonly pid: number;
  readonly command: string;
  readonly how: string;
}

/**
 * Who holds a mount: working directories, roots, programs, open files and mappings below it, as
 * far as this user may see. Reads only what /proc says of them in text, never the mount itself.
 */
export async function holdersOf(mountpoint: string, device: string): Promise<Holder[]> {
  const holders: Holder[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(name)) continue;
    const how = await howHeld(`/proc/${name}`, mountpoint, device);
    if (how === undefined) continue;
    const command = await readFile(`/proc/${name}/comm`, 'utf8').catch(() => '?');
    holders.push({ pid: Number(name), command: command.trim(), how });
  }
  return holders;
}

async function howHeld(
  directory: string,
  mountpoint: string,
  device: string,
): Promise<string | undefined> {
  const below = async (link: string): Promise<boolean> => {
    const target = await readlink(link).catch(() => '');
    return target === mountpoint || target.startsWith(`${mountpoint}/`);
  };
  if (await below(`${directory}/cwd`)) return 'working directory';
  if (await below(`${directory}/root`)) return 'root directory';
  if (await below(`${directory}/exe`)) return 'running program';
  for (const fd of await readdir(`${directory}/fd`).catch(() => [])) {
    if (await below(`${directory}/fd/${fd}`)) return 'open file';
  }
  const maps = await readFile(`${directory}/maps`, 'latin1').catch(() => '');
  return maps.includes(` ${mapsDevice(device)} `) ? 'mapped file' : undefined;
}

/** /proc/PID/maps writes `major:minor` in hexadecimal of two digits at least. */
function mapsDevice(device: string): string {
  return device
    .split(':')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':');
}
