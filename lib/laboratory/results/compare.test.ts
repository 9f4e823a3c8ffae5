import t from 'tap';
import { seededRandom, shuffled } from '../random.js';
import { timeSample, type BenchCase, type BenchResult, type BenchSample } from './bench-result.js';
import { compareResults, ratioInterval } from './compare.js';
import { classesBetween, latencyOf, mergedClasses } from './latencies.js';
import { quartilesOf } from './quantiles.js';

const sample = (milliseconds: number): BenchSample => timeSample(0, milliseconds);

function caseOf(label: string, cold: readonly number[]): BenchCase {
  return {
    label,
    source: 's',
    pin: null,
    repository: 'r',
    rootHash: 'ab',
    revision: null,
    driver: 'kernel',
    cacheLimit: null,
    clients: 1,
    samples: { mount: [], cold: cold.map(sample), hot: [], remount: [], warm: [] },
    prediction: null,
  };
}

function resultOf(cases: readonly BenchCase[], kernel = '6.1'): BenchResult {
  const machine = {
    name: 'n',
    system: 'Linux',
    kernel,
    processor: 'p',
    processors: 2,
    memory: 1,
    node: 'v20',
    pinfs: '0.2.0',
  };
  return {
    format: 'pinfs-bench-result',
    version: 1,
    made: '',
    command: [],
    machine,
    workload: 'walk',
    repeats: 5,
    roundTripMs: null,
    lineRate: null,
    seed: 1,
    cases,
  };
}

const slow = [100, 104, 98, 101, 103, 99, 102];

t.test('what is twice as fast is told, and the interval holds the ratio', (t) => {
  const fast = slow.map((ms) => ms / 2);
  const { differences } = compareResults(
    resultOf([caseOf('a', slow)]),
    resultOf([caseOf('a', fast)]),
    1,
  );
  t.equal(differences.length, 1, 'a state with no samples has none');
  const [{ ratio, interval, verdict } = { ratio: 0, interval: null, verdict: 'unclear' }] =
    differences;
  t.equal(ratio, 0.5);
  t.equal(verdict, 'faster');
  t.ok(interval !== null && interval[0] <= 0.5 && interval[1] >= 0.5 && interval[1] < 0.56);
  t.end();
});

t.test('no verdict where the interval holds 1, or samples are too few', (t) => {
  const verdict = (first: readonly number[], second: readonly number[]) =>
    compareResults(resultOf([caseOf('a', first)]), resultOf([caseOf('a', second)]), 1)
      .differences[0];
  t.match(verdict(slow, [...slow].reverse()), { verdict: 'unclear' });
  t.match(verdict(slow, [60, 150, 100, 90, 130]), { verdict: 'unclear' });
  t.match(verdict([100, 100], [10, 10]), { verdict: 'unclear', interval: null });
  t.match(verdict(slow, [300, 310, 305]), { verdict: 'slower' });
  t.end();
});

t.test(
  'the same seed gives the same interval, and most intervals of the same thing hold 1',
  (t) => {
    t.same(ratioInterval(slow, [90, 95, 99], 7), ratioInterval(slow, [90, 95, 99], 7));
    const random = seededRandom(3);
    const draw = () => Array.from({ length: 9 }, () => 100 + 20 * random());
    let held = 0;
    for (let turn = 0; turn < 60; turn++) {
      const [low, high] = ratioInterval(draw(), draw(), turn) ?? [NaN, NaN];
      if (low <= 1 && high >= 1) held++;
    }
    t.ok(held >= 50, `${held} of 60`);
    t.end();
  },
);

t.test('what is not the same in both is told', (t) => {
  const before = resultOf([caseOf('a', slow), caseOf('b', slow)]);
  const other = { ...caseOf('a', slow), rootHash: 'cd' };
  const { conditions, unmatched } = compareResults(before, resultOf([other], '6.18'), 1);
  t.same(conditions, ['kernel: 6.1, then 6.18', 'root hash of a: ab, then cd']);
  t.same(unmatched, ['b']);
  const alone = compareResults(resultOf([caseOf('a', slow)]), resultOf([caseOf('z', slow)]), 1);
  t.equal(alone.differences.length, 1, 'one case each: these two');
  t.end();
});

t.test('quartiles lie between neighbours in proportion', (t) => {
  t.same(quartilesOf([4, 1, 3, 2]), {
    count: 4,
    min: 1,
    lower: 1.75,
    median: 2.5,
    upper: 3.25,
    max: 4,
  });
  t.equal(quartilesOf([]), undefined);
  t.same(shuffled([1, 2, 3, 4, 5], seededRandom(1)).sort(), [1, 2, 3, 4, 5]);
  t.same(shuffled([1, 2, 3, 4, 5], seededRandom(1)), shuffled([1, 2, 3, 4, 5], seededRandom(1)));
  t.end();
});

t.test('latencies of what was counted between two looks', (t) => {
  const before = [[10, 5]] as const;
  const after = [
    [10, 95],
    [100, 9],
    [5000, 1],
  ] as const;
  const classes = classesBetween(before, after);
  t.same(classes, [
    [10, 90],
    [100, 9],
    [5000, 1],
  ]);
  t.match(latencyOf(classes), { count: 100, p50: 10, p90: 10, p99: 100 });
  const { max } = latencyOf(classes);
  t.ok(max >= 5000 && max < 5010, `${max}: within three digits`);
  t.same(
    mergedClasses([
      [[10, 1]],
      [
        [20, 2],
        [10, 2],
      ],
    ]),
    [
      [10, 3],
      [20, 2],
    ],
  );
  t.match(latencyOf([]), { count: 0 });
  t.end();
});
