import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import { mountThere } from '../../lib/mount/again.js';
import { runtimeDirectories } from '../../lib/mount/control/runtime.js';
import type { MountSpec } from '../../lib/mount/mount-spec.js';
import { mountHealth } from '../../lib/machine/stale-mounts.js';
import { settingsFiles, settingsPlaces } from '../../lib/settings/places.js';
import type { MountFlags } from './mount.js';
import { applySettings } from './settings.js';

/* Several mounts of one process: `mount --with`, and `mount --all` for what the settings have. */

/** How one mount is read from its arguments. */
export interface MountReader {
  readonly parse: (args: readonly string[]) => Command;
  readonly named: (
    mountpoint: string,
    asked: { readonly source: string; readonly flags: MountFlags },
  ) => Promise<{ readonly spec: MountSpec }>;
}

interface Wanted {
  readonly source: string;
  readonly mountpoint: string;
}

/** Reads `SOURCE[@PIN]=DIR`: a directory has no `=` in its name, a source may. @throws PinfsError USAGE */
function parseWith(text: string): Wanted {
  const at = text.lastIndexOf('=');
  const source = text.slice(0, at);
  const mountpoint = text.slice(at + 1);
  if (at > 0 && mountpoint !== '') return { source, mountpoint };
  throw new PinfsError('USAGE', `--with ${printableText(text)} has no source or no directory`, {
    advice: 'Write --with SOURCE@PIN=DIR.',
  });
}

/** What can be for one mount alone: an address, or a file that it writes. The others have a log of their own. */
const forOneMount = ['metrics', 'public', 'trace', 'record', 'learn', 'log', 'o', 'with', 'all'];

/** A mount as if it were asked for alone, with the options of the command line. */
async function besides(
  { source, mountpoint }: Wanted,
  command: Command,
  { parse, named }: MountReader,
): Promise<MountSpec> {
  const alone = parse(['--', source, mountpoint]);
  await applySettings(alone);
  const given = Object.entries(command.opts<Record<string, unknown>>()).filter(
    ([name]) => command.getOptionValueSource(name) === 'cli',
  );
  const flags = Object.fromEntries(
    [...Object.entries(alone.opts<Record<string, unknown>>()), ...given].filter(
      ([name]) => !forOneMount.includes(name),
    ),
  );
  const [word] = alone.processedArgs as readonly unknown[];
  const asked = { source: String(word), flags: flags as Partial<MountFlags> as MountFlags };
  return (await named(mountpoint, asked)).spec;
}

/** Adds what `--with` asks for. @throws PinfsError USAGE */
export async function withOthers(
  spec: MountSpec,
  texts: readonly string[],
  command: Command,
  reader: MountReader,
): Promise<MountSpec> {
  const others: MountSpec[] = [];
  for (const wanted of texts.map(parseWith)) others.push(await besides(wanted, command, reader));
  return { ...spec, others };
}

/**
 * What the settings have that is not mounted yet.
 * @returns undefined: all of it is
 * @throws PinfsError USAGE: they have nothing
 */
export async function settingsMounts(
  command: Command,
  reader: MountReader,
): Promise<MountSpec | undefined> {
  const { readSettings } = await import('../../lib/settings/read.js');
  const { ownMounts } = await import('../../lib/settings/show.js');
  const all = ownMounts(settingsFiles(settingsPlaces(process.env)).map(readSettings));
  if (all.length === 0)
    throw new PinfsError('USAGE', 'the settings have no mounts', {
      advice: 'Write [mounts], and below it "~/DIR" = "SOURCE@PIN": pinfs config edit',
    });
  const specs: MountSpec[] = [];
  for (const wanted of all) {
    if (await isMounted(wanted.mountpoint))
      process.stderr.write(`pinfs: ${printableText(wanted.mountpoint)} is mounted already\n`);
    else specs.push(await besides(wanted, command, reader));
  }
  const [first, ...others] = specs;
  return first && { ...first, others };
}

async function isMounted(mountpoint: string): Promise<boolean> {
  const there = await mountThere(mountpoint, runtimeDirectories());
  return there !== undefined && (await mountHealth(mountpoint)) !== 'stale';
}
