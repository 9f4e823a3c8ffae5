import t from 'tap';
import type { Dispatcher } from 'undici';
import { watchNetwork } from './kept-connections.js';
import { openNetwork } from './network.js';
import { settingsOf } from './settings.js';

void t.test('suspend and other addresses are seen once each', (t) => {
  const machine = { day: 1e12, awake: 0, addresses: '192.0.2.1' };
  const hasChanged = watchNetwork({
    day: () => machine.day,
    awake: () => machine.awake,
    addresses: () => machine.addresses,
  });
  const pass = (awakeMs: number, dayMs = awakeMs): boolean => {
    machine.awake += awakeMs;
    machine.day += dayMs;
    return hasChanged();
  };
  t.equal(pass(10_000), false);
  t.equal(pass(2_000, 3_600_000), true, 'an hour of sleep');
  t.equal(pass(2_000), false);
  machine.addresses = '198.51.100.7';
  t.equal(pass(100), false, 'it is not looked at for each request');
  t.equal(pass(2_000), true, 'another network');
  t.equal(pass(2_000), false);
  t.equal(pass(2_000, -3_600_000), false, 'a clock that was set back');
  t.end();
});

void t.test('connections that were kept are dropped then, and what is under way ends', (t) => {
  let isOther = false;
  const traffic = { requests: 0, bytes: 0, failures: 0 };
  const url = 'http://127.0.0.1:1/made.example.org';
  const network = openNetwork(url, settingsOf({}), {}, traffic, () => isOther);
  t.teardown(() => network.close());
  const dispatcher = (): Dispatcher => network.dispatcher({ kind: 'direct' }, 'http://127.0.0.1:1');
  const first = dispatcher();
  t.equal(dispatcher(), first);
  isOther = true;
  const second = dispatcher();
  t.not(second, first);
  t.match(first, { closed: true, destroyed: false });
  t.end();
});
