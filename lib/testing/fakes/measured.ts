import {
  benchResultVersion,
  type BenchResult,
  type BenchSample,
} from '../../laboratory/results/bench-result.js';
import { encodeTrace } from '../../trace/encode-trace.js';
import type { Access } from '../../trace/trace.js';
import { seededRandom } from '../../laboratory/random.js';

/* A result and a trace as from a mount that was measured. */

function sampleOf(round: number, milliseconds: number): BenchSample {
  const layers = { network: milliseconds / 2, inflate: milliseconds / 8, catalog: 3 };
  const classes = [80, 160, 320, 640].map((us, index): [number, number] => [us, 40 - 9 * index]);
  const latencies = { READ: { count: 106, p50: 160, p90: 640, p99: 640, max: 640, classes } };
  return {
    round,
    milliseconds,
    clientMilliseconds: [milliseconds],
    requests: 30,
    bytes: 400_000,
    hits: 10,
    misses: 30,
    stored: 900_000,
    evicted: 0,
    kernelRequests: 200,
    layers,
    latencies,
  };
}

/** Five runs: cold 800 to 840 ms, warm 200, hot 50. */
export function measuredResult(): BenchResult {
  const samples = (milliseconds: number): BenchSample[] =>
    [0, 1, 2, 3, 4].map((round) => sampleOf(round, milliseconds + 10 * round));
  return {
    format: 'pinfs-bench-result',
    version: benchResultVersion,
    made: '2026-11-29T12:00:00.000Z',
    command: ['bench', 'http://server/cvmfs/sw.example.org@v1'],
    machine: {
      name: 'node1',
      system: 'Linux',
      kernel: '6.18',
      processor: 'some',
      processors: 2,
      memory: 2 ** 33,
      node: 'v20.20.0',
      pinfs: '0.2.0',
    },
    workload: 'walk',
    repeats: 5,
    roundTripMs: null,
    lineRate: null,
    seed: 1,
    cases: [
      {
        label: 'kernel',
        source: 'http://server/cvmfs/sw.example.org',
        pin: 'v1',
        repository: 'sw.example.org',
        rootHash: '0'.repeat(40),
        revision: 1,
        driver: 'kernel',
        cacheLimit: 2 ** 20,
        clients: 1,
        samples: {
          mount: samples(400),
          cold: samples(800),
          hot: samples(50),
          remount: samples(300),
          warm: samples(200),
        },
        prediction: { policy: 'pinfs', requests: 40, hits: 10, fetchedBytes: 900_000 },
      },
    ],
  };
}

/** The bytes of a trace of 3,000 reads of 200 files in 8 directories, the cache limited to 2 MiB. */
export function measuredTrace(): Buffer {
  const random = seededRandom(7);
  const seen = new Set<number>();
  const accesses = Array.from({ length: 3000 }, (_, index): Access => {
    const file = Math.floor(200 * random() ** 2);
    const isNew = !seen.has(file);
    seen.add(file);
    return {
      time: index * 1000,
      duration: isNew ? 20_000 + 50 * file : 40 + file,
      operation: 'read',
      level: isNew ? 'fetched' : 'shelf',
      object: `foreign:${file.toString(16).padStart(16, '0')}`,
      plainSize: 1000 + 300 * file,
      offset: 0,
      length: 500,
      path: `/software/part${file % 8}/file${file}<script>`,
      pid: 1,
      processName: 'job',
    };
  });
  const header = {
    startedAt: Date.UTC(2026, 10, 29),
    repository: 'sw.example.org',
    rootHash: '0'.repeat(40),
    source: 'http://server/cvmfs/sw.example.org',
    isComplete: true,
    cacheLimit: 2 ** 21,
    writer: 'pinfs',
  };
  return Buffer.concat([...encodeTrace(header, accesses)]);
}
