import { randomBytes } from 'node:crypto';
import t from 'tap';
import { memorySource } from '../testing/memory-source.js';
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
