import { policies } from '../../lib/laboratory/policies.js';
import { replay } from '../../lib/laboratory/replay.js';
import type { BenchPrediction } from '../../lib/laboratory/results/bench-result.js';
import { requestsOfTraces } from '../../lib/laboratory/trace-requests.js';
import { readTraceFile } from '../../lib/trace/read-trace-file.js';

/**
 * What the cache's own policy makes of a recorded run under a limit, with nothing fetched ahead.
 * @param limit bytes.
 * @throws PinfsError of the trace.
 */
export function foretell(traceFile: string, limit: number): BenchPrediction {
  const { requests } = requestsOfTraces([readTraceFile(traceFile)]);
  const how = { open: policies.pinfs, capacity: limit };
  const { accesses, hits, fetchedBytes } = replay(requests, how);
  return { policy: 'pinfs', requests: accesses, hits, fetchedBytes };
}
