import fc from 'fast-check';
import t from 'tap';
import {
  benchResultBytesMax,
  benchResultText,
  benchResultVersion,
  benchStates,
  readBenchResult,
  type BenchResult,
  type BenchSample,
} from './bench-result.js';

const sample: BenchSample = {
  round: 0,
  milliseconds: 12.5,
  clientMilliseconds: [12.5],
  requests: 3,
  bytes: 4000,
  hits: 1,
  misses: 3,
  stored: 9000,
  evicted: 0,
  kernelRequests: 20,
  layers: { network: 4.5 },
  latencies: {
    READ: {
      count: 2,
      p50: 80,
      p90: 96,
      p99: 96,
      max: 96,
      classes: [
        [80, 1],
        [96, 1],
      ],
    },
  },
};

const result: BenchResult = {
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
  repeats: 1,
  roundTripMs: null,
  lineRate: null,
  seed: 1,
  cases: [
    {
      label: 'kernel',
      source: 'http://server/cvmfs/sw.example.org',
      pin: 'v1',
      repository: 'sw.example.org',
      rootHash: 'ab'.repeat(20),
      revision: 1,
      driver: 'kernel',
      cacheLimit: null,
      clients: 1,
      samples: { mount: [sample], cold: [sample], hot: [], remount: [], warm: [] },
      prediction: null,
    },
  ],
};

t.test('a result is read as it was written', (t) => {
  const read = readBenchResult(Buffer.from(benchResultText(result)));
  t.same(read, result);
  t.same(Object.keys(read.cases[0]?.samples ?? {}), [...benchStates]);
  t.end();
});

t.test('what is no result is refused by name', (t) => {
  const refused = (value: unknown, what: RegExp): void => {
    t.throws(
      () => readBenchResult(Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))),
      { code: 'RESULT_MALFORMED', message: what },
    );
  };
  refused('', /begin/);
  refused('{', /begin/);
  refused([], /begin/);
  refused({ ...result, version: 99 }, /version 99/);
  refused({ ...result, cases: [] }, /no result/);
  refused({ ...result, cases: [{ ...result.cases[0], clients: -1 }] }, /no result/);
  refused({ ...result, machine: null }, /no result/);
  t.throws(() => readBenchResult(Buffer.alloc(benchResultBytesMax + 1)), { message: /too large/ });
  t.end();
});

t.test('whatever one byte becomes, it is read or refused by name', (t) => {
  const text = benchResultText(result);
  fc.assert(
    fc.property(fc.nat(text.length - 1), fc.integer({ min: 0, max: 255 }), (at, byte) => {
      const bytes = Buffer.from(text);
      bytes[at] = byte;
      try {
        readBenchResult(bytes);
      } catch (thrown) {
        return (thrown as { code?: string }).code === 'RESULT_MALFORMED';
      }
      return true;
    }),
    { numRuns: 200 },
  );
  t.end();
});
