import t from 'tap';
import {
  counters,
  countError,
  countRequest,
  publishServed,
  raiseFlag,
  readErrors,
  readLatency,
  readServed,
  takeFlag,
} from './statistics.js';

void t.test('percentiles are within a quarter of what was counted', (t) => {
  const counted = counters();
  t.equal(readLatency(counted, 1), undefined);
  for (let value = 1; value <= 1000; value += 1) countRequest(counted, 1, value);
  const latency = readLatency(counted, 1);
  t.equal(latency?.count, 1000);
  for (const [share, exact] of [
    ['p50', 500],
    ['p90', 900],
    ['p99', 990],
    ['max', 1000],
  ] as const) {
    const value = latency?.[share] ?? 0;
    t.ok(value >= exact && value <= exact * 1.25, `${share}: ${value}`);
  }
  t.end();
});

void t.test('the smallest, the largest and impossible times have a place', (t) => {
  const counted = counters();
  for (const value of [0, 0.4, 3.9, -5, 2 ** 31 - 1, 2 ** 40]) countRequest(counted, 63, value);
  t.equal(readLatency(counted, 63)?.count, 6);
  t.equal(readLatency(counted, 62), undefined, 'others are not touched');
  t.end();
});

void t.test('another thread sees the same counters', (t) => {
  const ours = counters();
  const theirs = counters(ours.memory);
  countError(ours, 'OBJECT_MISSING');
  countError(theirs, 'OBJECT_MISSING');
  countError(theirs, 'INTERNAL');
  t.same(readErrors(ours), { OBJECT_MISSING: 2, INTERNAL: 1 });
  t.notOk(takeFlag(ours));
  raiseFlag(theirs);
  t.ok(takeFlag(ours));
  t.notOk(takeFlag(ours), 'taken once');
  t.end();
});

void t.test('what the worker found in cache and tree reaches the main thread', (t) => {
  const counted = counters();
  const tree = { catalogsOpened: 3, catalogsOpen: 2, directoriesLoaded: 5, rowsRefused: 1 };
  raiseFlag(counted);
  const ahead = { asked: 5, askedBytes: 5 * 2 ** 33 + 2 ** 32 - 1, used: 3, usedBytes: 3 };
  publishServed(counted, { catalogHits: 2, hits: 7, tree, ahead });
  t.same(readServed(counters(counted.memory)), { hits: 7, catalogHits: 2, tree, ahead });
  t.ok(takeFlag(counted), 'the flag beside it is untouched');
  t.end();
});
