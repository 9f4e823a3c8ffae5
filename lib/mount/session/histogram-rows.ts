import { latencyBoundsMicroseconds } from '../../drivers/driver.js';
import { firstByteMsBounds } from '../../source/http/way-traffic.js';
import { wayLabels, type MetricFacts } from './metric-rows.js';

/** Counts by classes, each for itself; the last class has no upper end. */
export interface HistogramSample {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: readonly number[];
  /** Seconds, of all together. */
  readonly sum: number;
}

export interface HistogramRow {
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper ends of the classes in seconds. */
  readonly bounds: readonly number[];
  readonly samples: (facts: MetricFacts) => readonly HistogramSample[];
}

export const histogramRows: readonly HistogramRow[] = [
  {
    name: 'pinfs_request_duration_seconds',
    help: 'From the arrival of a request of the kernel to its answer, by operation; the sum is estimated from finer classes.',
    labels: ['operation'],
    bounds: latencyBoundsMicroseconds.map((bound) => bound / 1e6),
    samples: ({ latencies }) =>
      Object.entries(latencies).flatMap(([operation, histogram]) =>
        histogram === undefined
          ? []
          : [
              {
                labels: { operation },
                counts: histogram.counts,
                sum: histogram.microseconds / 1e6,
              },
            ],
      ),
  },
  {
    name: 'pinfs_network_first_byte_seconds',
    help: 'From the sending of a request to the headers of its answer, by mirror and proxy.',
    labels: ['mirror', 'proxy'],
    bounds: firstByteMsBounds.map((bound) => bound / 1000),
    samples: ({ status }) =>
      (status.traffic.ways ?? []).map((way) => ({
        labels: wayLabels(way),
        counts: way.firstBytes,
        sum: way.firstByteMs / 1000,
      })),
  },
];
