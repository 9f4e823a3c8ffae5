import t from 'tap';
import { openSpin } from './spin.js';

/** Requests that come so long (ms) after the last one was answered; whether the device was looked at again for each. */
function looks(...gaps: readonly number[]): boolean[] {
  const spin = openSpin();
  let now = 0;
  return gaps.map((gap) => {
    const again = spin.again(now, false);
    spin.came((now += gap));
    return again;
  });
}

void t.test('looks again at once only while requests follow each other closely', (t) => {
  t.same(looks(0.05, 0.05, 0.05, 0.05, 0.05, 0.05), [false, false, false, false, true, true]);
  t.same(looks(5, 5, 5, 5, 5, 5), [false, false, false, false, false, false]);
  t.same(
    looks(0.05, 0.05, 0.05, 0.05, 5, 0.05, 0.05),
    [false, false, false, false, true, false, false],
    'one that lets itself be waited for ends it',
  );
  t.same(
    looks(0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1),
    [false, false, false, false, true, false, false, true],
    'those that come just too late are seldom looked for',
  );
  t.end();
});

void t.test('looks for a short while, then sleeps', (t) => {
  const spin = openSpin();
  for (let at = 0; at < 10; at++) {
    spin.again(at / 100, false);
    spin.came((at + 1) / 100);
  }
  t.ok(spin.again(1, false));
  t.ok(spin.again(1.05, false));
  t.notOk(spin.again(1.07, false));
  t.notOk(spin.again(9, false));
  t.end();
});

void t.test('what is due is waited for, but not for long', (t) => {
  const spin = openSpin();
  t.ok(spin.again(1, true));
  t.ok(spin.again(1.19, true));
  t.notOk(spin.again(1.21, true));
  t.end();
});
