import type {
  BenchCase,
  BenchResult,
  BenchSample,
  BenchState,
} from '../../lib/laboratory/results/bench-result.js';
import { benchStates } from '../../lib/laboratory/results/bench-result.js';
import { latencyOf, mergedClasses } from '../../lib/laboratory/results/latencies.js';
import { quartilesOf, type Quartiles } from '../../lib/laboratory/results/quantiles.js';
import { hitRate } from '../../lib/store/cache/counted.js';
import { layerBars, type LayerTime } from './layer-bars.js';
import { formatMilliseconds, formatSize } from './sizes.js';

/* A result of `pinfs bench` for people. */

/** What one state showed over all rounds. */
export interface StateFigures {
  readonly milliseconds: Quartiles | undefined;
  /** Requests and bytes over the network, hit rate of the cache, requests of the kernel. */
  readonly requests?: Quartiles | undefined;
  readonly bytes?: Quartiles | undefined;
  readonly hitRate?: Quartiles | undefined;
  readonly kernelRequests?: Quartiles | undefined;
}

/** Medians and quartiles of each state. */
function figuresOf({ samples }: BenchCase): Record<BenchState, StateFigures> {
  const of = (state: BenchState): StateFigures => {
    const values = (get: (sample: BenchSample) => number): Quartiles | undefined =>
      quartilesOf(samples[state].map(get));
    const milliseconds = values((sample) => sample.milliseconds);
    if (state === 'mount' || state === 'remount') return { milliseconds };
    return {
      milliseconds,
      requests: values((sample) => sample.requests),
      bytes: values((sample) => sample.bytes),
      hitRate: quartilesOf(samples[state].map(hitRate).filter((rate) => rate !== undefined)),
      kernelRequests: values((sample) => sample.kernelRequests),
    };
  };
  return {
    mount: of('mount'),
    cold: of('cold'),
    hot: of('hot'),
    remount: of('remount'),
    warm: of('warm'),
  };
}

/** @param columns of the terminal; @param colours whether it shows any. */
export function benchText(result: BenchResult, columns: number, colours: boolean): string {
  const { workload, repeats, roundTripMs, lineRate } = result;
  const line = [
    ...(roundTripMs === null ? [] : [`round trip + ${formatMilliseconds(roundTripMs)}`]),
    ...(lineRate === null ? [] : [`${formatSize(lineRate)} a second`]),
  ];
  const head = [workload, `${repeats} times`, ...line, 'medians and quartiles'].join(', ');
  return `${[head, ...result.cases.flatMap((one) => caseLines(one, columns, colours))].join('\n')}\n`;
}

function caseLines(one: BenchCase, columns: number, colours: boolean): string[] {
  const figures = figuresOf(one);
  return [
    '',
    `${one.label}: ${one.repository} ${one.rootHash.slice(0, 12)}, driver ${one.driver}`,
    'state         ms   (quartiles)     requests      bytes  hit rate   kernel requests',
    ...benchStates.map((state) => stateLine(state, figures[state])),
    ...predictionLines(one),
    ...(['cold', 'warm'] as const).flatMap((state) => [
      ...layerLines(one, state, columns, colours),
      ...latencyLines(one, state),
    ]),
  ];
}

function stateLine(state: BenchState, figures: StateFigures): string {
  const traffic =
    figures.requests === undefined
      ? ''
      : `${cell(figures.requests, 0)} ${sizeCell(figures.bytes)} ${cell(figures.hitRate, 3)} ${cell(figures.kernelRequests, 0)}`;
  const { milliseconds } = figures;
  const spread =
    milliseconds === undefined
      ? ''
      : `(${milliseconds.lower.toFixed(0)}-${milliseconds.upper.toFixed(0)})`.padEnd(14);
  return `${state.padEnd(7)} ${cell(milliseconds, 0)}   ${spread} ${traffic}`.trimEnd();
}

function cell(figure: Quartiles | undefined, digits: number): string {
  return (figure === undefined ? '-' : figure.median.toFixed(digits)).padStart(9);
}

function sizeCell(figure: Quartiles | undefined): string {
  return (figure === undefined ? '-' : formatSize(figure.median)).padStart(10);
}

function predictionLines({ prediction, samples }: BenchCase): string[] {
  if (prediction === null) return [];
  const { policy, hits, requests, fetchedBytes } = prediction;
  const found = quartilesOf(samples.cold.map(({ bytes }) => bytes));
  return [
    `replayed (${policy}): ${hits} of ${requests} hits, ${formatSize(fetchedBytes)} fetched; measured ${formatSize(found?.median ?? 0)}`,
  ];
}

/** Where the time of the middle run went. */
function layerLines(
  { samples }: BenchCase,
  state: 'cold' | 'warm',
  columns: number,
  colours: boolean,
): string[] {
  const layers = layersOfCase(samples[state]);
  if (layers.every(({ milliseconds }) => milliseconds === 0)) return [];
  return [
    `where the time goes, ${state} (summed over what goes on at once)`,
    ...layerBars(layers, columns, colours),
  ];
}

function layersOfCase(samples: readonly BenchSample[]): LayerTime[] {
  const names = [...new Set(samples.flatMap(({ layers }) => Object.keys(layers)))];
  return names.map((name) => {
    const times = samples.map((sample) => sample.layers[name] ?? 0);
    return { name, milliseconds: quartilesOf(times)?.median ?? 0 };
  });
}

/** The operations that came most, over all rounds. */
function latencyLines({ samples }: BenchCase, state: 'cold' | 'warm'): string[] {
  const names = [...new Set(samples[state].flatMap(({ latencies }) => Object.keys(latencies)))];
  const rows = names
    .map((name) => {
      const classes = samples[state].map(({ latencies }) => latencies[name]?.classes ?? []);
      return { name, latency: latencyOf(mergedClasses(classes)) };
    })
    .sort((a, b) => b.latency.count - a.latency.count);
  if (rows.length === 0) return [];
  const value = (microseconds: number): string => String(microseconds).padStart(9);
  return [
    `latency, ${state} (microseconds)  count       p50       p90       p99       max`,
    ...rows.map(
      ({ name, latency: { count, p50, p90, p99, max } }) =>
        `  ${name.padEnd(24)} ${String(count).padStart(9)} ${[p50, p90, p99, max].map(value).join(' ')}`,
    ),
  ];
}

/** For programs: the conditions, then each case with medians and quartiles; the first one stands in front as well. */
export function benchJson(result: BenchResult): Record<string, unknown> {
  const { workload, repeats, machine, roundTripMs, lineRate, seed } = result;
  const cases = result.cases.map((one) => {
    const { samples, ...facts } = one;
    const of = (state: 'cold' | 'warm') => layersOfCase(samples[state]);
    return { ...facts, states: figuresOf(one), layers: { cold: of('cold'), warm: of('warm') } };
  });
  const [first] = cases;
  return {
    source: first?.source,
    workload,
    repeats,
    driver: first?.driver,
    states: first?.states,
    conditions: { machine, roundTripMs, lineRate, seed },
    cases,
  };
}
