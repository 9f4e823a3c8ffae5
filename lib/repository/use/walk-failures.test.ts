import t from 'tap';
import { fromText } from '../../format/bytes.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { hashBytes } from '../../format/hash.js';
import { done, type Outcome, type Want } from '../../store/want.js';
import type { Store } from '../../store/store.js';
import { openWalkFailures, openRun } from './walk-failures.js';

function openOne() {
  const statistics = { stored: 0 };
  const failures = openWalkFailures({ statistics });
  const fails = (code: ErrorCode): ErrorCode => failures.orEnd(new PinfsError(code, 'x')).code;
  return { statistics, failures, fails };
}

void t.test('a source that fails again and again is left, unless it gave something', (t) => {
  const { statistics, fails } = openOne();
  for (let round = 0; round < 3; round++) {
    t.equal(fails('SOURCE_TIMEOUT'), 'SOURCE_TIMEOUT');
    t.equal(fails('SOURCE_UNREACHABLE'), 'SOURCE_UNREACHABLE');
    statistics.stored += 100;
  }
  t.equal(fails('SOURCE_STATUS'), 'SOURCE_STATUS');
  t.equal(fails('SOURCE_STATUS'), 'SOURCE_STATUS');
  t.throws(() => fails('SOURCE_STATUS'), { code: 'SOURCE_STATUS', advice: /3 times in a row/ });
  t.end();
});

void t.test('what is damaged, or not here with no network, ends nothing', (t) => {
  const { fails } = openOne();
  for (let count = 0; count < 10; count++) {
    t.equal(fails('OBJECT_MISSING'), 'OBJECT_MISSING');
    t.equal(fails('CATALOG_NOT_SQLITE'), 'CATALOG_NOT_SQLITE');
    t.equal(fails('SOURCE_OFFLINE'), 'SOURCE_OFFLINE');
  }
  t.end();
});

void t.test('faults of this machine, and of ours, end it', (t) => {
  const { fails, failures } = openOne();
  for (const code of ['CACHE_FULL', 'INTERNAL', 'INTERRUPTED'] as const) {
    t.throws(() => fails(code), { code });
  }
  t.throws(() => failures.orEnd(new TypeError('ours')), TypeError);
  t.end();
});

void t.test(
  'whoever reads with no mount waits a whole deadline for a source that is gone once',
  async (t) => {
    const statistics = { stored: 0 };
    const asked: boolean[] = [];
    let isGone = true;
    let isHere = false;
    const fetch: Store['fetch'] = (_want, _signal, how) => {
      asked.push(how?.brief !== true);
      if (isGone) throw new PinfsError('SOURCE_UNREACHABLE', 'x', { passing: true });
      isHere = true;
      statistics.stored += 1;
      return Promise.resolve();
    };
    const shelf = { beginRun: () => undefined };
    const run = openRun(
      { statistics, fetch, shelf } as unknown as Store,
      new AbortController().signal,
    );
    const want: Want = {
      object: { hash: hashBytes('sha1', Buffer.from('x')), kind: 'data' },
      compression: 'zlib',
      size: { kind: 'exact', bytes: 1 },
      path: fromText('/x'),
    };
    const read = (): Promise<Outcome<string>> => {
      isHere = false;
      return run((): Outcome<string> => (isHere ? done('x') : { kind: 'miss', want }));
    };
    for (let count = 0; count < 3; count++) t.equal((await read()).kind, 'failure');
    t.same(asked, [true, false, false]);
    isGone = false;
    t.equal((await read()).kind, 'done');
    isGone = true;
    t.equal((await read()).kind, 'failure');
    t.same(asked.slice(3), [false, true], 'it gave something');
  },
);
