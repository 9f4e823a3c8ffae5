import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { directory, file, makeRepository } from '../lib/publish/write-repository.js';
import type { CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// What people ask about revisions: which there are, and what is between two of them.

const made = makeRepository({
  revisions: [
    { tree: { a: file('one'), b: file('b', { mtime: 1 }) }, tags: { v1: 'the first\none' } },
    { tree: { a: file('other'), b: file('b', { mtime: 2 }), new: directory({ 'c\n': file('') }) } },
    { tree: { a: file('other'), b: file('b', { mtime: 2 }) }, tags: { v3: '' } },
  ],
});

interface Scene {
  readonly url: string;
  readonly run: (...args: string[]) => Promise<CliResult>;
}

function scene(t: Test): Scene {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-revisions-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  const env = { HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  const url = made.writeTo(join(work, 'source'));
  const more = ['--key', join(work, 'key.pub')];
  return { url, run: (...args) => pinfsInProcess([...args, ...more], env) };
}

void t.test('pinfs diff', async (t) => {
  const { url, run } = scene(t);
  const { stdout, code } = await run('diff', `${url}@v1`, '@HEAD~1');
  t.equal(code, 0);
  t.equal(
    stdout,
    [
      'M            3            5  /a',
      'A            -            -  /new/',
      'A            -            0  /new/c\\n',
      '',
    ].join('\n'),
  );
  const all = await run('diff', '--times', `${url}@v1`, `${url}@v3`, '/b');
  t.equal(all.stdout, 'M            1            1  /b  [time]\n');
  const stat = await run('diff', '--stat', `${url}@v1`, '@HEAD~1');
  t.equal(stat.stdout, '2 added (+0 B), 0 removed (+0 B), 1 changed (+2 B)\n');
  t.match(await run('diff', `${url}@v1`, '@v3', '/nowhere'), { code: 1, stderr: /NOT_FOUND/ });

  const json = await run('diff', '--json', `${url}@v1`, '@HEAD~1');
  const lines = json.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown);
  t.match(lines, [
    { change: 'changed', path: '/a', differences: ['content'], before: { size: 3 } },
    { change: 'added', path: '/new', before: null, after: { type: 'directory' } },
    { change: 'added', path: '/new/c\n' },
    { totals: { added: { count: 2, bytes: 0 }, changed: { count: 1, bytes: 2 } } },
  ]);
});

void t.test('pinfs log', async (t) => {
  const { url, run } = scene(t);
  const { stdout, code } = await run('log', url);
  t.equal(code, 0);
  const [third, second, first] = [...made.revisions].reverse().map(({ rootHash }) => rootHash.text);
  t.equal(
    stdout,
    [
      `       3  2020-01-03T00:00:00Z  ${third?.slice(0, 12)}  ${'trunk, v3'.padEnd(28)}  current HEAD`,
      `       2  2020-01-02T00:00:00Z  ${second?.slice(0, 12)}  ${'trunk-previous'.padEnd(28)}  default undo target`,
      `       1  2020-01-01T00:00:00Z  ${first?.slice(0, 12)}  ${'v1'.padEnd(28)}  the first\\none`,
      '',
    ].join('\n'),
  );
  const one = await run('log', '-n', '1', '--full-hash', `${url}@HEAD~1`, '/a');
  t.match(one.stdout, `${second}`);
  t.equal(one.stdout.split('\n').length, 2);
  const json = await run('log', '--json', `${url}@v1`);
  t.same(JSON.parse(json.stdout), {
    revision: 1,
    rootHash: first,
    published: '2020-01-01T00:00:00Z',
    tags: [{ name: 'v1', description: 'the first\none' }],
    previous: null,
  });
  t.match(await run('log', '-n', '0', url), { code: 2 });

  const shortened = await run('ls', `${url}@${second?.slice(0, 9)}`);
  t.match(shortened, { code: 0, stderr: `pinfs: @${second?.slice(0, 9)} is @${second}\n` });
});

void t.test('no message has an escape of ours in it', async (t) => {
  const { url, run } = scene(t);
  const { stderr, code } = await run('ls', '--recursiv', url);
  t.equal(code, 2);
  t.match(stderr, /Did you mean --recursive/);
  t.notMatch(stderr, /\\n/);
});
