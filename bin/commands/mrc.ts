import type { Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import type { MissRatioCurve } from '../../lib/laboratory/curve.js';
import type { OptionValues } from '../../lib/options/option.js';
import { bar, percent, sparkline } from './bars.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';
import { formatSize } from './sizes.js';
import {
  byOption,
  readTraces,
  traceArgument,
  withAccessProgress,
  whatWasReadText,
} from './traces.js';

const curveOptions = {
  ...byOption,
  sample: {
    flag: '--sample',
    value: 'rate',
    kind: 'number',
    parse: parseRate,
    help: 'look at this share of the objects only, such as 0.01',
    manual:
      'Looks at this share of the objects only, such as 0.01 (SHARDS), for huge traces. The standard error of the miss ratio ' +
      'is shown, from what eight parts of the sample differ by.',
  },
} as const satisfies CommandOptionRows;

type CurveFlags = OutputFlags & OptionValues<typeof curveOptions>;

const lines = 16;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('mrc')), curveOptions)
    .description(
      `the miss-ratio curve: what an LRU cache of each size would have missed

In one pass over the accesses, by stack distances. With --json all points of the curve, whose sizes round up by 1.1 % at most.`,
    )
    .summary('the miss-ratio curve of LRU')
    .argument('<trace...>', traceArgument)
    .action(curve);
}

/** @throws PinfsError USAGE */
function parseRate(text: string): number {
  const rate = Number(text.replace(/%$/, '')) / (text.endsWith('%') ? 100 : 1);
  if (rate > 0 && rate <= 1) return rate;
  throw new PinfsError('USAGE', `'${text}' is no share`, { advice: 'Write it like 0.01 or 1%.' });
}

async function curve(paths: readonly string[], flags: CurveFlags): Promise<void> {
  await runAction(flags, async () => {
    const { missRatioCurveInSlices, sampledCurve } = await import('../../lib/laboratory/curve.js');
    const { onePlaceEach } = await import('../../lib/laboratory/requests.js');
    const read = await readTraces(paths);
    const { requests: all } = read;
    const requests = flags.by === 'object' ? { ...all, sizes: onePlaceEach(all) } : all;
    const found =
      flags.sample === undefined
        ? await withAccessProgress(
            'curve',
            requests.objects.length,
            missRatioCurveInSlices(requests),
          )
        : sampledCurve(requests, flags.sample);
    if (flags.json === true) printJson({ by: flags.by, ...found });
    else await print(`${await whatWasReadText(read)}\n${await text(found, flags)}`);
  });
}

async function text(found: MissRatioCurve, flags: CurveFlags): Promise<string> {
  const { pointAt } = await import('../../lib/laboratory/curve.js');
  const isSampled = found.error !== undefined;
  const sizeText = (size: number): string =>
    flags.by === 'object' ? Math.floor(size).toLocaleString('en') : formatSize(Math.floor(size));
  const sizes = sizesShown(found, lines);
  const rows = sizes.map((size) => {
    const { missRatio = 1, byteMissRatio = 1, error = 0 } = pointAt(found.points, size) ?? {};
    const cells = [
      sizeText(size).padStart(10),
      percent(missRatio).padStart(8),
      ...(isSampled ? [`± ${percent(error)}`.padStart(9)] : []),
      ...(flags.by === 'bytes' ? [percent(byteMissRatio).padStart(9)] : []),
    ];
    return cells.join('  ') + bar(missRatio);
  });
  const shares = sizesShown(found, 60).map((size) => pointAt(found.points, size)?.missRatio ?? 1);
  const spark = sparkline(shares);
  return [
    ...(spark === '' ? [] : [spark]),
    `${flags.by === 'object' ? '   objects' : '      size'}    misses${isSampled ? '   std error' : ''}${flags.by === 'bytes' ? '   of bytes' : ''}`,
    ...rows,
    ...(found.error === undefined
      ? []
      : [
          `sampled ${percent(found.rate, 2)} of the objects: standard error ${percent(found.error.mean, 2)} on average, ${percent(found.error.max, 2)} at most`,
        ]),
    '',
  ].join('\n');
}

/** Sizes from where something is hit to where everything is, each the same factor larger. */
function sizesShown({ points }: MissRatioCurve, count: number): number[] {
  const [most, least] = [points[1]?.missRatio ?? 1, points.at(-1)?.missRatio ?? 1];
  // Where the first hundredth of all hits is had; what is smaller has next to nothing.
  const begin = points.find(({ missRatio }) => missRatio <= most - (most - least) / 100);
  const [first, last] = [begin?.size ?? 1, points.at(-1)?.size ?? 1];
  if (!(last > first)) return [last];
  return Array.from(
    { length: count },
    (_, index) => first * (last / first) ** (index / (count - 1)) * (1 + 1e-12),
  );
}
