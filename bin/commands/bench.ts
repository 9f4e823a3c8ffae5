import type { Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import type { MountOptions } from '../../lib/mount/options.js';
import { mountOptionTable } from '../../lib/options/mount-options.js';
import type { OptionValues } from '../../lib/options/option.js';
import { rowsOn } from '../../lib/options/rows.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import { runAction } from './failures.js';
import {
  addOptions,
  argumentsOf,
  sourceArgument,
  sourceOptions,
  type CommandOptionRows,
  type SourceFlags,
} from './options.js';
import { formatSize } from './sizes.js';
import type { BenchReport, Figure } from './bench-run.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';

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
} as const satisfies CommandOptionRows;

type BenchFlags = SourceFlags & OptionValues<typeof benchOptions> & Pick<MountOptions, 'driver'>;

export function register(program: Command): void {
  const command = addOptions(sourceOptions(program.command('bench')), benchOptions);
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
function mountArguments(flags: BenchFlags): string[] {
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
    const { runBench } = await import('./bench-run.js');
    const report = await withProgress('run', flags.repeats, (progress) =>
      runBench(source, mountArguments(flags), flags.workload, flags.repeats, (run) => {
        progress.update(run, '');
      }),
    );
    if (flags.json === true) printJson(report);
    else await print(reportText(report));
  });
}

function reportText(report: BenchReport): string {
  const rows = (['mount', 'cold', 'hot', 'remount', 'warm'] as const).map((state) => {
    const figures = report.states[state];
    const traffic =
      state === 'mount' || state === 'remount'
        ? ''
        : `${cell(figures.requests, 0)} ${sizeCell(figures.bytes)} ${cell(figures.hitRate, 3)} ${cell(figures.kernelRequests, 0)}`;
    return `${state.padEnd(7)} ${cell(figures.milliseconds, 0)} ${spread(figures.milliseconds)}  ${traffic}`.trimEnd();
  });
  return [
    `${report.workload}, ${report.repeats} times, driver ${report.driver}; medians`,
    'state         ms      (min-max)     requests      bytes  hit rate   kernel requests',
    ...rows,
    '',
  ].join('\n');
}

function cell(figure: Figure | undefined, digits: number): string {
  return (figure === undefined ? '-' : figure.median.toFixed(digits)).padStart(9);
}

function sizeCell(figure: Figure | undefined): string {
  return (figure === undefined ? '-' : formatSize(figure.median)).padStart(10);
}

function spread(figure: Figure | undefined): string {
  if (figure === undefined) return '';
  return `(${figure.min.toFixed(0)}-${figure.max.toFixed(0)})`.padEnd(14);
}
