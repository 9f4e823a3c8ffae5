import type { Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import type { Advice, TriedLimit } from '../../lib/laboratory/advice.js';
import type { OptionValues } from '../../lib/options/option.js';
import { bar, percent } from './bars.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';
import { formatSize } from './sizes.js';
import {
  readTraces,
  traceArgument,
  warmOption,
  whatWasReadText,
  withAccessProgress,
} from './traces.js';

const adviceOptions = {
  target: {
    flag: '--target',
    value: 'share',
    kind: 'number',
    parse: parseTarget,
    default: 0.95,
    help: 'share of the uses that are to be hits, such as 95%',
  },
  ...warmOption,
} as const satisfies CommandOptionRows;

type AdviceFlags = OutputFlags & OptionValues<typeof adviceOptions>;

// About so many limits are tried.
const replaysExpected = 14;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('advise')), adviceOptions)
    .description(
      `tell which --cache-limit these jobs need, so that so much of what they use is a hit

What is used for the first time is none; with --warm it can be. Of the cache's own policy, as long as nothing is fetched ahead.`,
    )
    .summary('which limit of the cache jobs need')
    .argument('<trace...>', traceArgument)
    .action(advise);
}

/** @throws PinfsError USAGE */
function parseTarget(text: string): number {
  const isPercent = text.endsWith('%');
  const share = Number(isPercent ? text.slice(0, -1) : text) / (isPercent ? 100 : 1);
  if (text !== '' && share > 0 && share <= 1) return share;
  throw new PinfsError('USAGE', `'${text}' is no share`, { advice: 'Write it like 95% or 0.95.' });
}

async function advise(paths: readonly string[], flags: AdviceFlags): Promise<void> {
  await runAction(flags, async () => {
    const { adviseInSlices } = await import('../../lib/laboratory/advice.js');
    const read = await readTraces(paths, flags.warm);
    const { requests, warm } = read;
    const advice = await withAccessProgress(
      'replay',
      replaysExpected * requests.objects.length,
      adviseInSlices(requests, flags.target, warm),
    );
    if (flags.json === true) printJson(advice);
    else await print(await text(advice, await whatWasReadText(read), paths.length));
  });
}

async function text(advice: Advice, counts: string, jobs: number): Promise<string> {
  const { adviceSentence } = await import('../../lib/laboratory/advice.js');
  const rows = [...advice.others, advice.limit]
    .sort((one, other) => one.bytes - other.bytes)
    .map((limit) => row(limit, limit === advice.limit));
  return [
    adviceSentence(advice, jobs, formatSize),
    '',
    counts,
    '     limit      hits  of bytes      fetched  evicted',
    ...rows,
    '',
  ].join('\n');
}

function row({ bytes, result }: TriedLimit, isAdvised: boolean): string {
  const { hits, accesses, hitBytes, fetchedBytes, evictions } = result;
  const cells = [
    formatSize(bytes).padStart(10),
    percent(hits / accesses).padStart(8),
    percent(hitBytes / result.bytes).padStart(8),
    formatSize(fetchedBytes).padStart(11),
    evictions.toLocaleString('en').padStart(7),
  ];
  return cells.join('  ') + bar(hits / accesses) + (isAdvised ? '  < advised' : '');
}
