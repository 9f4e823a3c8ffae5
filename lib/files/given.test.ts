import { symlinkSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { readGiven } from './given.js';

void t.test('a file that somebody named is read whole, or not at all', (t) => {
  const directory = t.testdir({ small: 'text', empty: '' });
  const at = (name: string): string => join(directory, name);
  t.equal(readGiven(at('small'), 4).toString(), 'text');
  t.throws(() => readGiven(at('small'), 3), { message: 'it is larger than 3 bytes' });
  t.equal(readGiven(at('empty'), 10).length, 0);
  symlinkSync('small', at('link'));
  t.equal(readGiven(at('link'), 100).toString(), 'text');
  t.throws(() => readGiven(directory, 100), { message: 'it is no regular file' });
  execFileSync('mkfifo', [at('fifo')]);
  t.throws(() => readGiven(at('fifo'), 100), { message: 'it is no regular file' });
  t.end();
});

void t.test('a file that says it is empty, as those of /proc do', (t) => {
  const maps = readGiven('/proc/self/maps', 2 ** 22);
  t.ok(maps.length > 4096);
  t.ok(maps.toString().endsWith('\n'));
  t.throws(() => readGiven('/proc/self/maps', 4096), { message: 'it is larger than 4096 bytes' });
  t.end();
});
