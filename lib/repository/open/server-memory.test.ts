import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openServerMemory } from './server-memory.js';

const day = 86_400_000;

void t.test('what was measured and told is there for the next mount, for a while', (t) => {
  const state = join(t.testdir(), 'state');
  let now = 1e12;
  const open = () => openServerMemory(state, () => now);
  const memory = open();
  t.equal(memory.time('http://a/x'), undefined);
  memory.noteTime('http://a/x', 12);
  memory.noteGeoAnswer('question', '2,1');
  memory.flush();
  const next = open();
  t.equal(next.time('http://a/x'), 12);
  t.equal(next.geoAnswer('question'), '2,1');
  t.equal(next.uuid, memory.uuid);
  t.match(next.uuid, /^[0-9a-f-]{36}$/);
  now += 2 * 3_600_000;
  t.equal(next.geoAnswer('question'), undefined, 'answers are of use for an hour');
  t.equal(next.time('http://a/x'), 12);
  now += 31 * day;
  t.equal(next.time('http://a/x'), undefined);
  now -= 60 * day;
  t.equal(next.time('http://a/x'), undefined, 'a clock that was set back');
  t.end();
});

void t.test('two mounts write, and neither loses what the other knows', (t) => {
  const state = t.testdir();
  const [one, other] = [openServerMemory(state, () => 5), openServerMemory(state, () => 6)];
  t.equal(one.time('a') ?? other.time('a'), undefined);
  one.noteTime('a', 1);
  other.noteTime('b', 2);
  one.flush();
  other.flush();
  const next = openServerMemory(state, () => 7);
  t.same([next.time('a'), next.time('b')], [1, 2]);
  for (let i = 0; i < 100; i++) next.noteTime(`more ${i}`, i);
  next.flush();
  const { times } = JSON.parse(readFileSync(join(state, 'servers.json'), 'utf8')) as {
    times: unknown[];
  };
  t.equal(times.length, 64, 'no more than there is room for');
  t.end();
});

void t.test('what is damaged is forgotten, what a later version wrote is left', (t) => {
  const state = t.testdir();
  const path = join(state, 'servers.json');
  const time = { server: 'a', milliseconds: 1, at: 1 };
  const whole = { format: 1, uuid: '0'.repeat(36), times: [time], answers: [] };
  const write = (text: string): void => writeFileSync(path, text, { mode: 0o600 });
  write(JSON.stringify(whole));
  t.equal(openServerMemory(state, () => 2).time('a'), 1);
  const damaged = [
    '',
    '{',
    '[]',
    JSON.stringify({ ...whole, uuid: '../..' }),
    JSON.stringify({ ...whole, times: [{ ...time, milliseconds: -1 }] }),
    JSON.stringify({ ...whole, times: Array.from({ length: 65 }, () => time) }),
  ];
  for (const text of damaged) {
    write(text);
    const memory = openServerMemory(state, () => 2);
    t.equal(memory.time('a'), undefined, text.slice(0, 60));
    memory.noteTime('b', 3);
    memory.flush();
    t.equal(openServerMemory(state, () => 4).time('b'), 3);
  }
  const later = JSON.stringify({ ...whole, format: 9 });
  write(later);
  const memory = openServerMemory(state, () => 2);
  memory.noteTime('b', 3);
  memory.flush();
  t.equal(readFileSync(path, 'utf8'), later);
  const nowhere = join(t.testdir({ file: '' }), 'file');
  openServerMemory(nowhere, () => 2).noteTime('b', 3);
  mkdirSync(join(t.testdir(), 'x'));
  const none = openServerMemory(nowhere, () => 2);
  none.noteTime('b', 3);
  none.flush();
  t.equal(none.time('b'), 3, 'what can not be written is known as long as it lasts');
  t.end();
});
