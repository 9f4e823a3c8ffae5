import { randomBytes } from 'node:crypto';
import t from 'tap';
import { memorySource } from '../testing/fakes/memory-source.js';
import { openStore } from './open.js';
import { runOperation } from './run.js';
import type { Store } from './store.js';
import { done, type Outcome } from './want.js';

// In the slow order each object is denied once, after it was found.
const isSlowOrder = process.env['ALWAYS_MISS'] === '1';

void t.test('one lookup is counted once, as a hit or as a miss', async (t) => {
  const source = memorySource();
  const options = { directory: t.testdir(), limit: 1e8, source };
  const wants = Array.from({ length: 20 }, () => source.put(randomBytes(100)));
  const readAll = async (of: Store, hits: number, misses: number, when: string): Promise<void> => {
    for (const want of wants) {
      const read = (): Outcome<number> => {
        const length = of.shelf.read(want, 0, 100, Buffer.alloc(100), 0);
        return length === undefined ? { kind: 'miss', want } : done(length);
      };
      t.same(await runOperation(read, of), done(100));
    }
    if (!isSlowOrder) t.match(of.statistics, { hits, misses }, when);
  };
  const store = openStore(options);
  await readAll(store, 0, 20, 'cold');
  await readAll(store, 20, 20, 'read again');
  await store.close();
  const warm = openStore(options);
  await readAll(warm, 20, 0, 'warm');
  await warm.close();
});

void t.test(
  'a large object is looked up when it is begun, not at each of its pieces',
  async (t) => {
    const source = memorySource();
    const store = openStore({ directory: t.testdir(), limit: 1e8, source });
    const want = source.put(randomBytes(1000));
    const read = async (position: number): Promise<void> => {
      const piece = (): Outcome<number> => {
        const length = store.shelf.read(want, position, 100, Buffer.alloc(100), 0);
        return length === undefined ? { kind: 'miss', want } : done(length);
      };
      t.same(await runOperation(piece, store), done(100));
    };
    const readAll = async (hits: number, when: string): Promise<void> => {
      // The kernel's read-ahead asks out of order.
      for (const position of [100, 0, 300, 200]) await read(position);
      if (!isSlowOrder) t.match(store.statistics, { hits, misses: 1 }, when);
    };
    await readAll(0, 'cold');
    await readAll(1, 'again');
    await store.close();
  },
);

void t.test('what is fetched ahead is no hit for whom it was fetched', async (t) => {
  const source = memorySource();
  const store = openStore({ directory: t.testdir(), limit: 1e8, source });
  const wants = [source.put(randomBytes(100)), source.put(randomBytes(200))];
  const [want, next] = wants;
  if (want === undefined || next === undefined) throw new Error('two objects');
  const read = (one: typeof want) => (): Outcome<number> => {
    const length = store.shelf.read(one, 0, 100, Buffer.alloc(100), 0);
    if (length !== undefined) return done(length);
    store.shelf.expect?.([next]);
    return { kind: 'miss', want: one, ahead: [next] };
  };
  t.same(await runOperation(read(want), store), done(100));
  await store.fetch(next);
  t.same(await runOperation(read(next), store), done(100));
  if (!isSlowOrder) t.match(store.statistics, { hits: 0, misses: 2 }, 'cold');
  t.same(await runOperation(read(next), store), done(100));
  if (!isSlowOrder) t.match(store.statistics, { hits: 1, misses: 2 }, 'again');
  await store.close();
});

void t.test(
  'what was fetched for another operation is no hit for who finds it first',
  async (t) => {
    const source = memorySource();
    const store = openStore({ directory: t.testdir(), limit: 1e8, source });
    const want = source.put(randomBytes(100));
    const read = (): (() => Outcome<number>) => () =>
      done(store.shelf.read(want, 0, 100, Buffer.alloc(100), 0) ?? -1);
    t.same(await runOperation(read(), store), done(-1));
    await store.fetch(want);
    await runOperation(read(), store);
    if (!isSlowOrder) t.match(store.statistics, { hits: 0, misses: 1 });
    await runOperation(read(), store);
    if (!isSlowOrder) t.match(store.statistics, { hits: 1, misses: 1 });
    await store.close();
  },
);
