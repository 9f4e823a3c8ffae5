import fc from 'fast-check';
import t from 'tap';
import { missRatioAt, missRatioCurve, pointAt, sampledCurve } from './curve.js';
import { policies } from './policies.js';
import { replay } from './replay.js';
import { onePlaceEach, type RequestSequence } from './requests.js';
import { openStackDistances, stackDistances } from './stack-distances.js';

function requestsOf(accesses: readonly number[], sizes: readonly number[]): RequestSequence {
  return {
    objects: Uint32Array.from(accesses),
    times: new Float64Array(accesses.length),
    sizes: Float64Array.from(sizes),
  };
}

/** The objects used since, each once, and this one. */
function bruteForce({ objects, sizes }: RequestSequence): number[] {
  return [...objects].map((object, index) => {
    const before = objects.lastIndexOf(object, index - 1);
    if (index === 0 || before < 0) return Infinity;
    const since = new Set([...objects.subarray(before, index)]);
    return [...since].reduce((sum, each) => sum + (sizes[each] ?? 0), 0);
  });
}

const traces = fc
  .record({
    sizes: fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 40, maxLength: 40 }),
    accesses: fc.array(fc.oneof(fc.nat(39), fc.nat(5)), { minLength: 1, maxLength: 200 }),
  })
  .map(({ accesses, sizes }) => requestsOf(accesses, sizes));

/** Some objects are wanted far more often than others. */
function zipf(accesses: number, objects: number, seed: number): RequestSequence {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const wanted = Array.from({ length: accesses }, () => Math.floor(objects * random() ** 2.5));
  const sizes = Array.from({ length: objects }, () => 1 + Math.floor(100_000 * random() ** 4));
  return requestsOf(wanted, sizes);
}

void t.test('stack distances are those of brute force', (t) => {
  fc.assert(
    fc.property(traces, (requests) => {
      t.same([...stackDistances(requests)], bruteForce(requests));
    }),
    { numRuns: 200 },
  );
  t.end();
});

void t.test(
  'and stay so when places run out, and when more objects come than were expected',
  (t) => {
    const requests = zipf(6000, 3000, 3);
    const { objects, sizes } = requests;
    const distances = openStackDistances(1);
    const found = [...objects].map((object) => distances.next(object, sizes[object] ?? 0));
    t.same(found, bruteForce(requests));
    t.end();
  },
);

void t.test('what the curve says of a size is what LRU does', (t) => {
  fc.assert(
    fc.property(traces, fc.integer({ min: 1100, max: 20_000 }), (requests, size) => {
      const curve = missRatioCurve(requests);
      // Sizes round up: the point that is reached is one of this or of a smaller cache.
      const { missRatio, byteMissRatio } = pointAt(curve.points, size) ?? {};
      const least = replay(requests, { open: policies.lru, capacity: size });
      const more = replay(requests, { open: policies.lru, capacity: size / 1.0115 });
      const ratio = 1 - least.hits / least.accesses;
      t.ok(missRatio !== undefined && missRatio >= ratio - 1e-9);
      t.ok(missRatio !== undefined && missRatio <= 1 - more.hits / more.accesses + 1e-9);
      t.ok((byteMissRatio ?? -1) >= 1 - least.hitBytes / least.bytes - 1e-9);
    }),
    { numRuns: 200 },
  );
  t.end();
});

void t.test('by objects, the curve is exact to the object', (t) => {
  const all = zipf(5000, 40, 5);
  const requests = { ...all, sizes: onePlaceEach(all) };
  const { points } = missRatioCurve(requests);
  for (let size = 1; size <= 40; size++) {
    const { hits, accesses } = replay(requests, { open: policies.lru, capacity: size });
    t.ok(Math.abs(missRatioAt(points, size * 1.0115) - (1 - hits / accesses)) < 1e-9, `${size}`);
  }
  t.end();
});

void t.test('a sample of everything is everything, and one of a part comes near', (t) => {
  const requests = zipf(200_000, 20_000, 7);
  const exact = missRatioCurve(requests);
  const all = sampledCurve(requests, 1);
  t.same(
    all.points.map(({ size, missRatio, byteMissRatio }) => ({ size, missRatio, byteMissRatio })),
    exact.points,
  );
  t.equal(all.objects, exact.objects);
  let outside = 0;
  for (const seed of [1, 2, 3, 4]) {
    const sampled = sampledCurve(requests, 0.1, seed);
    t.ok(Math.abs(sampled.footprint / exact.footprint - 1) < 0.25, 'footprint');
    const off = exact.points
      .filter((_, index) => index % 16 === 0)
      .map(({ size, missRatio }) => Math.abs(missRatioAt(sampled.points, size) - missRatio));
    const mean = off.reduce((sum, each) => sum + each, 0) / off.length;
    t.ok(mean < 0.05, `off by ${mean.toFixed(4)} on average`);
    t.ok(sampled.error !== undefined && sampled.error.mean > 0);
    // The error that it tells is one that holds, give or take.
    if (mean > 3 * (sampled.error?.mean ?? 0)) outside++;
  }
  t.ok(outside <= 1, 'the error told is the error made');
  t.end();
});

void t.test('a trace of nothing has a curve of nothing', (t) => {
  const nothing = requestsOf([], []);
  t.same(missRatioCurve(nothing).points, [{ size: 0, missRatio: 1, byteMissRatio: 1 }]);
  t.equal(missRatioAt(sampledCurve(nothing, 0.5).points, 100), 1);
  t.end();
});
