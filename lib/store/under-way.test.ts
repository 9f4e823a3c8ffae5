import t from 'tap';
import { openUnderWay } from './under-way.js';

t.test('the late end of what was given up does not touch what followed it', (t) => {
  const flights = openUnderWay<{ readonly name: string }>();
  const [first, second] = [{ name: 'first' }, { name: 'second' }];
  flights.begin('a', first);
  t.equal(flights.get('a'), first);
  t.ok(flights.isCurrent('a', first));
  flights.end('a', first);
  t.equal(flights.get('a'), undefined);
  flights.begin('a', second);
  t.notOk(flights.isCurrent('a', first));
  flights.end('a', first);
  t.equal(flights.get('a'), second);
  t.same(flights.all(), [second]);
  t.end();
});

t.test('what is ended while all are gone through is gone through all the same', (t) => {
  const flights = openUnderWay<number>();
  for (const number of [1, 2, 3]) flights.begin(String(number), number);
  const seen: number[] = [];
  for (const number of flights.all()) {
    seen.push(number);
    flights.end('2', 2);
    flights.end('3', 3);
  }
  t.same(seen, [1, 2, 3]);
  t.same(flights.all(), [1]);
  t.same(flights.endAll(), [1]);
  t.same(flights.all(), []);
  t.end();
});
