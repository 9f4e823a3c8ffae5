import t from 'tap';
import { createRestWatch } from './rest.js';

void t.test('memory is given back once after each time of work', (t) => {
  const rests = createRestWatch(0);
  const seen = [30, 60, 900, 1800, 1810, 1820, 1830, 1990, 2000, 2300, 2310].map((ms) => rests(ms));
  const given = seen.flatMap((is, at) => (is ? [at] : []));
  t.same(given, [4, 10], 'not while it works, not twice, not for the little that a rest costs');
  t.end();
});

void t.test('a process that never worked has nothing to give back', (t) => {
  const rests = createRestWatch(0);
  const seen = Array.from({ length: 9 }, (_, at) => rests(at));
  t.notOk(seen.includes(true));
  t.end();
});
