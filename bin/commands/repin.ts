import type { Command } from 'commander';
import { fromText, printable, printableText } from '../../lib/format/bytes.js';
import type { Repinned } from '../../lib/mount/session/served.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import type { Verdict } from '../../lib/trust/verdict/verdict.js';
import { runAction, warnOffline } from './failures.js';
import { addOptions, outputOptions, type OutputFlags } from './options.js';
import { printJson } from './output.js';
import { startWaiting } from './progress.js';
import { placeOf } from './with-repository.js';

const repinOptions = {
  dryRun: {
    flag: '--dry-run',
    kind: 'flag',
    help: 'verify it, and change nothing',
    manual:
      'Fetches and verifies the other snapshot, says what would be served, and changes nothing.',
  },
} as const satisfies OptionRows;

type RepinFlags = OutputFlags & OptionValues<typeof repinOptions>;

const description = `go over to another snapshot of what is mounted

The other snapshot is verified first; if that fails the mount stays as it is. What is opened from
then on is of the new one; open files and working directories keep the old one.`;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('repin')), repinOptions)
    .description(description)
    .summary('go over to another snapshot of what is mounted')
    .argument('<mountpoint>', 'where it is mounted')
    .argument(
      '<[source]@pin>',
      'a root hash, tag or date behind @; a source has to be the mounted one',
    )
    .action(async (mountpoint: string, pin: string, flags: RepinFlags) => {
      await runAction(flags, () => repin(mountpoint, pin, flags));
    });
}

async function repin(mountpoint: string, text: string, flags: RepinFlags): Promise<void> {
  const { parseOtherPin, repinMount } = await import('../../lib/mount/repin.js');
  const { runtimeDirectories } = await import('../../lib/mount/control/runtime.js');
  const isDry = flags.dryRun === true;
  const other = parseOtherPin(await withPin(text));
  let done: (() => void) | undefined;
  const repinned = await repinMount(mountpoint, other, isDry, runtimeDirectories(), (source) => {
    done = startWaiting('verifying', placeOf(source));
  }).finally(() => done?.());
  warnOffline(repinned.to);
  if (flags.json === true) printJson({ mountpoint, dryRun: isDry, ...repinned });
  else printRepinned(mountpoint, repinned, isDry);
}

/** The name of a repository alone: the pin is that of the site's configuration, as it is now. */
async function withPin(text: string): Promise<string> {
  const { splitSourcePin } = await import('../../lib/source/source-pin.js');
  if (text.startsWith('@') || splitSourcePin(text).pin !== undefined) return text;
  const { tellingEnvironment, withNames } = await import('./with-repository.js');
  return (await withNames({ source: text }, await tellingEnvironment())).source;
}

/** Says what was served, what is served now, and who is still in the old one. */
export function printRepinned(
  mountpoint: string,
  { from, to, holders }: Repinned,
  isDry: boolean,
): void {
  const lines = [
    `${printable(fromText(mountpoint))} ${isDry ? 'would be' : 'is'} at ${shown(to)}${isDry ? '' : ' now'}`,
    `trust: ${to.status}: ${printableText(to.summary)}`,
    isDry ? `it stays at ${shown(from)}` : `before: ${shown(from)}`,
    ...(holders === undefined ? [] : [`still in the old one: ${printableText(holders)}`]),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function shown({ rootHash, tag, revision }: Verdict): string {
  const names = [
    ...(revision === undefined ? [] : [`revision ${revision}`]),
    ...(tag === undefined ? [] : [`tag ${tag}`]),
  ];
  const hash = rootHash ?? 'a root hash that is not known';
  return printableText(names.length === 0 ? hash : `${hash} (${names.join(', ')})`);
}
