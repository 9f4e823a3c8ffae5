import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../testing/fakes/stub-mount.js';
import { createMeter, lineForPeople, openLog } from './log.js';

void t.test('a log file has one JSON line for each event, and is for its owner only', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const file = join(path, 'log');
  openLog(file).info('first', { count: 1 });
  openLog(file).error('second\n\u001b[2J');
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  t.equal(lines.length, 2, 'appended, and no line is broken by a message');
  t.match(JSON.parse(lines[0] ?? ''), { msg: 'first', count: 1, level: 30 });
  t.match(JSON.parse(lines[1] ?? ''), { msg: 'second\n\u001b[2J', level: 50 });
  t.notMatch(lines[1] ?? '', /\u001b/);
  t.equal(statSync(file).mode & 0o777, 0o600);
  t.end();
});

void t.test('the last lines are remembered, in a bounded number and length', (t) => {
  const log = openLog('/dev/null');
  t.equal(log.recent?.(), '');
  for (let at = 0; at < 100; at++) log.info(`line ${at}\n\u001b`);
  log.warn('x'.repeat(10_000));
  const lines = (log.recent?.() ?? '').split('\n').slice(0, -1);
  t.equal(lines.length, 32);
  t.match(lines[0], /^\[\d{4}-.*Z\] line 69/);
  t.ok((lines.at(-1) ?? '').length < 400);
  t.notMatch(log.recent?.(), /\u001b/);
  t.end();
});

void t.test('a log that can’t be opened is wrong usage', (t) => {
  t.throws(() => openLog('/nowhere/at/all'), { code: 'USAGE', message: /ENOENT/ });
  t.end();
});

void t.test('a full disk ends nothing', { skip: process.platform !== 'linux' }, (t) => {
  const log = openLog('/dev/full');
  t.doesNotThrow(() => {
    log.info('nobody will read this');
    log.error('nor this');
  });
  t.end();
});

void t.test('a flood is cut and counted', (t) => {
  const meter = createMeter(3);
  const passed = Array.from({ length: 10 }, () => meter(0).pass);
  t.equal(passed.filter(Boolean).length, 3);
  t.same(meter(60_000), { pass: true, dropped: 7 });
  t.same(meter(60_000), { pass: true, dropped: 0 });
  t.end();
});

void t.test('less than the level is left out', (t) => {
  const lines: string[] = [];
  const log = openLog(undefined, 'warn', (line) => lines.push(line));
  log.info('one');
  log.warn('two');
  log.error('three');
  t.same(lines, ['pinfs: warning: two\n', 'pinfs: error: three\n']);
  t.end();
});

void t.test('the journal gets priorities', (t) => {
  const line = (level: number) => lineForPeople(JSON.stringify({ level, msg: 'a\nb' }), true);
  t.same([30, 40, 50].map(line), ['<6>a\\nb\n', '<4>a\\nb\n', '<3>a\\nb\n']);
  t.end();
});
