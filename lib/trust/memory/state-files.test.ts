import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  listState,
  makeStateDirectory,
  readState,
  removeState,
  sweepState,
  writeState,
} from './state-files.js';

void t.test(
  'what is no file of ours in the place of state is said, and nobody waits for it',
  (t) => {
    const directory = join(t.testdir(), 'state');
    makeStateDirectory(directory);
    const file = join(directory, 'fact');
    const elsewhere = join(directory, 'elsewhere');
    writeFileSync(elsewhere, 'a fact that another file holds');
    const kinds: Readonly<Record<string, () => void>> = {
      fifo: () => execFileSync('mkfifo', [file]),
      link: () => symlinkSync(elsewhere, file),
      directory: () => mkdirSync(file),
    };
    for (const [name, make] of Object.entries(kinds)) {
      make();
      t.throws(() => readState(file), { code: 'STATE_UNUSABLE' }, name);
      rmSync(file, { recursive: true });
    }
    t.end();
  },
);

void t.test('state that others could write, or replace, counts for nothing', (t) => {
  const parent = t.testdir();
  const directory = join(parent, 'state');
  makeStateDirectory(directory);
  t.ok(writeState(join(directory, 'fact'), 'so it is', { replace: false }));
  const refused = { code: 'STATE_UNUSABLE', message: /others (?:may write|could replace)/ };
  for (const [path, mode] of [
    [directory, 0o777],
    [parent, 0o777],
  ] as const) {
    chmodSync(path, mode);
    t.throws(() => listState(directory), refused);
    t.throws(() => readState(join(directory, 'fact')), refused);
    t.throws(() => writeState(join(directory, 'new'), '', { replace: true }), refused);
    t.throws(() => makeStateDirectory(join(directory, 'deeper')), { code: 'STATE_UNUSABLE' });
    chmodSync(path, 0o755);
  }
  t.same(readdirSync(directory), ['fact']);
  t.same(listState(directory), ['fact']);
  chmodSync(parent, 0o1777);
  t.equal(readState(join(directory, 'fact'))?.toString(), 'so it is', 'a sticky one is fine');
  t.end();
});

void t.test('what was there, and is gone', (t) => {
  const directory = join(t.testdir(), 'state');
  t.same(listState(directory), []);
  t.equal(readState(join(directory, 'fact')), undefined);
  t.throws(() => writeState(join(directory, 'fact'), '', { replace: true }), {
    code: 'STATE_UNUSABLE',
  });
  makeStateDirectory(directory);
  t.ok(writeState(join(directory, 'fact'), 'one', { replace: false }));
  t.notOk(writeState(join(directory, 'fact'), 'two', { replace: false }));
  t.equal(readState(join(directory, 'fact'))?.toString(), 'one');
  t.ok(writeState(join(directory, 'fact'), 'three', { replace: true }));
  t.equal(readState(join(directory, 'fact'))?.toString(), 'three');
  sweepState(directory, ['fact', 'none']);
  t.same(readdirSync(directory), [], 'no drafts either');
  renameSync(directory, `${directory}.old`);
  t.notOk(removeState(directory));
  t.ok(removeState(`${directory}.old`));
  t.notOk(existsSync(`${directory}.old`));
  t.end();
});
