import type { Command } from 'commander';
import { printable } from '../../lib/format/bytes.js';
import { version } from '../../lib/machine/version.js';
import type { OptionValues } from '../../lib/options/option.js';
import type { ProfileDifference } from '../../lib/profile/combine.js';
import type { FirstUse, Profile } from '../../lib/profile/profile.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { formatMilliseconds, formatSize } from './sizes.js';

const outputOption = {
  output: {
    flag: '--output',
    short: '-o',
    value: 'file',
    kind: 'path',
    required: true,
    help: 'where the profile goes',
  },
} as const satisfies CommandOptionRows;

type WriteFlags = OutputFlags & OptionValues<typeof outputOption>;

export function register(program: Command): void {
  const profile = program
    .command('profile')
    .summary('what a job reads, learned once and fetched ahead')
    .description(
      'profiles of jobs: what they read, in the order of first use (pinfs mount --profile, pinfs fetch --profile)',
    );
  addOptions(outputOptions(profile.command('make')), outputOption)
    .description('make a profile of what a trace recorded')
    .argument('<trace>', 'file of pinfs mount --record')
    .action(make);
  outputOptions(profile.command('show'))
    .description('show what a profile says: when, and which path')
    .argument('<profile>')
    .action(show);
  addOptions(outputOptions(profile.command('merge')), outputOption)
    .description(
      'make one profile of several: what any of the jobs reads, at the mean of its times',
    )
    .argument('<profile...>')
    .action(merge);
  outputOptions(profile.command('diff'))
    .description(
      'tell what two profiles have each alone, what changed, and how alike their order is',
    )
    .argument('<profile>')
    .argument('<other>')
    .action(diff);
}

const facts = (): { made: string; writer: string } => ({
  made: new Date().toISOString(),
  writer: `pinfs ${version}`,
});

async function make(file: string, flags: WriteFlags): Promise<void> {
  await runAction(flags, async () => {
    const { readTraceFile } = await import('../../lib/trace/read-trace-file.js');
    const { makeProfile } = await import('../../lib/profile/make-profile.js');
    const trace = await withProgress('MB read', undefined, (progress) =>
      Promise.resolve(
        readTraceFile(file, {
          progress: (done, total) => {
            progress.update(Math.round(done / 1e6), `of ${Math.round(total / 1e6)}`);
          },
        }),
      ),
    );
    await write(makeProfile(trace, facts()), flags);
  });
}

async function write(profile: Profile, flags: WriteFlags): Promise<void> {
  const { writeProfileFile } = await import('../../lib/profile/profile-file.js');
  const bytes = writeProfileFile(flags.output, profile);
  const { length } = profile.uses;
  if (flags.json === true) printJson({ objects: length, bytes });
  else
    await print(
      `${length} objects, ${formatSize(bytes)} (${(bytes / Math.max(1, length)).toFixed(1)} bytes each)\n`,
    );
}

async function read(path: string): Promise<Profile> {
  const { readProfileFile } = await import('../../lib/profile/profile-file.js');
  return readProfileFile(path);
}

async function show(path: string, flags: OutputFlags): Promise<void> {
  await runAction(flags, async () => {
    const { header, uses } = await read(path);
    const timed = timesOf(uses);
    if (flags.json === true) {
      printJson({
        ...header,
        uses: timed.map(({ use, time }) => ({ ...use, path: printable(use.path), time })),
      });
      return;
    }
    await print(
      `${printable(header.repository)} ${printable(header.rootHash)}: ${uses.length} objects, made ${printable(header.made)} by ${printable(header.writer)}\n`,
    );
    for (const { use, time } of timed)
      await print(`${formatMilliseconds(time).padStart(10)}  ${useText(use)}\n`);
  });
}

/** Milliseconds since the begin. */
function timesOf(uses: readonly FirstUse[]): { use: FirstUse; time: number }[] {
  let time = 0;
  return uses.map((use) => ({ use, time: (time += use.gapMs) }));
}

function useText({ path, kind, chunk }: FirstUse): string {
  const name = path === '' ? '/' : printable(path);
  if (kind === 'catalog') return `${name} (catalog)`;
  return chunk === 0 ? name : `${name} (chunk ${chunk})`;
}

async function merge(paths: readonly string[], flags: WriteFlags): Promise<void> {
  await runAction(flags, async () => {
    const { mergeProfiles } = await import('../../lib/profile/combine.js');
    const profiles: Profile[] = [];
    for (const path of paths) profiles.push(await read(path));
    await write(mergeProfiles(profiles, facts()), flags);
  });
}

async function diff(first: string, second: string, flags: OutputFlags): Promise<void> {
  await runAction(flags, async () => {
    const { diffProfiles } = await import('../../lib/profile/combine.js');
    const found = diffProfiles(await read(first), await read(second));
    if (flags.json === true) printJson(differenceJson(found));
    else await print(differenceText(found));
  });
}

function differenceJson({ onlyFirst, onlySecond, changed, same, sameOrder }: ProfileDifference) {
  const texts = (uses: readonly FirstUse[]): string[] => uses.map(useText);
  return {
    onlyFirst: texts(onlyFirst),
    onlySecond: texts(onlySecond),
    changed: texts(changed),
    same,
    sameOrder,
  };
}

function differenceText(found: ProfileDifference): string {
  const { onlyFirst, onlySecond, changed, same, sameOrder } = found;
  const lines = (sign: string, uses: readonly FirstUse[]): string[] =>
    uses.map((use) => `${sign} ${useText(use)}`);
  return [
    ...lines('-', onlyFirst),
    ...lines('+', onlySecond),
    ...lines('~', changed),
    `${same} the same, ${changed.length} changed, ${onlyFirst.length} only in the first, ${onlySecond.length} only in the second; ${(sameOrder * 100).toFixed(0)} % of neighbours in the same order`,
    '',
  ].join('\n');
}
