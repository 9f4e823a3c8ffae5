import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { PinfsError } from '../format/errors.js';
import { objectPath } from '../format/hash.js';
import { memorySource, wantFor, type MemorySource } from '../testing/fakes/memory-source.js';
import { openShelf } from './cache/open-shelf.js';
import { clearCache } from './cache/maintain.js';
import { openStore, type StoreOptions } from './open.js';
import { readWhole } from './run.js';
import type { Store } from './store.js';
import type { Want } from './want.js';

interface Set {
  readonly directory: string;
  readonly source: MemorySource;
  readonly store: Store;
  now: number;
}

function open(t: Test, options: Partial<StoreOptions> = {}): Set {
  const directory = t.testdir();
  const source = memorySource();
  const set = { directory, source, now: 1e12 };
  const store = openStore({ directory, limit: 1e8, source, clock: () => set.now, ...options });
  t.teardown(() => store.close());
  return Object.assign(set, { store });
}

/** A door that opens once; whoever comes before waits. */
function gate(): { readonly wait: () => Promise<void>; open: () => void } {
  let open = (): void => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { wait: () => opened, open: () => open() };
}

/** Lets everything run that is ready to. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
}

const text = Buffer.from('what was published');

void t.test('an object is fetched once and then read from the disk', async (t) => {
  const { store, source } = open(t);
  for (const plain of [text, Buffer.alloc(0), randomBytes(300_000)]) {
    for (const compression of ['zlib', 'none'] as const) {
      const want = source.put(plain, { compression });
      t.notOk(store.shelf.has(want));
      await store.fetch(want);
      await store.fetch(want);
      t.same(await readWhole(store, want), plain);
      const part = Buffer.alloc(20, '.');
      const count = store.shelf.read(want, 5, 10, part, 3) ?? -1;
      t.equal(count, Math.min(10, Math.max(0, plain.length - 5)));
      t.same(part.subarray(3, 3 + count), plain.subarray(5, 15));
      t.equal(part.toString('latin1', 13), '.......');
    }
  }
  t.equal(source.requests.length, 6);
  t.equal(store.statistics.misses, 6);
  t.ok(store.statistics.hits > 0);
  t.equal(store.statistics.stored, 2 * (text.length + 300_000));
});

void t.test('only who reads an object opens it', async (t) => {
  const { store, source } = open(t);
  const openFiles = (): number => readdirSync('/proc/self/fd').length;
  const wants = Array.from({ length: 40 }, (_, index) => source.put(Buffer.from(`${index}`)));
  const before = openFiles();
  for (const want of [...wants, ...wants])
    await store.fetch(want, undefined, { readElsewhere: true });
  t.ok(openFiles() < before + 10, 'read by another thread');
  for (const want of wants) t.same(await readWhole(store, want), await readWhole(store, want));
  t.ok(openFiles() >= before + 40, 'kept open for the next read');
});

void t.test('another thread or process sees an object as soon as fetch has resolved', async (t) => {
  const { store, source, directory } = open(t);
  const shelf = openShelf(directory);
  t.teardown(() => shelf.close());
  const wants = Array.from({ length: 30 }, () => source.put(randomBytes(10)));
  await Promise.all(
    wants.map(async (want) => {
      await store.fetch(want);
      t.ok(shelf.has(want));
    }),
  );
  t.equal(readdirSync(join(directory, 'tmp')).filter((name) => !name.includes('.lock')).length, 0);
});

void t.test('what is gone for another thread is fetched, though it is open here', async (t) => {
  const { store, source, directory } = open(t);
  const want = source.put(text);
  await store.fetch(want);
  t.ok(store.shelf.has(want));
  await clearCache(directory);
  t.ok(store.shelf.has(want));
  const shelf = openShelf(directory);
  t.notOk(shelf.has(want));
  await store.fetch(want);
  t.ok(shelf.has(want));
  shelf.close();
  t.equal(source.requests.length, 2);
});

void t.test('however many wait, there is one request', async (t) => {
  const { store, source } = open(t);
  const { wait, open: arrive } = gate();
  source.before = wait;
  const want = source.put(text);
  const all = Array.from({ length: 64 }, () => store.fetch(want));
  await settle();
  t.equal(source.requests.length, 1);
  arrive();
  await Promise.all(all);
  t.equal(source.requests.length, 1);
});

void t.test('large objects come side by side: they are not in memory on their way', async (t) => {
  const { store, source } = open(t, { limit: 1e9 });
  const { wait, open: arrive } = gate();
  source.before = wait;
  const wants = [1, 2, 3].map((byte) => source.put(Buffer.alloc(60_000_000, byte)));
  const all = wants.map((want) => store.fetch(want));
  await settle();
  t.equal(source.requests.length, 3);
  arrive();
  await Promise.all(all);
  for (const want of wants) t.ok(store.shelf.has(want));
});

void t.test('whoever is interrupted leaves, and the flight ends when all are gone', async (t) => {
  const { store, source } = open(t);
  const { wait, open: arrive } = gate();
  source.before = wait;
  const want = source.put(text);
  const [one, two] = [new AbortController(), new AbortController()];
  const first = store.fetch(want, one.signal);
  const second = store.fetch(want, two.signal);
  await settle();
  one.abort();
  await t.rejects(first, { code: 'INTERRUPTED' });
  t.notOk(source.requests[0]?.request.signal?.aborted);
  arrive();
  await second;

  const other = source.put(Buffer.from('other'));
  const { wait: forever, open: end } = gate();
  source.before = forever;
  const three = new AbortController();
  const third = store.fetch(other, three.signal);
  await settle();
  three.abort();
  await t.rejects(third, { code: 'INTERRUPTED' });
  t.ok(source.requests[1]?.request.signal?.aborted);
  source.before = () => undefined;
  await store.fetch(other);
  t.equal(source.requests.length, 3, 'a new waiter begins a new flight');
  end();
  await t.rejects(store.fetch(source.put(randomBytes(9)), AbortSignal.abort()), {
    code: 'INTERRUPTED',
  });
});

void t.test(
  'a bounded number of requests at once, what is waited for before what is not',
  async (t) => {
    const { store, source } = open(t);
    const { wait, open: arrive } = gate();
    source.before = wait;
    const ahead = Array.from({ length: 40 }, () => source.put(randomBytes(10)));
    const wants = Array.from({ length: 30 }, () => source.put(randomBytes(10)));
    store.fetchAhead(ahead);
    const all = wants.map((want) => store.fetch(want));
    await settle();
    t.equal(source.requests.length, 16 + 16, 'none of them waits for a place of the others');
    arrive();
    await Promise.all(all);
    const order = source.requests.map((request) => request.path);
    const last = Math.max(...wants.map((want) => order.indexOf(objectPath(want.object))));
    t.ok(last < 16 + 30 + 4, 'those that someone waits for came first');
    for (let turn = 0; turn < 100 && source.requests.length < 70; turn++) await settle();
    t.equal(source.requests.length, 70);
  },
);

void t.test('very large objects do not fly together', async (t) => {
  const { store, source } = open(t, { limit: 1e9 });
  const { wait, open: arrive } = gate();
  source.before = wait;
  const stored = [Buffer.from('a'), Buffer.from('b'), Buffer.from('c')];
  const wants = stored.map((each) => wantFor(each, { kind: 'exact', bytes: 200e6 }));
  const all = Promise.allSettled(wants.map((want) => store.fetch(want)));
  await settle();
  t.equal(source.requests.length, 1, 'the room for one is given');
  arrive();
  await all;
  t.equal(source.requests.length, 3);
});

void t.test('read-ahead fetches what is lacking, and nobody hears of its failures', async (t) => {
  const { store, source } = open(t);
  const [here, lacking] = [source.put(text), source.put(randomBytes(10))];
  const missing = wantFor(randomBytes(5), { kind: 'exact', bytes: 5 });
  await store.fetch(here);
  store.fetchAhead([here, lacking, missing, lacking]);
  for (let turn = 0; turn < 100 && !store.shelf.has(lacking); turn++) await settle();
  t.ok(store.shelf.has(lacking));
  t.equal(source.requests.length, 3);
  t.same(store.statistics.failures, { OBJECT_MISSING: 1 });
});

void t.test('a failure is remembered for a second; then the next read tries again', async (t) => {
  const set = open(t);
  const { store, source } = set;
  const want = source.put(text, { path: '/some\nname' });
  const path = objectPath(want.object);
  const good = source.files.get(path) ?? text;
  source.files.set(path, Buffer.from('<html>please log in</html>'));
  await t.rejects(store.fetch(want), { code: 'OBJECT_HASH_MISMATCH' });
  t.same(
    source.requests.map(({ request }) => request.fresh === true),
    [false, true],
    'once more, past caches on the way',
  );
  source.files.set(path, good);
  set.now += 999;
  await t.rejects(store.fetch(want), { code: 'OBJECT_HASH_MISMATCH' });
  t.equal(source.requests.length, 2);
  set.now += 1;
  await store.fetch(want);
  t.ok(store.shelf.has(want));
  t.same(store.statistics.failures, { OBJECT_HASH_MISMATCH: 1 });
  const last = store.statistics.lastFailure;
  t.match(last, { code: 'OBJECT_HASH_MISMATCH', path: '/some\\nname' });
  t.notMatch(last?.message, '\n');
});

void t.test('what is missing is asked for less and less often', async (t) => {
  const set = open(t);
  const { store, source } = set;
  const want = wantFor(text, { kind: 'exact', bytes: 5 });
  for (const delay of [1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]) {
    await t.rejects(store.fetch(want), { code: 'OBJECT_MISSING' });
    const before = source.requests.length;
    set.now += delay - 1;
    await t.rejects(store.fetch(want), { code: 'OBJECT_MISSING' });
    t.equal(source.requests.length, before);
    set.now += 1;
  }
  t.equal(source.requests.length, 7);
  set.now -= 1e9;
  await t.rejects(store.fetch(want), { code: 'OBJECT_MISSING' });
  t.equal(source.requests.length, 8, 'a clock that was set back does not lengthen it');
});

void t.test('damage is mended by asking once more', async (t) => {
  const { store, source } = open(t);
  const want = source.put(text);
  const path = objectPath(want.object);
  const good = source.files.get(path) ?? text;
  for (const bad of [good.subarray(0, 5), Buffer.alloc(1e6, 'long'), Buffer.alloc(0)]) {
    source.files.set(path, bad);
    source.before = (_, { fresh }) => {
      if (fresh === true) source.files.set(path, good);
    };
    await store.fetch(want);
  }
  t.ok(store.shelf.has(want));
});

void t.test('what the publisher damaged is not asked for twice', async (t) => {
  const { store, source } = open(t);
  const want = source.put(text);
  const trailing = Buffer.concat([source.files.get(objectPath(want.object)) ?? text, text]);
  for (const [stored, bytes, code] of [
    [Buffer.from('no zlib'), 5, 'OBJECT_NOT_ZLIB'],
    [trailing, text.length, 'OBJECT_TRAILING_BYTES'],
    [source.files.get(objectPath(want.object)) ?? text, 5, 'OBJECT_SIZE_MISMATCH'],
  ] as const) {
    const bad = wantFor(stored, { kind: 'exact', bytes });
    source.files.set(objectPath(bad.object), stored);
    const before = source.requests.length;
    await t.rejects(store.fetch(bad), { code });
    t.equal(source.requests.length, before + 1);
    t.notOk(store.shelf.has(bad));
  }
});

void t.test('no more is downloaded than was promised', async (t) => {
  const { store, source } = open(t);
  const want = wantFor(text, { kind: 'exact', bytes: 10 }, { compression: 'none' });
  source.files.set(objectPath(want.object), text);
  await t.rejects(store.fetch(want), { code: 'OBJECT_TOO_LARGE' });
  t.equal(source.requests[0]?.limit, 10);
});

void t.test('an object that is here and of another size is not what was promised', async (t) => {
  const { store, source } = open(t);
  const want = source.put(text);
  await store.fetch(want);
  const other: Want = { ...want, size: { kind: 'exact', bytes: text.length + 1 } };
  const small: Want = { ...want, size: { kind: 'limit', bytes: text.length - 1 } };
  for (const bad of [other, small]) {
    t.notOk(store.shelf.has(bad));
    t.equal(store.shelf.read(bad, 0, 1, Buffer.alloc(1), 0), undefined);
  }
  await t.rejects(store.fetch(other), { code: 'OBJECT_SIZE_MISMATCH' });
  await t.rejects(store.fetch(small), { code: 'OBJECT_TOO_LARGE' });
  await store.fetch({ ...want, size: { kind: 'limit', bytes: text.length } });
  t.equal(source.requests.length, 1);
});

void t.test('a wrong promise does not stand in the way of a right one', async (t) => {
  const { store, source } = open(t);
  const want = source.put(text);
  const wrong: Want = { ...want, size: { kind: 'exact', bytes: text.length + 1 } };
  const results = await Promise.allSettled([store.fetch(wrong), store.fetch(want)]);
  t.same(
    results.map((each) => each.status),
    ['rejected', 'fulfilled'],
  );
});

void t.test('offline nothing is asked for', async (t) => {
  const { store, source, directory } = open(t);
  const [here, lacking] = [source.put(text), source.put(randomBytes(10))];
  await store.fetch(here);
  const offline = openStore({ directory, limit: 1e8, source, offline: true });
  await offline.fetch(here);
  await t.rejects(offline.fetch(lacking), { code: 'SOURCE_OFFLINE', advice: /offline/ });
  t.equal(source.requests.length, 1);
  await offline.close();
});

void t.test('external files come from their own source, by range', async (t) => {
  const external = memorySource();
  const { store, source } = open(t, { external });
  const file = randomBytes(1000);
  external.files.set('/a/b', file);
  const range = { offset: 100, length: 50 };
  const bytes = file.subarray(100, 150);
  const want: Want = {
    ...wantFor(bytes, { kind: 'exact', bytes: 50 }, { compression: 'none' }),
    external: { path: '/a/b', range },
  };
  t.same(await readWhole(store, want), bytes);
  t.match(external.requests, [{ path: '/a/b', limit: 50, request: { range } }]);
  t.equal(source.requests.length, 0);
});

void t.test('an external file and no source for it', async (t) => {
  const { store } = open(t);
  const want: Want = {
    ...wantFor(text, { kind: 'exact', bytes: text.length }, { compression: 'none' }),
    external: { path: '/a/b' },
  };
  await t.rejects(store.fetch(want), { code: 'OBJECT_MISSING', advice: /--external/ });
});

void t.test('errors of the source are passed on', async (t) => {
  const { store, source } = open(t);
  for (const code of ['SOURCE_UNREACHABLE', 'SOURCE_TIMEOUT', 'SOURCE_STATUS'] as const) {
    source.before = () => {
      throw new PinfsError(code, 'so it is');
    };
    await t.rejects(store.fetch(source.put(randomBytes(8))), { code });
  }
});

void t.test('an object that can not be unpacked in memory', async (t) => {
  const { store, source } = open(t, { limit: 1e15 });
  const want = wantFor(text, { kind: 'exact', bytes: 2 ** 31 });
  await t.rejects(store.fetch(want), { code: /OBJECT_TOO_LARGE|CACHE_FULL/ });
  t.equal(source.requests.length, 0);
});

void t.test('closing interrupts what flies, and nothing begins behind it', async (t) => {
  const { store, source } = open(t);
  source.before = (_, { signal }) =>
    new Promise((resolve) => signal?.addEventListener('abort', () => resolve()));
  const want = source.put(text);
  const flying = store.fetch(want);
  await settle();
  await Promise.all([t.rejects(flying, { code: 'INTERRUPTED' }), store.close(), store.close()]);
  await t.rejects(store.fetch(want), { code: 'INTERRUPTED' });
});
