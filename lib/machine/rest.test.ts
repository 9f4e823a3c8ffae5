import t from 'tap';
import { collectAtRest, createRestWatch } from './rest.js';

void t.test('garbage is collected after each time of work', (t) => {
  const look = createRestWatch(0);
  const seen = [20, 40, 900, 1000, 1810, 1820, 1830, 1990, 2000, 2300, 2310].map((ms) => look(ms));
  const rested = seen.flatMap((chance, at) => (chance === 'resting' ? [at] : []));
  t.same(
    rested,
    [5, 10],
    'not while it works, not at once again, not for the little that a rest costs',
  );
  t.end();
});

void t.test('garbage is collected again when it has rested for long, and no more then', (t) => {
  const look = createRestWatch(0);
  const seen = [900, ...Array.from({ length: 60 }, (_, at) => 901 + at)].map((ms) => look(ms));
  const rested = seen.flatMap((chance, at) => (chance === 'resting' ? [at] : []));
  t.same(rested, [1, 7]);
  t.end();
});

void t.test('memory is given back while there is work, too', (t) => {
  const look = createRestWatch(0);
  const seen = [800, 1600, 2400, 3200, 3210, 4000, 4800].map((ms) => look(ms));
  t.same(seen, [undefined, 'busy', undefined, 'busy', 'resting', undefined, 'busy']);
  t.end();
});

void t.test('a process that never worked has nothing to give back', (t) => {
  const look = createRestWatch(0);
  const seen = Array.from({ length: 9 }, (_, at) => look(at));
  t.strictSame(new Set(seen), new Set([undefined]));
  t.end();
});

void t.test('a thread collects when it rests, not between two requests', (t) => {
  let collected = 0;
  const idle = collectAtRest(() => collected++);
  for (let ms = 0; ms <= 8000; ms += 10) idle(ms, ms / 2);
  t.equal(collected, 0, 'it has nothing to do for a moment, and worked half of the time');
  for (let ms = 8000; ms <= 20_000; ms += 1000) idle(ms, 4000);
  t.equal(collected, 2, 'at once, and when it has rested for long');
  t.end();
});
