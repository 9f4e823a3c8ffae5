import { randomBytes } from 'node:crypto';
import { existsSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { memorySource, wantFor } from '../../testing/fakes/memory-source.js';
import { Disk } from './disk.js';
import { openShelf } from './open-shelf.js';
import { parseKey, type ObjectKey } from '../key.js';
import { objectFile } from './layout.js';
import { openStore } from '../open.js';
import { readWhole } from '../run.js';
import type { Store } from '../store.js';
import { wantKey, type Want } from '../want.js';

const block = 4096;

function open(t: Test, limit: number, directory = t.testdir()) {
  const source = memorySource();
  const store = openStore({ directory, limit, source });
  t.teardown(() => store.close());
  const isThere = (want: Want): boolean => existsSync(objectFile(directory, wantKey(want)));
  const put = (size = 100): Want => source.put(randomBytes(size));
  return { directory, source, store, isThere, put };
}

function onDisk(directory: string): number {
  const objects = join(directory, 'objects');
  let sum = 0;
  for (const folder of readdirSync(objects)) {
    for (const name of readdirSync(join(objects, folder))) {
      sum += Math.ceil(statSync(join(objects, folder, name)).size / block) * block;
    }
  }
  return sum;
}

void t.test('what was not used for longest goes first', async (t) => {
  const { store, isThere, put } = open(t, 4 * block);
  const [a, b, c, d, e] = [put(), put(), put(), put(), put()] as const;
  for (const want of [a, b, c, d]) await store.fetch(want);
  t.ok(store.shelf.has(a));
  await store.fetch(e);
  t.same([a, b, c, d, e].map(isThere), [true, false, true, true, true]);
  t.equal(store.statistics.evicted, 1);
  t.equal(store.statistics.bytes, 4 * block);
});

void t.test('catalogs stay longer than what is below them', async (t) => {
  const { store, source, isThere, put } = open(t, 4 * block);
  const catalog = source.put(randomBytes(100), { kind: 'catalog' });
  await store.fetch(catalog);
  for (let count = 0; count < 10; count++) await store.fetch(put());
  t.ok(isThere(catalog));
});

void t.test(
  'content of a volatile repository goes first, however lately it was used',
  async (t) => {
    const { store, source, put, directory } = open(t, 5 * block);
    const [a, b] = [put(), put()] as const;
    for (const want of [a, b]) await store.fetch(want);
    const other = openStore({ directory, limit: 5 * block, source });
    other.setVolatile?.(true);
    const catalog = source.put(randomBytes(100), { kind: 'catalog' });
    const [c, d] = [put(), put()] as const;
    for (const want of [catalog, c, d]) await other.fetch(want);
    t.ok(other.shelf.has(c));
    await other.close();
    await store.fetch(put());
    const there = () => {
      const shelf = openShelf(directory);
      const seen = [a, b, catalog, c, d].map((want) => shelf.has(want));
      shelf.close();
      return seen;
    };
    t.same(there(), [true, true, true, true, false], 'of them the longest unused');
    await store.fetch(put());
    t.same(there(), [true, true, true, false, false]);
  },
);

void t.test('uses on a shelf of another thread count as well', async (t) => {
  const { store, isThere, put, directory } = open(t, 4 * block);
  const [a, b, c, d, e] = [put(), put(), put(), put(), put()] as const;
  for (const want of [a, b, c, d]) await store.fetch(want);
  const shelf = openShelf(directory);
  t.ok(shelf.has(a));
  shelf.close();
  await store.fetch(e);
  t.same([a, b].map(isThere), [true, false]);
});

void t.test('the limit is never passed, whatever comes', async (t) => {
  const limit = 300 * block;
  const { store, source, directory } = open(t, limit);
  let highest = 0;
  for (let round = 0; round < 20; round++) {
    const wants = Array.from({ length: 40 }, (_, number) =>
      source.put(randomBytes(1 + ((round * 977 + number * 3571) % 20_000))),
    );
    await Promise.all(wants.map((want) => store.fetch(want)));
    highest = Math.max(highest, onDisk(directory));
    t.equal(store.statistics.bytes, onDisk(directory));
  }
  t.ok(highest <= limit && highest > limit / 2);
});

void t.test('whoever has an object open goes on reading it, but not for ever', async (t) => {
  const { store, isThere, put, directory } = open(t, 70 * block);
  const [a] = [put()] as const;
  await store.fetch(a);
  const shelf = openShelf(directory);
  t.teardown(() => shelf.close());
  const content = (): number | undefined => shelf.read(a, 0, 100, Buffer.alloc(100), 0);
  t.equal(content(), 100);
  const wants = Array.from({ length: 80 }, () => put());
  for (const want of wants) await store.fetch(want);
  t.notOk(isThere(a));
  t.notOk(store.shelf.has(a), 'who evicts lets go at once');
  t.equal(content(), 100);
  for (const want of wants) shelf.has(want);
  t.equal(content(), undefined, 'its room on the disk is free now');
});

void t.test('held objects stay, in this process and for others', async (t) => {
  const { store, isThere, put, directory } = open(t, 4 * block);
  const [held, other, c, d] = [put(), put(), put(), put()] as const;
  await store.fetch(held);
  store.hold(held);
  store.hold(held);
  await store.fetch(other);
  store.hold(other);
  const second = open(t, 4 * block, directory);
  for (let round = 0; round < 5; round++) {
    await store.fetch(put());
    await second.store.fetch(second.put());
  }
  t.ok(isThere(held) && isThere(other));
  store.release(held);
  for (let round = 0; round < 5; round++) await second.store.fetch(second.put());
  t.ok(isThere(held), 'held twice, released once');
  store.release(held);
  await store.fetch(c);
  await store.fetch(d);
  for (let round = 0; round < 3; round++) await second.store.fetch(second.put());
  t.notOk(isThere(held));
  t.ok(isThere(other));
  await store.close();
  for (let round = 0; round < 5; round++) await second.store.fetch(second.put());
  t.notOk(isThere(other), 'nothing is held by a store that was closed');
});

void t.test(
  'what was held was in use until it was let go, also by a process that died',
  async (t) => {
    const ends: Readonly<
      Record<string, (directory: string, store: Store) => void | Promise<void>>
    > = {
      closed: (_, store) => store.close(),
      died: (directory) => {
        // As the kernel does: its lock is gone.
        for (const name of readdirSync(join(directory, 'tmp')))
          rmSync(join(directory, 'tmp', name));
      },
    };
    const work = t.testdir();
    for (const [name, end] of Object.entries(ends)) {
      const directory = join(work, name);
      const { store, put } = open(t, 100 * block, directory);
      const held = put();
      await store.fetch(held);
      store.hold(held);
      for (let count = 0; count < 20; count++) await store.fetch(put());
      await end(directory, store);
      const smaller = open(t, 5 * block, directory);
      t.ok(smaller.isThere(held), name);
      t.ok(onDisk(directory) <= 5 * block);
      await smaller.store.close();
    }
  },
);

void t.test('a cache full of what is held says so', async (t) => {
  const { store, put } = open(t, 2 * block);
  for (const want of [put(), put()]) {
    store.hold(want);
    await store.fetch(want);
  }
  await t.rejects(store.fetch(put()), { code: 'CACHE_FULL', advice: /--cache-limit/ });
  t.same(store.statistics.failures, { CACHE_FULL: 1 });
});

void t.test('an object larger than the limit is not even downloaded', async (t) => {
  const { store, source } = open(t, 10 * block);
  const want = source.put(randomBytes(11 * block));
  await t.rejects(store.fetch(want), { code: 'CACHE_FULL', advice: /--cache-limit/ });
  t.equal(source.requests.length, 0);
  const unknown: Want = { ...want, size: { kind: 'limit', bytes: 100 * block } };
  await t.rejects(store.fetch(unknown), { code: 'CACHE_FULL' });
  t.equal(store.statistics.bytes, 0);
  await store.fetch(source.put(randomBytes(10 * block)));
});

void t.test('a lower limit holds from opening on', async (t) => {
  const directory = t.testdir();
  const first = open(t, 100 * block, directory);
  for (let number = 0; number < 50; number++) await first.store.fetch(first.put());
  await first.store.close();
  const second = open(t, 10 * block, directory);
  t.ok(onDisk(directory) <= 10 * block);
  t.equal(second.store.statistics.bytes, onDisk(directory));
});

void t.test('no cache takes more than half of the disk that is left', (t) => {
  const { store } = open(t, Number.MAX_SAFE_INTEGER);
  t.ok(store.statistics.limit < 1e15);
  t.ok(store.statistics.limit > 0);
  t.end();
});

void t.test('a cache that is far too small still serves every reader', async (t) => {
  const { store, source } = open(t, 3 * block);
  const plains = Array.from({ length: 40 }, () => randomBytes(3000));
  const wants = plains.map((plain) => source.put(plain));
  for (let round = 0; round < 3; round++) {
    const all = await Promise.all(wants.map((want) => readWhole(store, want)));
    t.same(all, plains);
  }
});

void t.test('whoever may not go just now does not keep others from going', (t) => {
  const directory = t.testdir();
  const disk = new Disk(directory, 8 * block);
  t.teardown(() => disk.close());
  const keyOf = (digit: string): ObjectKey => {
    const key = parseKey(digit.repeat(40));
    if (key === undefined) throw new Error('no key');
    return key;
  };
  const last = keyOf('b');
  const put = (key: ObjectKey) => {
    const temporary = disk.temporary();
    writeFileSync(temporary, key);
    return { key, temporary, size: 10, sha256: Buffer.alloc(32) };
  };
  const keys = Array.from({ length: 8 }, (_, number) => keyOf(String(number)));
  for (const key of keys) t.same(disk.commit([put(key)]), [undefined]);
  // The one that is oldest comes once more, as its file is gone, together with a new one.
  const [oldest = last] = keys;
  rmSync(objectFile(directory, oldest));
  t.same(disk.commit([put(oldest), put(last)]), [undefined, undefined]);
  t.ok(disk.isRecorded(oldest) && disk.isRecorded(last));
  t.ok(disk.bytes <= 8 * block);
  t.end();
});

void t.test('an object that arrives twice counts once', async (t) => {
  const { store, source, directory } = open(t, 100 * block);
  const second = open(t, 100 * block, directory);
  const plain = randomBytes(10_000);
  const want = source.put(plain);
  second.source.put(plain);
  await Promise.all([store.fetch(want), second.store.fetch(want)]);
  t.equal(onDisk(directory), 3 * block);
  await store.fetch(source.put(randomBytes(10)));
  t.equal(store.statistics.bytes, 4 * block);
  const same = wantFor(plain, { kind: 'exact', bytes: plain.length }, { compression: 'none' });
  t.notOk(store.shelf.has(same), 'plain bytes have another name');
});
