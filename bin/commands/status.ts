import { resolve } from 'node:path';
import type { Command } from 'commander';
import { fromText, printable, printableText } from '../../lib/format/bytes.js';
import type { ListedMount } from '../../lib/mount/list.js';
import type { Holder } from '../../lib/machine/holders.js';
import type { MountStatus, PreviousSnapshot } from '../../lib/mount/session/status.js';
import { PinfsError } from '../../lib/format/errors.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { runAction } from './failures.js';
import { paintedStatus } from './look.js';
import { addOptions, outputOptions, type OutputFlags } from './options.js';
import { printJson } from './output.js';
import { formatSize } from './sizes.js';
import { tableLines } from './table.js';

/** Milliseconds that the process of a mount has for its answer. */
const timeoutMs = 3000;

const statusOptions = {
  watch: {
    flag: '--watch',
    kind: 'flag',
    conflicts: 'json',
    help: 'go on, once a second; q ends it',
    manual:
      'A table that is drawn anew once a second until `q` or Ctrl-C: the share of reads that the cache answered since ' +
      'the line before, bytes a second from the network, requests of the kernel a second and those that wait for an ' +
      'answer, errors so far. Where the output is no terminal, one line for each mount and second, the time before it.',
  },
} as const satisfies OptionRows;

type StatusFlags = OutputFlags & OptionValues<typeof statusOptions>;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('status')), statusOptions)
    .description(
      `the mounts of this user: trust, hit rates, bytes, errors by name

One mount is told in full, several are a table; --verbose tells each in full, with its chain of trust.`,
    )
    .summary('the mounts of this user: trust, hit rates, bytes, errors by name')
    .argument('[dir...]', 'only the mounts on these directories, or that these lie in')
    .action(async (directories: readonly string[], flags: StatusFlags) => {
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
    const holding = mounts.filter(({ mountpoint }) => liesIn(path, mountpoint));
    const [nearest] = holding.sort((a, b) => b.mountpoint.length - a.mountpoint.length);
    if (nearest === undefined)
      throw new PinfsError('NOT_FOUND', `${directory} lies in no mount of pinfs`, {
        advice: 'pinfs status shows all mounts of this user.',
      });
    wanted.add(nearest);
  }
  return directories.length === 0 ? [...mounts] : [...wanted];
}

function liesIn(path: string, mountpoint: string): boolean {
  return path === mountpoint || path.startsWith(`${mountpoint}/`);
}

async function foundMounts(directories: readonly string[]): Promise<ListedMount[]> {
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
    // One of others that does not answer is not waited for.
    wanted: (mountpoint) =>
      directories.length === 0 || directories.some((one) => liesIn(resolve(one), mountpoint)),
  });
  return asked(all, directories);
}

async function status(directories: readonly string[], flags: StatusFlags): Promise<void> {
  if (flags.watch === true) {
    const { watchStatus } = await import('./status-watch.js');
    await watchStatus(() => foundMounts(directories));
    return;
  }
  const mounts = await foundMounts(directories);
  if (flags.json === true) {
    printJson({ mounts: await Promise.all(mounts.map(withHolders)) });
    return;
  }
  if (mounts.length > 1 && flags.verbose !== true) {
    const { statusColumns, statusRow } = await import('./status-table.js');
    const lines = tableLines(statusColumns, mounts.map(statusRow));
    process.stdout.write(`${lines.join('\n')}\n`);
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
            ...(flags.verbose === true ? await chainLines(mount.status) : []),
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

async function chainLines({ verdict }: MountStatus): Promise<string[]> {
  const { stepLines } = await import('../../lib/trust/verdict/verdict-text.js');
  return ['  chain of trust', ...stepLines(verdict).map((line) => `  ${line}`)];
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
