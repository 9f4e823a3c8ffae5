import { resolve } from 'node:path';
import type { Command } from 'commander';
import { fromText, printable, printableText } from '../../lib/format/bytes.js';
import type { ListedMount } from '../../lib/mount/list.js';
import type { Holder } from '../../lib/machine/holders.js';
import type { MountStatus, PreviousSnapshot } from '../../lib/mount/session/status.js';
import { PinfsError } from '../../lib/format/errors.js';
import { runAction } from './failures.js';
import { paintedStatus } from './look.js';
import { outputOptions, type OutputFlags } from './options.js';
import { printJson } from './output.js';
import { formatSize } from './sizes.js';

/** Milliseconds that the process of a mount has for its answer. */
const timeoutMs = 3000;

export function register(program: Command): void {
  outputOptions(program.command('status'))
    .description('the mounts of this user: trust, hit rates, bytes, errors by name')
    .argument('[dir...]', 'only the mounts on these directories, or that these lie in')
    .action(async (directories: readonly string[], flags: OutputFlags) => {
      await runAction(flags, () => status(directories, flags));
    });
}

/**
 * The mounts that these directories lie in, without a system call on any of them; all where none is given.
 * @throws PinfsError NOT_FOUND
 */
function asked(mounts: readonly ListedMount[], directories: readonly string[]): ListedMount[] {
  const wanted = new Set<ListedMount>();
  for (const directory of directories) {
    const path = resolve(directory);
    const holding = mounts.filter(
      ({ mountpoint }) => path === mountpoint || path.startsWith(`${mountpoint}/`),
    );
    const [nearest] = holding.sort((a, b) => b.mountpoint.length - a.mountpoint.length);
    if (nearest === undefined)
      throw new PinfsError('NOT_FOUND', `${directory} lies in no mount of pinfs`, {
        advice: 'pinfs status shows all mounts of this user.',
      });
    wanted.add(nearest);
  }
  return directories.length === 0 ? [...mounts] : [...wanted];
}

async function status(directories: readonly string[], flags: OutputFlags): Promise<void> {
  const { listMounts } = await import('../../lib/mount/list.js');
  const { mountHealth } = await import('../../lib/machine/stale-mounts.js');
  const { runtimeDirectories } = await import('../../lib/mount/control/runtime.js');
  const { currentMounts } = await import('../../lib/machine/unmount.js');
  const all = await listMounts({
    directories: runtimeDirectories(),
    mounts: await currentMounts(),
    uid: process.getuid?.() ?? 0,
    health: mountHealth,
    timeoutMs,
  });
  const mounts = asked(all, directories);
  if (flags.json === true) {
    printJson({ mounts: await Promise.all(mounts.map(withHolders)) });
    return;
  }
  const { statusLines } = await import('../../lib/mount/session/status.js');
  const texts: string[][] = [];
  for (const mount of mounts) {
    texts.push(
      mount.status === null
        ? bareLines(mount)
        : [
            ...statusLines(mount.status, formatSize).map(painter(mount.status)),
            ...(await heldLines(mount.status)),
            ...(await previousLines(mount.status)),
          ],
    );
  }
  const shown = texts.map((lines) => `${lines.join('\n')}\n`).join('\n');
  process.stdout.write(mounts.length === 0 ? 'no pinfs mounts\n' : shown);
}

function painter({ verdict }: MountStatus): (line: string) => string {
  return (line) => (/^ {2}trust /.test(line) ? paintedStatus(line, verdict.status) : line);
}

/** Who keeps a detached mount going. */
async function heldLines({ state, device }: MountStatus): Promise<string[]> {
  if (state !== 'detached' || device === null) return [];
  const { namesOfHolders } = await import('../../lib/machine/holders.js');
  const holders = await namesOfHolders({ device, place: undefined });
  return [`  held by     ${printableText(holders ?? 'somebody who can not be seen from here')}`];
}

interface HeldSnapshot extends PreviousSnapshot {
  readonly holders: readonly Holder[];
}

/** What was served before, with who is still in it. */
async function heldSnapshots({ previous = [], device }: MountStatus): Promise<HeldSnapshot[]> {
  const last = previous.at(-1);
  if (last === undefined) return [];
  const { oldHolders } = await import('../../lib/machine/old-holders.js');
  const holders = device === null ? [] : await oldHolders(device, last.generation + 1);
  return previous.map((snapshot) => ({
    ...snapshot,
    holders: holders
      .filter(({ generation }) => generation === snapshot.generation)
      .map(({ pid, command, how }) => ({ pid, command, how })),
  }));
}

async function withHolders(mount: ListedMount): Promise<object> {
  if (mount.status === null) return mount;
  return { ...mount, status: { ...mount.status, previous: await heldSnapshots(mount.status) } };
}

/** The one before, and those older ones that somebody is still in. */
async function previousLines(status: MountStatus): Promise<string[]> {
  const { namesOf } = await import('../../lib/machine/old-holders.js');
  const snapshots = await heldSnapshots(status);
  return snapshots
    .filter(({ holders }, index) => index === snapshots.length - 1 || holders.length > 0)
    .map(({ rootHash, tag, until, holders }) => {
      const name = printableText(tag === null ? rootHash : `${rootHash} (${tag})`);
      const who = namesOf(holders);
      const still = who === undefined ? 'nobody is seen in it' : `still used by ${who}`;
      return `  before      ${name} until ${until}; ${printableText(still)}`;
    });
}

const stateWords: Readonly<Record<ListedMount['state'], string>> = {
  starting: 'being mounted',
  running: 'running, by another version of pinfs',
  detached: 'detached; it is served until its last user leaves, or pinfs umount --force ends it',
  stopping: 'unmounted; it is just ending',
  stale: 'stale: its process is dead; pinfs umount removes it',
  silent: 'its process does not answer; pinfs umount --force removes it',
  other: 'served by a process that has no control socket here',
};

function bareLines(mount: ListedMount): string[] {
  const clean = (text: string) => printable(fromText(text));
  return [
    clean(mount.mountpoint),
    `  state       ${stateWords[mount.state]}`,
    ...(mount.source === null ? [] : [`  source      ${clean(mount.source)}`]),
    ...(mount.pid === null
      ? []
      : [`  process     ${mount.pid}, since ${mount.since ?? 'unknown'}`]),
  ];
}
