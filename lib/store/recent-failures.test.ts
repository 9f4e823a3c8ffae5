import t from 'tap';
import { openRecentFailures } from './recent-failures.js';

t.test('a failure counts for its span, and no longer', (t) => {
  const failures = openRecentFailures<string>();
  failures.remember('a', 'why', 100, 1000);
  t.equal(failures.recall('a', 1000), 'why');
  t.equal(failures.recall('a', 1099), 'why');
  t.equal(failures.recall('a', 1100), undefined);
  t.equal(failures.recall('b', 1000), undefined, 'of another nothing is known');
  t.equal(failures.lastSpan('a'), 100, 'how long it counted is known longer');
  failures.forget('a');
  t.equal(failures.recall('a', 1000), undefined);
  t.equal(failures.lastSpan('a'), undefined);
  t.end();
});

t.test('a clock that was set back lengthens nothing', (t) => {
  const failures = openRecentFailures<string>();
  failures.remember('a', 'why', 100, 1_000_000);
  t.equal(failures.recall('a', 5), undefined);
  t.end();
});

t.test('the last one is what counts, and the number of them is bounded', (t) => {
  const failures = openRecentFailures<number>();
  failures.remember('a', 1, 100, 0);
  failures.remember('a', 2, 10, 50);
  t.equal(failures.recall('a', 59), 2);
  t.equal(failures.recall('a', 60), undefined);
  for (let number = 0; number < 10_000; number++) failures.remember(`n${number}`, number, 100, 100);
  t.equal(failures.recall('n0', 101), undefined, 'the oldest are forgotten');
  t.equal(failures.recall('n9999', 101), 9999);
  t.end();
});
