import { formatSize } from '../../format/size-text.js';
import { benchStates, type BenchCase, type BenchResult } from '../results/bench-result.js';
import { countText, microsecondsText, quantile, shareText } from './numbers.js';
import type { Section } from './report.js';

/** What a result of `pinfs bench` shows. @param label tells several apart. */
export function resultSections(result: BenchResult, label: string): Section[] {
  return [
    times(result, label),
    ...layers(result, label),
    ...latencies(result, label),
    ...limits(result, label),
  ];
}

/** Under which conditions it was measured. */
export function resultConditions(result: BenchResult): [string, string][] {
  const { machine, cases } = result;
  const named = (text: string | null): string => text ?? 'the head';
  return [
    ['command', ['pinfs', ...result.command].join(' ')],
    ['made', result.made],
    [
      'machine',
      `${machine.name}: ${machine.processor}, ${machine.processors} processors, ${formatSize(machine.memory)}`,
    ],
    [
      'system',
      `${machine.system}, kernel ${machine.kernel}, Node ${machine.node}, pinfs ${machine.pinfs}`,
    ],
    ['workload', `${result.workload}, ${result.repeats} times, seed ${result.seed}`],
    ['round trip', result.roundTripMs === null ? 'as it is' : `${result.roundTripMs} ms more`],
    ...cases.map(({ label, source, pin, rootHash, driver }): [string, string] => [
      label,
      `${source} @ ${named(pin)}, root hash ${rootHash}, driver ${driver}`,
    ]),
  ];
}

function times(result: BenchResult, label: string): Section {
  const rows = result.cases.flatMap((each) =>
    benchStates.flatMap((state) => {
      const sorted = each.samples[state].map(({ milliseconds }) => milliseconds);
      sorted.sort((one, other) => one - other);
      if (sorted.length === 0) return [];
      const [low, middle, high] = [0.25, 0.5, 0.75].map((share) => quantile(sorted, share));
      return [{ group: each.label, name: state, low, middle, high, sorted }];
    }),
  );
  const ms = (milliseconds = NaN): string => microsecondsText(milliseconds * 1000);
  return {
    id: `times-${label}`,
    title: `Cold, warm and hot${of(label)}`,
    text: `How long the workload took: the median of ${result.repeats} runs, and between which times half of them lie. Cold: an empty cache. Hot: again on the same mount. Warm: a fresh mount over a full cache.`,
    chart: {
      kind: 'spread',
      axis: { label: 'time', unit: 'milliseconds' },
      data: rows.map(({ group, name, low = 0, middle = 0, high = 0 }) => ({
        group,
        name,
        low,
        middle,
        high,
        text: `${group}, ${name}: median ${ms(middle)}, half between ${ms(low)} and ${ms(high)}`,
      })),
    },
    table: {
      head: [
        'case',
        'state',
        'median',
        'lower quartile',
        'upper quartile',
        'least',
        'most',
        'runs',
      ],
      rows: rows.map(({ group, name, low, middle, high, sorted }) => [
        group,
        name,
        ms(middle),
        ms(low),
        ms(high),
        ms(sorted[0]),
        ms(sorted.at(-1)),
        String(sorted.length),
      ]),
    },
  };
}

function of(label: string): string {
  return label === '' ? '' : ` (${label})`;
}

/** Means over the samples of one state. */
function meanLayers({ samples }: BenchCase, state: 'cold' | 'warm' | 'hot'): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { layers: each } of samples[state]) {
    for (const [name, ms] of Object.entries(each)) {
      sums.set(name, (sums.get(name) ?? 0) + ms / samples[state].length);
    }
  }
  return sums;
}

function layers(result: BenchResult, label: string): Section[] {
  const data = result.cases.flatMap((each) =>
    (['cold', 'hot', 'warm'] as const).flatMap((state) =>
      [...meanLayers(each, state)].map(([series, value]) => ({
        name: result.cases.length === 1 ? state : `${each.label}, ${state}`,
        series,
        value,
        text: `${each.label}, ${state}, ${series}: ${microsecondsText(value * 1000)}`,
      })),
    ),
  );
  if (data.length === 0) return [];
  return [
    {
      id: `layers-${label}`,
      title: `Where the time goes${of(label)}`,
      text: 'The time of each layer, summed over what went on at once: together it can be more than the time that passed.',
      chart: { kind: 'bars', axis: { label: 'time', unit: 'milliseconds' }, data },
      table: {
        head: ['state', 'layer', 'time'],
        rows: data.map(({ name, series, value }) => [name, series, microsecondsText(value * 1000)]),
      },
    },
  ];
}

/** All samples of a state together, by operation: upper ends of classes and counts. */
function classesOf(result: BenchResult): Map<string, Map<number, number>> {
  const operations = new Map<string, Map<number, number>>();
  for (const { samples } of result.cases) {
    for (const { latencies: found } of samples.cold) {
      for (const [operation, { classes }] of Object.entries(found)) {
        const all = operations.get(operation) ?? new Map<number, number>();
        for (const [us, count] of classes) all.set(us, (all.get(us) ?? 0) + count);
        operations.set(operation, all);
      }
    }
  }
  return operations;
}

function latencies(result: BenchResult, label: string): Section[] {
  const operations = [...classesOf(result)].map(([operation, classes]) => ({
    operation,
    classes: [...classes].sort(([one], [other]) => one - other),
    count: [...classes.values()].reduce((sum, each) => sum + each, 0),
  }));
  const found = operations.filter(({ count }) => count > 0);
  if (found.length === 0) return [];
  const data = found.flatMap(({ operation, classes }) =>
    classes.map(([us, count]) => ({
      x1: Math.max(0.5, classBegin(us)),
      x2: Math.max(1, us),
      y: count,
      series: operation,
      text: `${operation}: ${countText(count)} up to ${microsecondsText(us)}`,
    })),
  );
  return [
    {
      id: `latencies-${label}`,
      title: `Latencies of operations, cold${of(label)}`,
      text: 'How many requests of the kernel took how long.',
      chart: {
        kind: 'stack',
        x: { label: 'time', unit: 'microseconds', isLogarithmic: true },
        y: { label: 'requests', unit: 'count' },
        data: data.filter(({ x1, x2 }) => x1 < x2),
      },
      table: {
        head: ['operation', 'requests', 'p50', 'p90', 'p99', 'most'],
        rows: found.map(({ operation, classes, count }) => [
          operation,
          countText(count),
          ...[0.5, 0.9, 0.99, 1].map((share) => microsecondsText(reached(classes, share * count))),
        ]),
      },
    },
  ];
}

/** Where the class begins that ends at so many microseconds: there are four of them to a doubling. */
function classBegin(us: number): number {
  return us - Math.max(1, 2 ** (Math.ceil(Math.log2(us)) - 3));
}

/** The class in which so many are reached (µs). */
function reached(classes: readonly (readonly [number, number])[], wanted: number): number {
  let sum = 0;
  for (const [us, count] of classes) {
    sum += count;
    if (sum >= wanted) return us;
  }
  return classes.at(-1)?.[0] ?? 0;
}

/** Real runs under each limit beside what replaying foretold. */
function limits(result: BenchResult, label: string): Section[] {
  const rows = result.cases.flatMap(({ label: name, samples, prediction }) => {
    const hits = samples.cold.map((sample) => sample.hits / (sample.hits + sample.misses));
    hits.sort((one, other) => one - other);
    const real = quantile(hits, 0.5);
    if (prediction === null || !Number.isFinite(real)) return [];
    return [
      { name, series: 'measured', value: real },
      {
        name,
        series: 'foretold',
        value: prediction.hits / prediction.requests,
      },
    ];
  });
  if (rows.length === 0) return [];
  const text = ({ name, series, value }: (typeof rows)[number]): string =>
    `${name}, ${series}: ${shareText(value)}`;
  return [
    {
      id: `limits-${label}`,
      title: `Hits under each limit, measured and foretold${of(label)}`,
      text: 'The share of uses that were hits in the cold run, and what replaying the recorded accesses says.',
      chart: {
        kind: 'bars',
        axis: { label: 'hits', unit: 'share' },
        // A bar of its own for each: bars of one name are put one behind the other.
        data: rows.map((row) => ({
          ...row,
          name: `${row.name}, ${row.series}`,
          text: text(row),
        })),
      },
      table: {
        head: ['case', 'how', 'hits'],
        rows: rows.map(({ name, series, value }) => [name, series, shareText(value)]),
      },
    },
  ];
}
