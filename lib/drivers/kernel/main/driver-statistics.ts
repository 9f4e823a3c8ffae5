import type { DriverStatistics } from '../../driver.js';
import { operations, unknownOpcode } from '../worker/opcodes.js';
import { readErrors, readLatency, readServed, type Counters } from '../worker/statistics.js';

/** The counters as the driver shows them. */
export function readStatistics(counted: Counters): DriverStatistics {
  const requests: Partial<Record<string, number>> = {};
  const latencies: NonNullable<DriverStatistics['latencies']> = {};
  for (const { number, name } of [unknownOpcode, ...operations]) {
    const latency = readLatency(counted, number);
    if (latency === undefined) continue;
    requests[name] = latency.count;
    latencies[name] = latency;
  }
  const errors = readErrors(counted);
  return { requests, latencies, errors, notCarried: 0, served: readServed(counted) };
}
