import t from 'tap';
import { openLineRate } from './rate.js';

void t.test('the rate of a line is that of what comes, not of silence', (t) => {
  const rate = openLineRate();
  t.equal(rate.bytesPerMs, 0);
  for (let now = 1000; now <= 1500; now += 10) rate.came(5000, now);
  t.ok(rate.bytesPerMs > 400 && rate.bytesPerMs < 700, `${rate.bytesPerMs} bytes/ms`);
  const before = rate.bytesPerMs;
  rate.came(10, 100_000);
  t.equal(rate.bytesPerMs, before, 'after a pause');
  for (let now = 100_010; now <= 100_800; now += 10) rate.came(10, now);
  t.ok(rate.bytesPerMs < 20, `${rate.bytesPerMs} bytes/ms where it became slow`);
  t.end();
});
