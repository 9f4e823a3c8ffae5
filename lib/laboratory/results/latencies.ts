import { createRequire } from 'node:module';
import type * as hdr from 'hdr-histogram-js';
import type { OperationLatency } from './bench-result.js';

/** Upper ends of classes in microseconds, and how many requests fell into each. */
export type LatencyClasses = readonly (readonly [microseconds: number, count: number])[];

let library: typeof hdr | undefined;

/** Loaded only where something was measured. */
function histograms(): typeof hdr {
  return (library ??= createRequire(import.meta.url)('hdr-histogram-js') as typeof hdr);
}

/** What was counted between two looks at the same counters. */
export function classesBetween(before: LatencyClasses, after: LatencyClasses): LatencyClasses {
  const known = new Map(before);
  return after
    .map(([end, count]) => [end, count - (known.get(end) ?? 0)] as const)
    .filter(([, count]) => count > 0);
}

/** All of several measurements of one operation, added up. */
export function mergedClasses(all: readonly LatencyClasses[]): LatencyClasses {
  const sums = new Map<number, number>();
  for (const [end, count] of all.flat()) sums.set(end, (sums.get(end) ?? 0) + count);
  return [...sums].sort(([a], [b]) => a - b);
}

/** Percentiles of what fell into the classes: the upper end of the class in which each lies. */
export function latencyOf(classes: LatencyClasses): OperationLatency {
  const histogram = histograms().build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 2 ** 40,
    numberOfSignificantValueDigits: 3,
  });
  for (const [end, count] of classes)
    if (count > 0)
      histogram.recordValueWithCount(Math.min(Math.max(1, Math.round(end)), 2 ** 40), count);
  const of = (percent: number): number =>
    Math.min(histogram.getValueAtPercentile(percent), histogram.maxValue);
  return {
    count: histogram.totalCount,
    p50: of(50),
    p90: of(90),
    p99: of(99),
    max: histogram.maxValue,
    classes,
  };
}
