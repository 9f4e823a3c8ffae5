import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { systemCalls } from './system-calls.js';
import { mountType, parseMountinfo, textOf, type MountLine } from './mountinfo.js';

/**
 * Who keeps a mount from going: read from /proc and /sys alone. The mount itself is never asked, since its
 * process may be hung, and often is ourselves.
 */

/** What is known of the mount that is held. */
export interface MountHolders {
  /** `major:minor`, as in mountinfo. */
  readonly device: string;
  /** Where it lies; undefined: detached, or nowhere that this process sees. */
  readonly place: string | undefined;
}

/** A process that keeps a mount from going. */
export interface Holder {
  readonly pid: number;
  readonly command: string;
  readonly how: string;
}

// As many are named; whoever looks for more has fuser(1).
const namedHoldersMax = 10;

/** One line for people; undefined: nobody could be seen. */
export async function namesOfHolders(held: MountHolders): Promise<string | undefined> {
  const all = [
    ...(await holdersOf(held)).map((it) => `${it.pid} (${it.command}: ${it.how})`),
    ...(await mountsThatHold(held)),
    ...(await loopDevices(held)),
  ];
  if (all.length === 0) return undefined;
  const more = all.length > namedHoldersMax ? ` and ${all.length - namedHoldersMax} more` : '';
  return all.slice(0, namedHoldersMax).join(', ') + more;
}

/**
 * Processes with a working directory, root, program, open file or mapping in it, in whatever mount namespace
 * they live; and of each other namespace that has a copy of it and no such process, one process.
 */
export async function holdersOf(held: MountHolders): Promise<readonly Holder[]> {
  const home = await namespaceOf('self');
  const leadsIn = linkTest(held);
  const holders: Holder[] = [];
  const living = new Map<string, string>();
  const holding = new Set<string | undefined>([home]);
  for (const pid of await readdir('/proc')) {
    if (!/^[0-9]+$/.test(pid)) continue;
    const namespace = await namespaceOf(pid);
    if (namespace !== undefined && !living.has(namespace)) living.set(namespace, pid);
    const how = await howHeld(`/proc/${pid}`, held.device, leadsIn);
    if (how === undefined) continue;
    holding.add(namespace);
    const elsewhere = namespace !== undefined && namespace !== home;
    holders.push(await holderOf(pid, elsewhere ? `${how}, in another mount namespace` : how));
  }
  for (const [namespace, pid] of living) {
    if (holding.has(namespace) || !(await hasCopy(pid, held))) continue;
    holders.push(await holderOf(pid, 'a copy of the mount in its mount namespace'));
  }
  return holders;
}

/** A process, with its name for people. */
export async function holderOf(pid: string, how: string): Promise<Holder> {
  const command = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '?');
  return { pid: Number(pid), command: command.trim(), how };
}

/** Links of /proc that lead to what a process has: its directories, program, open files and (for root) mapped files. */
export async function linksOf(
  pid: string,
): Promise<readonly { readonly path: string; readonly how: string }[]> {
  const below = async (name: string, how: string) =>
    (await readdir(`/proc/${pid}/${name}`).catch(() => [])).map((entry) => ({
      path: `/proc/${pid}/${name}/${entry}`,
      how,
    }));
  return [
    { path: `/proc/${pid}/cwd`, how: 'working directory' },
    { path: `/proc/${pid}/root`, how: 'root directory' },
    { path: `/proc/${pid}/exe`, how: 'running program' },
    ...(await below('fd', 'open file')),
    ...(await below('map_files', 'mapped file')),
  ];
}

async function namespaceOf(pid: string): Promise<string | undefined> {
  return readlink(`/proc/${pid}/ns/mnt`).catch(() => undefined);
}

async function mountsOf(pid: string): Promise<readonly MountLine[]> {
  return parseMountinfo(await readFile(`/proc/${pid}/mountinfo`, 'latin1').catch(() => ''));
}

function isCopy({ device, type }: MountLine, held: MountHolders): boolean {
  return device === held.device && type === mountType;
}

async function hasCopy(pid: string, held: MountHolders): Promise<boolean> {
  return (await mountsOf(pid)).some((line) => isCopy(line, held));
}

type LinkTest = (link: string) => Promise<boolean>;

async function howHeld(
  directory: string,
  device: string,
  leadsIn: LinkTest,
): Promise<string | undefined> {
  if (await leadsIn(`${directory}/cwd`)) return 'working directory';
  if (await leadsIn(`${directory}/root`)) return 'root directory';
  if (await leadsIn(`${directory}/exe`)) return 'running program';
  for (const fd of await readdir(`${directory}/fd`).catch(() => [])) {
    if (await leadsIn(`${directory}/fd/${fd}`)) return 'open file';
  }
  const maps = await readFile(`${directory}/maps`, 'latin1').catch(() => '');
  return maps.includes(` ${mapsDevice(device)} `) ? 'mapped file' : undefined;
}

/**
 * Whether a link of /proc leads into the mount. Its text tells only as long as the mount is in its place
 * here; the device number tells always, and the kernel gives it without asking whoever serves.
 */
function linkTest(held: MountHolders): LinkTest {
  const number = deviceNumbers();
  if (number !== undefined) return (link) => Promise.resolve(number(link) === held.device);
  return async (link) => {
    const target = await readlink(link).catch(() => '');
    return held.place !== undefined && isIn(target, held.place);
  };
}

function deviceNumbers(): ((path: string) => string | undefined) | undefined {
  try {
    const calls = systemCalls();
    return (path) => calls.deviceNumber(path);
  } catch {
    return undefined;
  }
}

function isIn(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

/** /proc/PID/maps writes `major:minor` in hexadecimal of two digits at least. */
function mapsDevice(device: string): string {
  return device
    .split(':')
    .map((part) => Number(part).toString(16).padStart(2, '0'))
    .join(':');
}

/** What is mounted inside of it, and copies of it elsewhere. */
async function mountsThatHold(held: MountHolders): Promise<readonly string[]> {
  const mounts = await mountsOf('self');
  const own = new Set(mounts.filter((line) => isCopy(line, held)).map(({ id }) => id));
  return mounts.flatMap((line) => {
    const at = textOf(line.mountpoint);
    if (own.has(line.parent)) return [`the mount on ${at} (${line.type})`];
    return own.has(line.id) && at !== held.place ? [`its copy on ${at}`] : [];
  });
}

const blockDevices = '/sys/block';

/** An image that lies in it and is mounted through a loop device is held by the kernel, not by a process. */
async function loopDevices({ place }: MountHolders): Promise<readonly string[]> {
  if (place === undefined) return [];
  const found: string[] = [];
  for (const name of await readdir(blockDevices).catch(() => [])) {
    if (!/^loop\d+$/.test(name)) continue;
    const file = await readFile(join(blockDevices, name, 'loop/backing_file'), 'utf8').catch(
      () => '',
    );
    if (isIn(file.trim(), place)) found.push(`/dev/${name} (${file.trim()})`);
  }
  return found;
}
