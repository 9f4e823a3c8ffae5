import t from 'tap';
import { PinfsError } from '../format/errors.js';
import { memorySource } from '../testing/fakes/memory-source.js';
import { waitOf } from '../testing/waiting.js';
import { alwaysMiss } from './cache/always-miss.js';
import { openStore } from './open.js';
import { failureOf, readWhole, runNow, runOperation } from './run.js';
import type { Shelf } from './shelf.js';
import type { Store } from './store.js';
import { done, type Outcome, type Want } from './want.js';

/** A store of nothing but names. */
function fakeStore(fetch: (want: Want, signal?: AbortSignal) => Promise<void>) {
  const here = new Set<string>();
  const begun: object[] = [];
  const ahead: string[] = [];
  const shelf: Shelf = {
    read: () => undefined,
    path: () => undefined,
    descriptor: () => undefined,
    has: (want) => here.has(want.path),
    beginRun: (operation) => void begun.push(operation),
    close: () => undefined,
  };
  const store: Store = {
    shelf,
    directory: '/nowhere',
    fetch: async (want, signal) => {
      await fetch(want, signal);
      here.add(want.path);
    },
    fetchAhead: (wants) => void ahead.push(...wants.map((want) => want.path)),
    hold: () => undefined,
    release: () => undefined,
    statistics: {
      hits: 0,
      misses: 0,
      catalogHits: 0,
      catalogMisses: 0,
      stored: 0,
      evicted: 0,
      bytes: 0,
      limit: 0,
      rebuilt: 0,
      notStored: undefined,
      failures: {},
      lastFailure: undefined,
    },
    close: () => Promise.resolve(),
  };
  return { store, shelf, here, begun, ahead };
}

const source = memorySource();
const wants = Array.from({ length: 20 }, (_, number) =>
  source.put(Buffer.from(`object ${number}`), { path: `/${number}` }),
);
const [want = source.put(Buffer.from('never'))] = wants;

/** Needs all of some objects, one after the other. */
function needing(shelf: Shelf, needed: readonly Want[]): () => Outcome<number> {
  return () => {
    for (const each of needed) if (!shelf.has(each)) return { kind: 'miss', want: each };
    return done(needed.length);
  };
}

void t.test('a hit is one run, without a promise', (t) => {
  const { store } = fakeStore(() => Promise.reject(new Error('never')));
  t.same(
    runNow(() => done(7), store.shelf),
    done(7),
  );
  t.end();
});

void t.test('what is missing is fetched, and the same operation runs again', async (t) => {
  const fetched: string[] = [];
  const { store, shelf, begun } = fakeStore((each) => {
    fetched.push(each.path);
    return Promise.resolve();
  });
  const operation = needing(shelf, wants);
  t.same(await runOperation(operation, store), done(20));
  t.same(
    fetched,
    wants.map((each) => each.path),
  );
  t.equal(begun.filter((each) => each === operation).length, 21);
});

void t.test('a first outcome that is known is not made again', async (t) => {
  const { store, shelf, begun } = fakeStore(() => Promise.resolve());
  const operation = needing(shelf, [want]);
  const first = runNow(operation, shelf);
  t.same(await runOperation(operation, store, {}, first), done(1));
  t.equal(begun.filter((each) => each === operation).length, 2);
  t.same(await runOperation(operation, store, {}, done(5)), done(5));
});

void t.test('what will be needed next is handed on', async (t) => {
  const { store, shelf, ahead } = fakeStore(() => Promise.resolve());
  const result = await runOperation(
    () => (shelf.has(want) ? done('x') : { kind: 'miss', want, ahead: wants.slice(1, 3) }),
    store,
  );
  t.same(result, done('x'));
  t.same(ahead, ['/1', '/2']);
});

void t.test('errors become errnos', async (t) => {
  for (const [code, errno] of [
    ['OBJECT_MISSING', 5],
    ['SOURCE_OFFLINE', 5],
    ['CACHE_FULL', 28],
    ['INTERRUPTED', 4],
    ['ACCESS_DENIED', 13],
  ] as const) {
    const error = new PinfsError(code, 'so it is');
    const { store, shelf } = fakeStore(() => Promise.reject(error));
    const failure = await runOperation(needing(shelf, [want]), store);
    t.same(failure, { kind: 'failure', errno, error });
    t.same(failureOf(error), failure);
  }
});

void t.test('failures of the operation itself are passed on', async (t) => {
  const { store } = fakeStore(() => Promise.resolve());
  t.same(await runOperation(() => ({ kind: 'failure', errno: 2 }), store), {
    kind: 'failure',
    errno: 2,
  });
});

void t.test('an operation that throws is EIO with INTERNAL', async (t) => {
  const { store, shelf } = fakeStore(() => Promise.resolve());
  const bad = (): Outcome<number> => {
    throw new RangeError('a fault of ours');
  };
  t.match(runNow(bad, shelf), { kind: 'failure', errno: 5, error: { code: 'INTERNAL' } });
  t.match(await runOperation(bad, store), { errno: 5, error: { code: 'INTERNAL' } });
});

void t.test(
  'an object that never comes to the shelf ends, and so does an endless operation',
  async (t) => {
    let fetches = 0;
    const { store } = fakeStore(() => {
      fetches++;
      return Promise.resolve();
    });
    const same = await runOperation(() => ({ kind: 'miss', want }), store);
    t.match(same, { kind: 'failure', errno: 5, error: { code: 'INTERNAL' } });
    t.equal(fetches, 16);

    let number = 0;
    const endless = (): Outcome<number> => ({
      kind: 'miss',
      want: source.put(Buffer.from(`endless ${number++}`)),
    });
    const many = await runOperation(endless, store, { maxRuns: 50 });
    t.match(many, { kind: 'failure', errno: 5, error: { code: 'INTERNAL', message: /50 runs/ } });
    t.equal(number, 50);
  },
);

void t.test('silence for a deadline ends the waiting, and the flight goes on', async (t) => {
  let arrive = (): void => undefined;
  const source = memorySource();
  source.before = () => new Promise((resolve) => (arrive = resolve));
  const slow = source.put(Buffer.from('late'));
  const store = openStore({ directory: t.testdir(), limit: 1e6, source });
  t.teardown(() => store.close());
  const operation = needing(store.shelf, [slow]);
  const late = await runOperation(operation, store, { wait: waitOf(20) });
  t.match(late, { kind: 'failure', errno: 110, error: { code: 'SOURCE_TIMEOUT' } });
  arrive();
  t.same(await runOperation(operation, store, { wait: waitOf(10_000) }), done(1));
  t.equal(source.requests.length, 1, 'it brought what is asked for next');
});

void t.test('a signal interrupts, before and while something is fetched', async (t) => {
  const early = fakeStore(() => Promise.resolve());
  const operation = needing(early.shelf, [want]);
  const before = await runOperation(operation, early.store, { signal: AbortSignal.abort() });
  t.match(before, { kind: 'failure', errno: 4, error: { code: 'INTERRUPTED' } });

  const controller = new AbortController();
  const source = memorySource();
  const wanted = source.put(Buffer.from('late'));
  source.before = () => controller.abort();
  const store = openStore({ directory: t.testdir(), limit: 1e6, source });
  await t.rejects(readWhole(store, wanted, { signal: controller.signal }), { code: 'INTERRUPTED' });
  await store.close();
});

void t.test('whole objects', async (t) => {
  const source = memorySource();
  const plain = Buffer.from('all of it');
  const wanted = source.put(plain);
  const empty = source.put(Buffer.alloc(0));
  const store = openStore({ directory: t.testdir(), limit: 1e6, source });
  t.same(await readWhole(store, wanted), plain);
  t.equal((await readWhole(store, empty)).length, 0);
  await t.rejects(readWhole(store, { ...wanted, size: { kind: 'exact', bytes: 3 } }), {
    code: 'OBJECT_SIZE_MISMATCH',
  });
  await store.close();
});

void t.test('the shelf that always misses denies each object once in an operation', (t) => {
  const { shelf, here } = fakeStore(() => Promise.resolve());
  for (const each of wants) here.add(each.path);
  const [first = want, second = want] = wants;
  const slow = alwaysMiss(shelf);
  const operation = {};
  t.ok(slow.has(first), 'outside of an operation nothing is denied');
  slow.beginRun(operation);
  t.notOk(slow.has(first));
  t.ok(slow.has(first));
  slow.beginRun(operation);
  t.ok(slow.has(first), 'a second run of the same operation');
  t.notOk(slow.has(second));
  slow.beginRun({});
  t.notOk(slow.has(first), 'another operation');
  t.equal(slow.path(second), undefined);
  t.equal(slow.descriptor(second), undefined);
  t.end();
});

void t.test('operations are done on a shelf that always misses', async (t) => {
  let fetches = 0;
  const { store, shelf } = fakeStore(() => {
    fetches++;
    return Promise.resolve();
  });
  const slow = { ...store, shelf: alwaysMiss(shelf) };
  t.same(await runOperation(needing(slow.shelf, wants), slow), done(20));
  t.equal(fetches, 20);
  t.same(await runOperation(needing(slow.shelf, wants), slow), done(20));
  t.equal(fetches, 40);
});
