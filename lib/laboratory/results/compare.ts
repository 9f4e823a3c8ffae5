import { seededRandom } from '../random.js';
import { benchStates, type BenchCase, type BenchResult, type BenchState } from './bench-result.js';
import { quantileOf, quartilesOf } from './quantiles.js';

/** How much longer or shorter one state of one case took in a second result. */
export interface BenchDifference {
  readonly label: string;
  readonly state: BenchState;
  /** Medians in milliseconds. */
  readonly before: number;
  readonly after: number;
  /** Of the medians: after by before. */
  readonly ratio: number;
  /** The interval in which that ratio lies with 95 % confidence, by resampling; null: too few samples. */
  readonly interval: readonly [low: number, high: number] | null;
  /** `unclear`: the interval holds 1, or there is none. */
  readonly verdict: 'faster' | 'slower' | 'unclear';
}

/** What is not the same in both results, so that a ratio may say something of that as well. */
export interface BenchComparison {
  readonly differences: readonly BenchDifference[];
  readonly conditions: readonly string[];
  /** Labels that only one of them has. */
  readonly unmatched: readonly string[];
}

// As many resamplings as make the second digit of the interval's ends steady.
const resamplings = 4000;
// From fewer no interval can be told.
const samplesMin = 3;

/**
 * Compares two results, case by case. The same seed gives the same intervals.
 * @param before what the ratio divides by.
 */
export function compareResults(
  before: BenchResult,
  after: BenchResult,
  seed: number,
): BenchComparison {
  const matched = before.cases.flatMap((one) => {
    const other = partnerOf(one, before, after);
    return other === undefined ? [] : [{ one, other }];
  });
  const taken = new Set(matched.flatMap(({ one, other }) => [one, other]));
  return {
    differences: matched.flatMap(({ one, other }) =>
      benchStates.flatMap((state) => differenceOf(one, other, state, seed) ?? []),
    ),
    conditions: changedConditions(before, after, matched),
    unmatched: [...before.cases, ...after.cases]
      .filter((one) => !taken.has(one))
      .map(({ label }) => label),
  };
}

/** Of the same label; where each has one case alone, these two. */
function partnerOf(one: BenchCase, before: BenchResult, after: BenchResult): BenchCase | undefined {
  const same = after.cases.find(({ label }) => label === one.label);
  const isOnly = before.cases.length === 1 && after.cases.length === 1;
  return same ?? (isOnly ? after.cases[0] : undefined);
}

function differenceOf(
  one: BenchCase,
  other: BenchCase,
  state: BenchState,
  seed: number,
): BenchDifference | undefined {
  const times = ({ samples }: BenchCase): number[] =>
    samples[state].map(({ milliseconds }) => milliseconds);
  const [first, second] = [times(one), times(other)];
  const [before, after] = [quartilesOf(first)?.median, quartilesOf(second)?.median];
  if (before === undefined || after === undefined || before === 0) return undefined;
  const interval = ratioInterval(first, second, seed) ?? null;
  const verdict =
    interval === null || (interval[0] <= 1 && interval[1] >= 1)
      ? 'unclear'
      : interval[1] < 1
        ? 'faster'
        : 'slower';
  return { label: one.label, state, before, after, ratio: after / before, interval, verdict };
}

/**
 * The middle 95 % of the ratios of medians (second by first) when both samples are drawn anew, with replacement.
 * undefined: there are too few.
 */
export function ratioInterval(
  first: readonly number[],
  second: readonly number[],
  seed: number,
): readonly [number, number] | undefined {
  if (first.length < samplesMin || second.length < samplesMin) return undefined;
  const random = seededRandom(seed);
  const drawn = (values: readonly number[]): number => {
    const again = new Float64Array(values.length);
    for (let index = 0; index < again.length; index++)
      again[index] = values[Math.floor(random() * values.length)] ?? NaN;
    return quantileOf(again.sort(), 0.5);
  };
  const ratios = new Float64Array(resamplings);
  for (let index = 0; index < resamplings; index++) {
    const base = drawn(first);
    ratios[index] = drawn(second) / base;
  }
  ratios.sort();
  return [quantileOf(ratios, 0.025), quantileOf(ratios, 0.975)];
}

function changedConditions(
  before: BenchResult,
  after: BenchResult,
  matched: readonly { readonly one: BenchCase; readonly other: BenchCase }[],
): string[] {
  const told: string[] = [];
  const look = (what: string, first: unknown, second: unknown): void => {
    if (first !== second) told.push(`${what}: ${String(first)}, then ${String(second)}`);
  };
  for (const key of [
    'name',
    'kernel',
    'processor',
    'processors',
    'memory',
    'node',
    'pinfs',
  ] as const)
    look(key, before.machine[key], after.machine[key]);
  look('workload', before.workload, after.workload);
  look('round trip (ms)', before.roundTripMs, after.roundTripMs);
  look('line (bytes a second)', before.lineRate, after.lineRate);
  for (const { one, other } of matched) {
    look(`root hash of ${one.label}`, one.rootHash, other.rootHash);
    look(`driver of ${one.label}`, one.driver, other.driver);
  }
  return told;
}
