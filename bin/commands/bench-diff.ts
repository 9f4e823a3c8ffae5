import type { Command } from 'commander';
import { readGiven } from '../../lib/files/given.js';
import { fileError } from '../../lib/format/file-fault.js';
import {
  benchResultBytesMax,
  readBenchResult,
  type BenchResult,
} from '../../lib/laboratory/results/bench-result.js';
import {
  compareResults,
  type BenchComparison,
  type BenchDifference,
} from '../../lib/laboratory/results/compare.js';
import type { OptionValues } from '../../lib/options/option.js';
import { parseSeed } from './bench-plan.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';

const diffOptions = {
  seed: {
    flag: '--seed',
    value: 'n',
    kind: 'number',
    default: 1,
    parse: parseSeed,
    help: 'of the resampling',
  },
} as const satisfies CommandOptionRows;

type DiffFlags = OutputFlags & OptionValues<typeof diffOptions>;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('bench-diff')), diffOptions)
    .description(
      `compare two results that pinfs bench -o wrote, case by case

Each ratio of medians (second by first) comes with the interval in which it lies with 95 % confidence, by resampling
what was measured; where the interval holds 1, or there are fewer than three samples, nothing is said of faster or slower.`,
    )
    .summary('compare two results of bench, with a statement on noise')
    .argument('<result>', 'what the other one is divided by')
    .argument('<other>', 'the later one')
    .action(async (before: string, after: string, flags: DiffFlags) => {
      await runAction(flags, async () => {
        const comparison = compareResults(
          readResultFile(before),
          readResultFile(after),
          flags.seed,
        );
        if (flags.json === true) printJson(comparison);
        else await print(comparisonText(comparison));
      });
    });
}

/** @throws PinfsError NOT_FOUND, RESULT_MALFORMED */
export function readResultFile(path: string): BenchResult {
  let bytes: Buffer;
  try {
    bytes = readGiven(path, benchResultBytesMax);
  } catch (thrown) {
    throw fileError('NOT_FOUND', 'read', '', path, thrown);
  }
  return readBenchResult(bytes);
}

function comparisonText({ differences, conditions, unmatched }: BenchComparison): string {
  return [
    'state      before ms   after ms    ratio   95 % interval',
    ...differences.flatMap((one, index) => [
      ...(differences[index - 1]?.label === one.label ? [] : [one.label]),
      differenceLine(one),
    ]),
    ...(unmatched.length === 0 ? [] : [`only in one of them: ${unmatched.join('; ')}`]),
    ...(conditions.length === 0 ? [] : ['not the same:', ...conditions.map((one) => `  ${one}`)]),
    '',
  ].join('\n');
}

function differenceLine({
  state,
  before,
  after,
  ratio,
  interval,
  verdict,
}: BenchDifference): string {
  const range =
    interval === null ? 'too few samples' : `${interval[0].toFixed(3)}-${interval[1].toFixed(3)}`;
  const said = verdict === 'unclear' ? 'no difference that stands out from the noise' : verdict;
  return `  ${state.padEnd(8)} ${before.toFixed(0).padStart(9)} ${after.toFixed(0).padStart(10)} ${ratio.toFixed(3).padStart(8)}   ${range.padEnd(15)}  ${interval === null ? '' : said}`.trimEnd();
}
