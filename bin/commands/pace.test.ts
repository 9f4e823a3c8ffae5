import t from 'tap';
import { openPace } from './pace.js';

t.test('the rate is that of the last seconds, and the rest follows from it', (t) => {
  let now = 0;
  const pace = openPace(100 * 2 ** 20, () => now);
  t.equal(pace.text(), '', 'nobody knows');
  t.notOk(pace.add(50 * 2 ** 20), 'too early to show it');
  now = 1000;
  t.ok(pace.add(50 * 2 ** 20));
  t.equal(pace.text(), '0:01 left, 50.0 MiB/s, ');
  for (now = 2000; now <= 20_000; now += 1000) pace.add((50 + (now - 1000) / 1000) * 2 ** 20);
  t.equal(pace.text(), '0:31 left, 1.0 MiB/s, ', 'what was here at the begin is forgotten');
  t.end();
});

t.test('hours are told as such', (t) => {
  let now = 0;
  const pace = openPace(2 ** 40, () => now);
  now = 1000;
  pace.add(2 ** 20 * 80);
  t.match(pace.text(), /^3:38:2\d left, 80\.0 MiB\/s, $/);
  t.end();
});
