import { randomBytes } from 'node:crypto';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { memorySource } from '../testing/fakes/memory-source.js';
import { cacheSize, clearCache, verifyAll } from './cache/maintain.js';
import { openStore } from './open.js';
import { readWhole } from './run.js';

async function running(t: Test) {
  const directory = join(t.testdir(), 'cache');
  const source = memorySource();
  const plains = Array.from({ length: 20 }, () => randomBytes(1000));
  const wants = plains.map((plain) => source.put(plain));
  const store = openStore({ directory, limit: 1e8, source });
  t.teardown(() => store.close());
  await Promise.all(wants.map((want) => store.fetch(want)));
  const rightOnes = async (): Promise<number> => {
    const read = await Promise.all(wants.map((want) => readWhole(store, want)));
    return read.filter((bytes, index) => plains[index]?.equals(bytes)).length;
  };
  return { directory, source, store, rightOnes, index: join(directory, 'index.db') };
}

// 5 s is what one lock may take. It was 100 times that.
const generousMs = 25_000;

for (const [name, damage] of Object.entries({
  'only its database': (index: string) => truncateSync(index, 0),
  'its database and the log': (index: string) => {
    truncateSync(index, 0);
    truncateSync(`${index}-wal`, 0);
  },
})) {
  void t.test(
    `emptied below a store that runs: ${name}; who looks at it waits for nobody`,
    async (t) => {
      const { directory, source, store, rightOnes, index } = await running(t);
      damage(index);
      const since = performance.now();
      t.equal((await cacheSize(directory)).objects, 0, 'begun anew');
      t.ok(performance.now() - since < generousMs);
      await verifyAll(directory);
      await clearCache(directory);
      t.equal(await rightOnes(), 20);
      await store.fetch(source.put(randomBytes(1000)));
      t.ok((await cacheSize(directory)).objects > 0, 'what is fetched now others see');
      t.ok(performance.now() - since < 2 * generousMs);
    },
  );
}
