import t from 'tap';
import { beginWait, promiseBytes, renewWait, seeBytes, type Wait } from './wait.js';

const limits = { deadline: 10_000, minRate: 1000 };

/** When a wait ends to which so many bytes come each second, from its begin on. */
function ends(wait: Wait, bytesAt: (second: number) => number): number {
  for (let second = 1; second * 1000 <= wait.end; second++) {
    seeBytes(wait, bytesAt(second), second * 1000);
  }
  return wait.end;
}

void t.test('silence ends a wait after its deadline', (t) => {
  t.equal(
    ends(beginWait(limits, 0, 1e9), () => 0),
    10_000,
  );
  const stopsAt = (last: number): number =>
    ends(beginWait(limits, 0, 1e9), (second) => (second <= last ? 1e6 : 0));
  t.equal(stopsAt(1), 11_000, 'counted from the last progress');
  t.equal(stopsAt(100), 110_000);
  t.end();
});

void t.test('a line that keeps the least rate is waited for, a drip is not', (t) => {
  const whole = 1e6;
  const at = (rate: number): number => ends(beginWait(limits, 0, whole), () => rate);
  t.equal(at(1), 10_000);
  t.equal(at(999), 10_000);
  t.equal(at(1000), 10_000 + whole, 'up to the hard end');
  t.equal(at(1e5), 10_000 + whole);
  const inBursts = (second: number): number => (second % 9 === 0 ? 10_000 : 0);
  t.equal(ends(beginWait(limits, 0, whole), inBursts), 10_000 + whole, 'on average');
  t.end();
});

void t.test('the hard end is for what was promised, and for whoever may not wait longer', (t) => {
  const wait = beginWait(limits, 0);
  promiseBytes(wait, 3000);
  promiseBytes(wait, 2000);
  t.equal(
    ends(wait, () => 1e6),
    10_000 + 5000,
  );
  const bounded = beginWait({ ...limits, longest: 12_000 }, 0, 1e9);
  t.equal(
    ends(bounded, () => 1e6),
    12_000,
  );
  renewWait(bounded, 50_000);
  t.equal(bounded.end, 60_000);
  t.end();
});
