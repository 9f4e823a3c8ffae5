import type { Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import type { ReplayResult } from '../../lib/laboratory/replay.js';
import type { OptionValues } from '../../lib/options/option.js';
import { bar, percent } from './bars.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';
import { formatSize, parseSize } from './sizes.js';
import {
  byOption,
  listOf,
  readTraces,
  traceArgument,
  warmOption,
  whatWasRead,
  whatWasReadText,
  withAccessProgress,
  type ReadTraces,
} from './traces.js';

export const replayOptions = {
  policy: {
    flag: '--policy',
    value: 'list',
    kind: 'text',
    default: 'pinfs,lru,belady',
    suggestions: [
      'all',
      'pinfs',
      'lru',
      'fifo',
      'clock',
      'sieve',
      's3fifo',
      'lfu',
      'arc',
      '2q',
      'belady',
    ],
    help: 'policies between commas, or all',
    manual:
      'Policies between commas, or `all`: `lru`, `fifo`, `clock`, `sieve`, `s3fifo`, `lfu`, `arc`, `2q`, `belady`, and ' +
      '`pinfs`, the cache’s own. `belady` knows the future: no other has fewer misses where a cache is limited by ' +
      'objects; by bytes it is only an estimate.',
  },
  size: {
    flag: '--size',
    value: 'list',
    kind: 'text',
    help: 'limits between commas, such as 10M,64M..1G (each twice the one before)',
  },
  ...byOption,
  ...warmOption,
} as const satisfies CommandOptionRows;

type ReplayFlags = OutputFlags & OptionValues<typeof replayOptions>;

// More would be a mistake.
const limitsMax = 200;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('replay')), replayOptions)
    .description(
      `play recorded accesses to caches of other sizes and policies

A use is a read of an object from its begin, or a load of a catalog; a read that goes on counts for nothing. Several traces are jobs that began at once on one node.`,
    )
    .summary('what caches of other sizes and policies would have hit')
    .argument('<trace...>', traceArgument)
    .action(replayTraces);
}

interface Row extends ReplayResult {
  readonly policy: string;
  /** Bytes, or a number of objects. */
  readonly limit: number;
}

async function replayTraces(paths: readonly string[], flags: ReplayFlags): Promise<void> {
  await runAction(flags, async () => {
    const { isPolicyName, policies, policyNames } =
      await import('../../lib/laboratory/policies.js');
    const { pinfsByObject } = await import('../../lib/laboratory/policies/pinfs.js');
    const { onePlaceEach } = await import('../../lib/laboratory/requests.js');
    const { replayInSlices } = await import('../../lib/laboratory/replay.js');
    const names = flags.policy === 'all' ? policyNames : listOf(flags.policy);
    const given = flags.size === undefined ? undefined : limitsOf(flags.size);
    const chosen = names.map((name) => {
      if (isPolicyName(name)) return name;
      throw new PinfsError('USAGE', `'${name}' is no policy`, {
        advice: `There are ${policyNames.join(', ')}, and all.`,
      });
    });
    const isByObject = flags.by === 'object';
    const read = await readTraces(paths, flags.warm);
    const { requests } = read;
    const costs = isByObject ? onePlaceEach(requests) : undefined;
    const limits = given ?? (await usualLimits(read, isByObject));
    const count = limits.length * chosen.length;
    function* all(): Generator<number, Row[], void> {
      const rows: Row[] = [];
      for (const limit of limits) {
        for (const policy of chosen) {
          const open = isByObject && policy === 'pinfs' ? pinfsByObject : policies[policy];
          const how = { open, capacity: limit, costs, warm: read.warm };
          const result = yield* replayInSlices(requests, how);
          rows.push({ policy, limit, ...result });
          yield requests.objects.length % 2 ** 18;
        }
      }
      return rows;
    }
    const rows = await withAccessProgress('replay', count * requests.objects.length, all());
    if (flags.json === true) printJson(await json(read, flags, rows));
    else await print(await text(read, flags, rows));
  });
}

/** `10M`, `10M..1G` (each twice the one before, and the last), between commas. @throws PinfsError USAGE */
function limitsOf(list: string): number[] {
  const limits = listOf(list).flatMap((each) => {
    const [first = '', last, ...more] = each.split('..');
    if (last === undefined) return [parseSize(first)];
    const [low, high] = [parseSize(first), parseSize(last)];
    if (more.length > 0 || low > high) {
      throw new PinfsError('USAGE', `'${each}' is no range of sizes`, {
        advice: 'Write it like 10M..1G.',
      });
    }
    const steps = Math.ceil(Math.log2(high / low));
    return [...Array.from({ length: steps }, (_, step) => low * 2 ** step), high];
  });
  if (limits.length > limitsMax) {
    throw new PinfsError('USAGE', `${limits.length} limits are too many`, {
      advice: `Give ${limitsMax} at most.`,
    });
  }
  return [...new Set(limits)].sort((one, other) => one - other);
}

/** Where none are given: parts of all that is asked for, and the limit that was recorded. */
async function usualLimits(
  { requests, headers }: ReadTraces,
  isByObject: boolean,
): Promise<number[]> {
  const { footprintOf } = await import('../../lib/laboratory/requests.js');
  const { objects, bytes } = footprintOf(requests);
  const all = Math.max(1, isByObject ? objects : bytes);
  const parts = [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1].map((part) => Math.ceil(all * part));
  const recorded = isByObject ? [] : headers.map(({ cacheLimit }) => cacheLimit);
  const limits = [...parts, ...recorded.filter((limit) => limit > 0)];
  return [...new Set(limits)].sort((one, other) => one - other);
}

async function json(read: ReadTraces, flags: ReplayFlags, rows: readonly Row[]) {
  return {
    ...(await whatWasRead(read)),
    by: flags.by,
    results: rows.map((row) => ({
      ...row,
      hitRatio: row.hits / row.accesses,
      byteHitRatio: row.hitBytes / row.bytes,
    })),
  };
}

async function text(read: ReadTraces, flags: ReplayFlags, rows: readonly Row[]): Promise<string> {
  const sizeText = (limit: number): string =>
    flags.by === 'object' ? limit.toLocaleString('en') : formatSize(limit);
  const lines = rows.map(({ policy, limit, hits, accesses, ...row }, index) => {
    const isSame = rows[index - 1]?.limit === limit;
    const cells = [
      (isSame ? '' : sizeText(limit)).padStart(10),
      policy.padEnd(7),
      percent(hits / accesses).padStart(8),
      percent(row.hitBytes / row.bytes).padStart(9),
      formatSize(row.fetchedBytes).padStart(11),
      row.evictions.toLocaleString('en').padStart(9),
    ];
    return cells.join('  ') + bar(hits / accesses);
  });
  const notes = [
    ...(rows.some(({ policy }) => policy === 'belady') && flags.by === 'bytes'
      ? ['belady: by bytes only an estimate of the best']
      : []),
    ...(read.warm > 0 ? [`${read.warm.toLocaleString('en')} uses filled the caches before`] : []),
  ];
  return [
    await whatWasReadText(read),
    `${flags.by === 'object' ? '   objects' : '     limit'}  policy       hits  of bytes      fetched  evicted`,
    ...lines,
    ...notes,
    '',
  ].join('\n');
}
