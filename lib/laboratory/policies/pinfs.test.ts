import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { openStore } from '../../store/open.js';
import { readWhole } from '../../store/run.js';
import type { Want } from '../../store/want.js';
import { memorySource } from '../../testing/fakes/memory-source.js';
import type { RequestSequence } from '../requests.js';
import { pinfs } from './pinfs.js';

const mebibyte = 1024 * 1024;

interface Game {
  readonly sizes: readonly number[];
  readonly accesses: readonly number[];
  readonly limit: number;
}

/** Random accesses, some objects wanted more often, from a seed. */
function gameOf(
  seed: number,
  count: number,
  objects: number,
  sizeMax: number,
  limit: number,
): Game {
  let state = seed;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const sizes = Array.from({ length: objects }, () => 2 + Math.floor(sizeMax * random() ** 3));
  const accesses = Array.from({ length: count }, () => Math.floor(objects * random() ** 2));
  return { sizes, accesses, limit };
}

function requestsOf({ sizes, accesses }: Game): RequestSequence {
  return {
    objects: Uint32Array.from(accesses),
    times: Float64Array.from(accesses.map((_, index) => index)),
    sizes: Float64Array.from(sizes),
    // Each seventh is a catalog.
    isCatalog: Uint8Array.from(sizes.map((_, object) => (object % 7 === 6 ? 1 : 0))),
  };
}

function replayed(game: Game): { readonly hits: boolean[]; readonly evictions: number } {
  const policy = pinfs(requestsOf(game), game.limit);
  const hits = game.accesses.map((object, index) => policy.access(object, index));
  return { hits, evictions: policy.evictions };
}

/** Each another one, since two alike would be one object; and soon compressed. @param size at least 2. */
function contentOf(size: number, object: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt16LE(object);
  return bytes;
}

/** The same accesses by a store, on a real disk. */
async function played(t: Test, game: Game) {
  const source = memorySource();
  const wants = game.sizes.map((size, object): Want => {
    const kind = object % 7 === 6 ? 'catalog' : 'data';
    return source.put(contentOf(size, object), kind === 'catalog' ? { kind } : {});
  });
  const name = createHash('sha1').update(JSON.stringify(game)).digest('hex').slice(0, 12);
  const directory = t.testdir({ [name]: {} });
  const store = openStore({ directory: `${directory}/${name}`, limit: game.limit, source });
  const hits: boolean[] = [];
  for (const object of game.accesses) {
    const want = wants[object];
    if (want === undefined) continue;
    const isHit = store.shelf.has(want);
    hits.push(isHit);
    if (!isHit) await store.fetch(want);
    await readWhole(store, want);
  }
  const { evicted } = store.statistics;
  await store.close();
  return { hits, evictions: evicted };
}

void t.test('in a small cache each hit is foretold', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.nat(2 ** 31), fc.integer({ min: 10, max: 120 }), async (seed, blocks) => {
      const game = gameOf(seed, 150, 40, 20_000, blocks * 4096);
      t.same(replayed(game), await played(t, game));
    }),
    { numRuns: 6 },
  );
});

void t.test('in one with segments, whose gaps are closed now and then', async (t) => {
  const { sizes, ...game } = gameOf(5, 1500, 900, 64_000, 128 * mebibyte);
  // Some are large, so that room is needed soon.
  const large = sizes.map((size, object) => (object % 4 === 0 ? 1_400_000 : size));
  const real = await played(t, { ...game, sizes: large });
  const foretold = replayed({ ...game, sizes: large });
  const count = (hits: readonly boolean[]): number => hits.filter(Boolean).length;
  t.ok(real.evictions > 100, `${real.evictions} went`);
  const off = Math.abs(count(real.hits) - count(foretold.hits)) / real.hits.length;
  t.ok(off < 0.005, `${count(real.hits)} hits, ${count(foretold.hits)} foretold`);
  t.ok(Math.abs(real.evictions - foretold.evictions) < 0.02 * real.evictions);
});
