import type { DriverStatistics, LatencyHistogram } from '../../driver.js';
import { operations, unknownOpcode } from '../worker/opcodes.js';
import {
  hasRequests,
  readErrors,
  readHistogram,
  readLatency,
  readLatencyClasses,
  readServed,
  readSpent,
  type Counters,
} from '../worker/statistics.js';

/** The counters as the driver shows them. */
export function readStatistics(counted: Counters): DriverStatistics {
  const requests: Partial<Record<string, number>> = {};
  const latencies: NonNullable<DriverStatistics['latencies']> = {};
  for (const { number, name } of askedFor(counted)) {
    const latency = readLatency(counted, number);
    if (latency === undefined) continue;
    requests[name] = latency.count;
    latencies[name] = latency;
  }
  const errors = readErrors(counted);
  const histograms = () => readHistograms(counted);
  return {
    requests,
    latencies,
    latencyClasses: () => allClasses(counted),
    spent: readSpent(counted),
    histograms,
    errors,
    notCarried: 0,
    served: readServed(counted),
  };
}

type Asked = Pick<(typeof operations)[number], 'number' | 'name'>;

function askedFor(counted: Counters): Asked[] {
  return [unknownOpcode, ...operations].filter(({ number }) => hasRequests(counted, number));
}

function readHistograms(counted: Counters): Partial<Record<string, LatencyHistogram>> {
  const all = askedFor(counted).map(
    ({ number, name }) => [name, readHistogram(counted, number)] as const,
  );
  return Object.fromEntries(all.filter(([, histogram]) => histogram !== undefined));
}

function allClasses(counted: Counters): Record<string, [number, number][]> {
  const all = askedFor(counted).map(
    ({ number, name }) => [name, readLatencyClasses(counted, number)] as const,
  );
  return Object.fromEntries(all.filter(([, classes]) => classes.length > 0));
}
