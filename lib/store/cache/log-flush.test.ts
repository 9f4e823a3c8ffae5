import { fstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { openLogFlush } from './log-flush.js';

void t.test('the log is written to the disk now and then, once at a time', (t) => {
  const directory = t.testdir({ 'index.db-wal': 'log' });
  const under: { readonly fd: number; readonly done: () => void }[] = [];
  const flush = openLogFlush(
    () => directory,
    (fd, done) => under.push({ fd, done }),
  );
  flush.recorded(1);
  t.equal(under.length, 0, 'not for each transaction');
  flush.recorded(5000);
  const [first] = under.splice(0);
  t.equal(fstatSync(first?.fd ?? -1).size, 3);
  flush.recorded(5000);
  t.equal(under.length, 0, 'the one before is still under way');
  first?.done();
  t.throws(() => fstatSync(first?.fd ?? -1), { code: 'EBADF' }, 'closed');
  flush.recorded(1);
  t.equal(under.length, 1);
  under[0]?.done();
  flush.recorded(1);
  t.equal(under.length, 1, 'what follows counts anew');
  t.end();
});

void t.test('a log that is gone, or something else, is nothing to it', (t) => {
  const directory = t.testdir();
  const flush = openLogFlush(
    () => directory,
    () => t.fail('there is no log'),
  );
  flush.recorded(5000);
  mkdirSync(join(directory, 'index.db-wal'));
  flush.recorded(5000);
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'a file');
  flush.recorded(5000);
  rmSync(directory);
  t.end();
});
