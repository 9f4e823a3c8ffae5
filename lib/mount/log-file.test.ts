import { existsSync, readFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { temporaryDirectory } from '../testing/fakes/stub-mount.js';
import { openLogFile } from './log-file.js';

void t.test('a log stays within its bound, and its last lines are there', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const file = join(path, 'log');
  const log = openLogFile(file, 1000);
  const other = openLogFile(file, 1000);
  for (let at = 0; at < 200; at += 1) (at % 3 === 0 ? other : log).write(`line ${at}\n`.padEnd(30));
  t.ok(statSync(file).size <= 1000);
  t.ok(statSync(`${file}.1`).size <= 1000);
  t.notOk(existsSync(`${file}.2`));
  t.match(readFileSync(file, 'utf8'), /line 199\s*$/);
  t.end();
});

void t.test('a log that was put aside by another hand is begun anew when asked to', (t) => {
  const { path, remove } = temporaryDirectory();
  t.teardown(remove);
  const file = join(path, 'log');
  const log = openLogFile(file);
  log.write('one\n');
  renameSync(file, `${file}.old`);
  log.write('two\n');
  log.reopen();
  log.write('three\n');
  t.equal(readFileSync(`${file}.old`, 'utf8'), 'one\ntwo\n');
  t.equal(readFileSync(file, 'utf8'), 'three\n');
  t.end();
});
