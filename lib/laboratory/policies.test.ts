import fc from 'fast-check';
import t from 'tap';
import { policyModels } from '../testing/suites/policy-models.js';
import { pinfsByObject } from './policies/pinfs.js';
import { policies, policyNames } from './policies.js';
import type { CachePolicy, OpenPolicy } from './policy.js';
import type { RequestSequence } from './requests.js';

interface Game {
  readonly sizes: readonly number[];
  readonly accesses: readonly number[];
  readonly capacity: number;
}

function requestsOf({ sizes, accesses }: Pick<Game, 'sizes' | 'accesses'>): RequestSequence {
  return {
    objects: Uint32Array.from(accesses),
    times: Float64Array.from(accesses.map((_, index) => index)),
    sizes: Float64Array.from(sizes),
  };
}

/** Few objects, some of which are wanted more often than others. */
function games(size: fc.Arbitrary<number>): fc.Arbitrary<Game> {
  const object = fc.oneof(fc.nat(11), fc.nat(3));
  return fc.record({
    sizes: fc.array(size, { minLength: 12, maxLength: 12 }),
    accesses: fc.array(object, { minLength: 1, maxLength: 150 }),
    capacity: fc.integer({ min: 1, max: 30 }),
  });
}
const unitGames = games(fc.constant(1)).map((game) => ({
  ...game,
  capacity: 1 + (game.capacity % 10),
}));
const sizedGames = games(fc.integer({ min: 1, max: 12 }));

/** What holds for each policy at each moment. */
function checkAlways(policy: CachePolicy, { sizes, capacity }: Game, objects: ReadonlySet<number>) {
  const kept = sizes.map((_, object) => object).filter((object) => policy.has(object));
  const bytes = kept.reduce((total, object) => total + (sizes[object] ?? 0), 0);
  if (bytes !== policy.used) throw new Error(`keeps ${bytes}, and says ${policy.used}`);
  if (bytes > capacity) throw new Error(`keeps ${bytes} of at most ${capacity}`);
  if (kept.some((object) => !objects.has(object))) throw new Error('keeps what nobody asked for');
}

type ModelName = keyof typeof policyModels;
// The cache's own is compared with the cache (pinfs.test.ts), and here where it counts objects.
const modelled = policyNames.filter((name): name is ModelName => name in policyModels);

/** Plays a game, and looks at each step. */
function play(name: ModelName, game: Game, open: OpenPolicy = policies[name]): boolean[] {
  const policy = open(requestsOf(game), game.capacity);
  const asked = new Set<number>();
  let inserted = 0;
  return game.accesses.map((object, index) => {
    const had = policy.has(object);
    const hit = policy.access(object, index);
    asked.add(object);
    checkAlways(policy, game, asked);
    if (hit !== had) throw new Error('says hit of what it had not, or miss of what it had');
    const has = policy.has(object);
    if (has && !had) inserted++;
    const fits = (game.sizes[object] ?? 0) <= game.capacity;
    if (has !== fits && name !== 'belady') throw new Error('is not there after it came');
    const kept = game.sizes.filter((_, each) => policy.has(each)).length;
    if (inserted - policy.evictions !== kept) throw new Error('evictions do not add up');
    return hit;
  });
}

for (const name of modelled) {
  void t.test(`${name}: does what its plain model does, by objects and by bytes`, (t) => {
    for (const arbitrary of [unitGames, sizedGames]) {
      fc.assert(
        fc.property(arbitrary, (game) => {
          const model = policyModels[name](game.sizes, game.capacity, game.accesses);
          const wanted = game.accesses.map((object, index) => model(object, index));
          const found = play(name, game);
          const at = wanted.findIndex((hit, index) => hit !== found[index]);
          if (at >= 0) throw new Error(`access ${at}: ${String(found[at])}`);
        }),
        { numRuns: 300 },
      );
    }
    t.end();
  });

  void t.test(`${name}: a cache that holds everything misses each object once`, (t) => {
    fc.assert(
      fc.property(sizedGames, (game) => {
        const hits = play(name, { ...game, capacity: 1000 });
        return hits.filter((hit) => !hit).length === new Set(game.accesses).size;
      }),
    );
    t.end();
  });
}

void t.test('pinfs, by objects: is LRU, as long as it makes room for one', (t) => {
  fc.assert(
    fc.property(unitGames, (game) => {
      t.same(play('lru', game, pinfsByObject), play('lru', game));
    }),
    { numRuns: 300 },
  );
  t.end();
});

void t.test('belady: no policy has fewer misses, and no way to play at all', (t) => {
  const misses = (hits: readonly boolean[]): number => hits.filter((hit) => !hit).length;
  fc.assert(
    fc.property(unitGames, (game) => {
      const best = misses(play('belady', game));
      return modelled.every((name) => misses(play(name, game)) >= best);
    }),
  );
  const short = fc.record({
    sizes: fc.constant([1, 1, 1, 1, 1]),
    accesses: fc.array(fc.nat(4), { minLength: 1, maxLength: 14 }),
    capacity: fc.integer({ min: 1, max: 3 }),
  });
  fc.assert(
    fc.property(short, (game) => misses(play('belady', game)) === fewestMisses(game)),
    { numRuns: 100 },
  );
  t.end();
});

/** Of all ways to keep and to let go. */
function fewestMisses({ accesses, capacity }: Game): number {
  // By what is kept: how few misses led there.
  let states = new Map([['', 0]]);
  for (const object of accesses) {
    const next = new Map<string, number>();
    const reach = (kept: readonly number[], misses: number): void => {
      const key = [...kept].sort().join();
      next.set(key, Math.min(next.get(key) ?? Infinity, misses));
    };
    for (const [key, misses] of states) {
      const kept = key === '' ? [] : key.split(',').map(Number);
      if (kept.includes(object)) {
        reach(kept, misses);
        continue;
      }
      reach(kept, misses + 1);
      if (kept.length < capacity) reach([...kept, object], misses + 1);
      for (const gone of kept) {
        reach([...kept.filter((each) => each !== gone), object], misses + 1);
      }
    }
    states = next;
  }
  return Math.min(...states.values());
}

void t.test('what the papers say of their pseudo-code', (t) => {
  const open = (name: ModelName, accesses: readonly number[], capacity: number): CachePolicy => {
    const policy = policies[name](
      requestsOf({ accesses, sizes: new Array<number>(100).fill(1) }),
      capacity,
    );
    accesses.forEach((object, index) => policy.access(object, index));
    return policy;
  };
  const kept = (policy: CachePolicy): number[] =>
    Array.from({ length: 100 }, (_, object) => object).filter((object) => policy.has(object));
  // SIEVE's figure: what was visited keeps its place, and the hand goes on from where it was.
  t.same(kept(open('sieve', [1, 2, 3, 1, 4, 5], 3)), [1, 4, 5]);
  // CLOCK gives the same page one more round only.
  t.same(kept(open('clock', [1, 2, 3, 1, 4, 5, 6, 7], 3)), [5, 6, 7]);
  // S3-FIFO and 2Q: a scan of what is used once does not push out what is used again and again.
  const often = [1, 2, 1, 2, 1, 2, 1, 2];
  const scan = Array.from({ length: 60 }, (_, index) => 10 + index);
  for (const name of ['s3fifo', 'lfu', 'arc'] as const) {
    const policy = open(name, [...often, ...scan], 20);
    t.ok(policy.has(1) && policy.has(2), name);
  }
  t.notOk(open('lru', [...often, ...scan], 20).has(1));
  // 2Q: used again while it is in A1in counts for nothing, from A1out it comes to Am.
  t.notOk(open('2q', [...often, ...scan.slice(0, 20)], 20).has(1));
  t.ok(open('2q', [1, ...scan.slice(0, 20), 1, ...scan.slice(20, 50)], 20).has(1));
  // A cycle that is longer than the cache: nothing for LRU, nearly all for who knows the future.
  const cycle = Array.from({ length: 400 }, (_, index) => index % 11);
  const hits = (name: ModelName): number => {
    const policy = policies[name](
      requestsOf({ accesses: cycle, sizes: new Array<number>(100).fill(1) }),
      10,
    );
    return cycle.filter((object, index) => policy.access(object, index)).length;
  };
  t.equal(hits('lru'), 0);
  t.ok(hits('belady') > 300);
  t.end();
});
