import t from 'tap';
import { openWasteBound } from './waste-bound.js';

const kib = 1024;

void t.test('without anything read there is a small allowance, and it is used up', (t) => {
  const bound = openWasteBound();
  t.equal(bound.room(true), 256 * kib);
  t.equal(bound.room(false), 256 * kib);
  bound.asked(200 * kib);
  t.equal(bound.room(true), 56 * kib);
  bound.asked(56 * kib);
  t.equal(bound.room(true), 0);
  t.end();
});

void t.test('who reads only what was not asked for wastes less than a tenth of it', (t) => {
  const bound = openWasteBound();
  let [read, asked] = [0, 0];
  for (let files = 0; files < 20_000; files++) {
    bound.read(9 * kib);
    read += 9 * kib;
    while (bound.room(true) >= kib) {
      bound.asked(kib);
      asked += kib;
    }
    if (asked > Math.max(256 * kib, 0.08 * read))
      t.fail(`${asked} asked for ${read} that were read`);
  }
  t.ok(asked > 0.07 * read, 'and this share is used');
  t.end();
});

void t.test('what is used earns room for what is likely, at most 768 KiB', (t) => {
  const bound = openWasteBound();
  bound.asked(10 * kib);
  bound.used(10 * kib);
  t.ok(bound.room(true) > (256 + 150) * kib && bound.room(true) <= (256 + 160) * kib);
  t.equal(bound.room(false), 256 * kib);
  for (let files = 0; files < 20; files++) bound.used(10 * kib);
  t.ok(bound.room(true) > (256 + 720) * kib && bound.room(true) <= (256 + 768) * kib);
  t.end();
});

void t.test('where much was read, what was earned counts no more', (t) => {
  const bound = openWasteBound();
  const earn = (): void => {
    bound.asked(100 * kib);
    bound.used(100 * kib);
  };
  earn();
  const first = bound.room(true);
  for (let files = 0; files < 32; files++) bound.read(128 * kib);
  earn();
  const later = bound.room(true);
  t.ok(later < first - 300 * kib && later > 600 * kib, `${first} and ${later}`);
  for (let files = 0; files < 48; files++) bound.read(128 * kib);
  earn();
  t.equal(bound.room(true), bound.room(false), 'but the share of it does');
  t.ok(bound.room(true) > 700 * kib);
  t.end();
});

void t.test('what was earned goes when what was asked for is not used', (t) => {
  const earned = () => {
    const bound = openWasteBound();
    bound.used(20 * kib);
    return bound;
  };
  const before = earned().room(true);
  const doubted = earned();
  doubted.doubted(10 * kib);
  const lost = before - doubted.room(true);
  t.ok(lost > 150 * kib && lost <= 160 * kib, 'at once, by what waits for too long');
  doubted.doubted(100 * kib);
  t.equal(doubted.room(true), 256 * kib, 'but not more than that');
  const others = earned();
  for (let files = 0; files < 200; files++) others.read(0);
  t.ok(others.room(true) < 256 * kib + 0.05 * (before - 256 * kib), 'by reads of others');
  t.end();
});

void t.test('what was read long ago allows no waste now', (t) => {
  const bound = openWasteBound();
  for (let files = 0; files < 100_000; files++) bound.read(128 * kib);
  const room = bound.room(false);
  t.ok(room <= 0.08 * 16 * 1024 * kib, `${room} bytes`);
  t.end();
});
