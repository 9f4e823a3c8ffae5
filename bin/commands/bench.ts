import { writeFileSync } from 'node:fs';
import { arch, cpus, hostname, release, totalmem, type } from 'node:os';
import type { Command } from 'commander';
import { fileError } from '../../lib/format/file-fault.js';
import { PinfsError } from '../../lib/format/errors.js';
import {
  benchResultText,
  benchResultVersion,
  type BenchMachine,
  type BenchResult,
} from '../../lib/laboratory/results/bench-result.js';
import { version } from '../../lib/machine/version.js';
import { shownSource } from '../../lib/mount/mount-spec.js';
import type { MountOptions } from '../../lib/mount/options.js';
import { mountOptionTable } from '../../lib/options/mount-options.js';
import type { OptionValues } from '../../lib/options/option.js';
import { rowsOn } from '../../lib/options/rows.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import { parseSeed, planCases } from './bench-plan.js';
import { runAction } from './failures.js';
import {
  addOptions,
  argumentsOf,
  outputOptions,
  sourceArgument,
  type CommandOptionRows,
  type SourceFlags,
} from './options.js';
import { print, printJson } from './output.js';
import { durationText } from './pace.js';
import { withProgress } from './progress.js';
import { parseDuration, parseSize } from './sizes.js';

const benchOptions = {
  workload: {
    flag: '--workload',
    value: 'name',
    kind: 'text',
    default: 'walk',
    suggestions: ['walk', 'tar'],
    help: "walk, tar, or a shell command run in the mount's root",
    manual: "`walk`, `tar`, or a shell command run in the mount's root.",
  },
  repeats: {
    flag: '--repeats',
    value: 'n',
    kind: 'number',
    default: 5,
    parse: parseRepeats,
    help: 'how often, 1 to 100',
  },
  against: {
    flag: '--against',
    value: 'source[@pin]',
    kind: 'place',
    repeatable: true,
    help: 'another snapshot, measured in turns with the first',
  },
  drivers: {
    flag: '--drivers',
    value: 'list',
    kind: 'text',
    suggestions: ['kernel', 'fuse-native', 'kernel,fuse-native'],
    help: 'each of these drivers, such as kernel,fuse-native',
  },
  cacheLimit: {
    ...sourceOptionTable.cacheLimit,
    value: 'list',
    kind: 'text',
    help: 'each of these limits of the cache, such as 50M,100M,1G',
    manual: undefined,
  },
  clients: {
    flag: '--clients',
    value: 'list',
    kind: 'text',
    default: '1',
    help: 'so many run the workload at once on one mount, such as 1,8,64',
  },
  rtt: {
    flag: '--rtt',
    value: 'time',
    kind: 'number',
    parse: parseDuration,
    help: 'added to each round trip by a relay, such as 20ms',
  },
  rate: {
    flag: '--rate',
    value: 'size',
    kind: 'number',
    parse: parseSize,
    help: 'bytes a second that the relay lets through, such as 2M',
  },
  seed: {
    flag: '--seed',
    value: 'n',
    kind: 'number',
    default: 1,
    parse: parseSeed,
    help: 'of the order in which what is compared takes turns',
  },
  output: {
    flag: '--output',
    short: '-o',
    value: 'file',
    kind: 'path',
    help: 'write the result with all samples, for bench-diff and report',
  },
} as const satisfies CommandOptionRows;

type BenchFlags = Omit<SourceFlags, 'cacheLimit'> &
  OptionValues<typeof benchOptions> &
  Pick<MountOptions, 'driver'>;

export function register(program: Command): void {
  const { cache, offline } = sourceOptionTable;
  // Refused with the reason: each run has a cache of its own.
  const refused = {
    cache: { ...cache, hidden: true },
    offline: { ...offline, hidden: true },
  } as const;
  const rows = { ...rowsOn(sourceOptionTable, 'bench'), ...refused, ...benchOptions };
  const command = addOptions(outputOptions(program.command('bench')), rows);
  addOptions(command, rowsOn(mountOptionTable, 'bench', false))
    .description(
      `time a workload cold (empty cache), hot (kernel caches) and warm (disk cache, mounted again)

Ends with an error as soon as the workload does; of a pipe, the last command says how it ended.`,
    )
    .summary('time a workload cold, hot and warm')
    .argument('<source[@pin]>', sourceArgument)
    .action(bench);
}

function parseRepeats(text: string): number {
  const repeats = Number(text);
  if (Number.isInteger(repeats) && repeats >= 1 && repeats <= 100) return repeats;
  throw new PinfsError('USAGE', `'${text}' is no number of repeats`, { advice: 'Give 1 to 100.' });
}

/** The options that matter to a mount, as they stand on the command line; each run gets a cache of its own. */
function mountArguments(flags: Omit<BenchFlags, 'cacheLimit'>): string[] {
  return [...argumentsOf(sourceOptionTable, flags), ...argumentsOf(mountOptionTable, flags)];
}

async function bench(source: string, given: BenchFlags, command: Command): Promise<void> {
  const { cache, ...flags } = given;
  // The environment names a cache for whoever needs one.
  const isAsked = cache !== undefined && command.getOptionValueSource('cache') === 'cli';
  await runAction(flags, async () => {
    if (flags.offline === true || isAsked) {
      throw new PinfsError('USAGE', 'a benchmark makes a new, empty cache for each run', {
        advice: 'Leave --cache and --offline out.',
      });
    }
    const result = await played(source, flags);
    if (flags.output !== undefined) writeResult(flags.output, result);
    const { benchText, benchJson } = await import('./bench-text.js');
    if (flags.json === true) printJson(benchJson(result));
    else {
      const { isTTY, columns } = process.stdout;
      await print(benchText(result, isTTY ? columns : 80, isTTY));
    }
  });
}

async function played(source: string, flags: Omit<BenchFlags, 'cache'>): Promise<BenchResult> {
  const others = { ...flags, cacheLimit: undefined };
  const { roundsOf, runBench } = await import('./bench-run.js');
  const cases = planCases(source, flags);
  const { workload, repeats, seed } = flags;
  const order = {
    cases,
    mountArguments: mountArguments(others),
    workload,
    repeats,
    roundTripMs: flags.rtt,
    lineRate: flags.rate,
    seed,
  };
  const rounds = roundsOf(order);
  const began = performance.now();
  const measured = await withProgress('run', rounds, (progress) =>
    runBench(order, (done) => {
      const left = ((performance.now() - began) / done) * (rounds - done);
      progress.update(done, `${durationText(Math.ceil(left / 1000))} left`);
    }),
  );
  return {
    format: 'pinfs-bench-result',
    version: benchResultVersion,
    made: new Date().toISOString(),
    command: ['bench', ...process.argv.slice(3).map(shownArgument)],
    machine: thisMachine(),
    workload,
    repeats,
    roundTripMs: flags.rtt ?? null,
    lineRate: flags.rate ?? null,
    seed,
    cases: measured,
  };
}

/** Credentials of a URL, wherever one stands, are left out; so is what is a secret of a proxy. */
function shownArgument(text: string): string {
  return shownSource(text).replace(/\/\/[^/@|;\s]*@/g, '//');
}

function thisMachine(): BenchMachine {
  const processors = cpus();
  return {
    name: hostname(),
    system: `${type()} ${arch()}`,
    kernel: release(),
    processor: processors[0]?.model ?? 'unknown',
    processors: processors.length,
    memory: totalmem(),
    node: process.version,
    pinfs: version,
  };
}

function writeResult(path: string, result: BenchResult): void {
  try {
    writeFileSync(path, benchResultText(result));
  } catch (thrown) {
    throw fileError('OUTPUT_FAILED', 'write', 'the result', path, thrown);
  }
}
