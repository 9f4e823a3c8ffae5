import t from 'tap';
import { hashBytes } from '../../format/hash.js';
import type { OpenOptions } from '../open/options.js';
import type { Repository } from '../repository.js';
import type { FetchedListener, Store } from '../../store/store.js';
import { wantKey, type Want } from '../../store/want.js';
import { openArrivals } from './arrivals.js';
import { openPlaces } from './places.js';

function want(number: number, bytes = 100): Want {
  const hash = hashBytes('sha1', Buffer.from(`f${number}`));
  const size = { kind: 'exact' as const, bytes };
  return { object: { hash, kind: 'data' }, compression: 'zlib', size, path: `/f${number}` };
}

interface Scene {
  /** What becomes of what is asked for ahead. */
  readonly ahead: (want: Want, store: { fetched?: FetchedListener | undefined }) => void;
  readonly options?: Partial<OpenOptions>;
  readonly kept?: ReadonlySet<string>;
  readonly limit?: number;
}

function open({ ahead, options = {}, kept = new Set(), limit = 1e9 }: Scene) {
  const [came, lacked]: [string[], string[]] = [[], []];
  let [most, waiting] = [0, 0];
  const store: Pick<Store, 'fetchAhead' | 'keptOf' | 'fetched'> = {
    fetched: undefined,
    keptOf: (keys) => new Set(keys.filter((key) => kept.has(key))),
    fetchAhead(wants) {
      waiting += wants.length;
      most = Math.max(most, waiting);
      setImmediate(() => {
        waiting -= wants.length;
        for (const each of wants) ahead(each, store);
      });
      return undefined;
    },
  };
  const repository = {
    store: { ...store, statistics: { limit } },
    opening: { options },
  };
  // The one that is listened to.
  Object.defineProperty(store, 'fetched', { get: () => repository.store.fetched });
  const places = openPlaces(4);
  const gone = { isOver: false };
  const arrivals = openArrivals<string>(repository as unknown as Repository, places, {
    came: (item) => {
      came.push(item);
      return !item.startsWith('not');
    },
    lacks: (item) => {
      lacked.push(item);
      return Promise.resolve();
    },
    isOver: () => gone.isOver,
  });
  return { arrivals, came, lacked, gone, most: () => most };
}

const comes: Scene['ahead'] = (each, store) => store.fetched?.(wantKey(each), 50);

void t.test('each is taken as it comes, all items of an object at once', async (t) => {
  const { arrivals, came, lacked, most } = open({ ahead: comes });
  for (let number = 0; number < 3000; number++) await arrivals.add(`f${number}`, want(number));
  await arrivals.add('one', want(5000));
  await arrivals.add('other', want(5000));
  await arrivals.end();
  t.equal(came.length, 3002);
  t.equal(new Set(came).size, 3002);
  t.same(lacked, []);
  t.ok(most() <= 960, `${most()} at once`);
});

void t.test('what a small cache could not keep is not asked for so early', async (t) => {
  const { arrivals, came, most } = open({ ahead: comes, limit: 16 * 64 * 1000 });
  for (let number = 0; number < 500; number++) await arrivals.add('f', want(number, 1000));
  await arrivals.end();
  t.equal(came.length, 500);
  t.ok(most() <= 64, `${most()} at once`);
});

void t.test('what failed is asked for as usual, while others come, and at the end', async (t) => {
  const fails = new Set(Array.from({ length: 900 }, (_, number) => `/f${number}`));
  const ahead: Scene['ahead'] = (each, store) => {
    if (!fails.has(each.path)) comes(each, store);
  };
  const { arrivals, came, lacked } = open({ ahead });
  for (let number = 0; number < 4000; number++) await arrivals.add(`f${number}`, want(number));
  t.equal(lacked[0], 'f0', 'its place was needed');
  await arrivals.end();
  t.same(new Set(lacked.map((item) => `/${item}`)), fails);
  t.equal(came.length, 3100);
});

void t.test(
  'what is there though nobody said so is found; what is gone again is lacking',
  async (t) => {
    const kept = new Set([wantKey(want(1))]);
    const ahead: Scene['ahead'] = (each, store) => {
      if (each.path === '/f2') comes(each, store);
    };
    const { arrivals, came, lacked } = open({ ahead, kept });
    await arrivals.add('kept', want(1));
    await arrivals.add('not any more', want(2));
    await arrivals.end();
    t.same(came.sort(), ['kept', 'not any more']);
    t.same(lacked, ['not any more']);
  },
);

void t.test('for what it is of use, and when it is over', async (t) => {
  const { arrivals, came, lacked, gone } = open({ ahead: () => undefined });
  t.equal(arrivals.takes(want(1)), true);
  t.equal(arrivals.takes(want(1, 1e6)), false, 'a large one');
  t.equal(arrivals.takes({ ...want(1), size: { kind: 'limit', bytes: 10 } }), false);
  const offline = open({ ahead: comes, options: { offline: true } });
  t.equal(offline.arrivals.takes(want(1)), false, 'nothing will come');
  await arrivals.add('f', want(1));
  gone.isOver = true;
  await arrivals.end();
  t.same([...came, ...lacked], []);
});
