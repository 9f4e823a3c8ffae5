import t from 'tap';
import { PinfsError, type ErrorCode } from '../format/errors.js';
import { openPatience } from './patience.js';

function openOne() {
  const statistics = { stored: 0 };
  const patience = openPatience({ statistics });
  const fails = (code: ErrorCode): ErrorCode => patience.orEnd(new PinfsError(code, 'x')).code;
  return { statistics, patience, fails };
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
  const { fails, patience } = openOne();
  for (const code of ['CACHE_FULL', 'INTERNAL', 'INTERRUPTED'] as const) {
    t.throws(() => fails(code), { code });
  }
  t.throws(() => patience.orEnd(new TypeError('ours')), TypeError);
  t.end();
});
