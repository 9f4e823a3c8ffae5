import t, { type Test } from 'tap';
import { printable } from '../../format/bytes.js';
import { openBench, type Bench } from '../../testing/bench.js';
import {
  directory,
  file,
  makeRepository,
  nested,
  special,
  symlink,
  type TreeSpec,
} from '../../publish/write-repository.js';
import { diffTrees, isOfTimeAlone, type PathChange } from './diff.js';

async function benchOf(t: Test, ...trees: readonly TreeSpec[]): Promise<Bench> {
  // Else each entry would have the time of its revision.
  const dated = (tree: TreeSpec): TreeSpec =>
    Object.fromEntries(
      Object.entries(tree).map(([name, one]) => [
        name,
        { mtime: 7, ...one, ...('entries' in one ? { entries: dated(one.entries) } : {}) },
      ]),
    );
  const revisions = trees.map((tree, index) => ({
    tree: dated(tree),
    root: { mtime: 7 },
    tags: { [`v${index + 1}`]: '' },
  }));
  return await openBench(t, makeRepository({ revisions }));
}

async function changes(bench: Bench, path = '', problems: string[] = []): Promise<PathChange[]> {
  const [before, after] = [await bench.open('v1'), await bench.open('v2')];
  const problem = (at: string, thrown: unknown): void => {
    problems.push(`${at} ${(thrown as { code?: string }).code}`);
  };
  const found: PathChange[] = [];
  for await (const change of diffTrees(before, after, { path, problem })) found.push(change);
  return found;
}

function shown({ kind, path, differences }: PathChange): string {
  return [kind, printable(path) || '/', ...differences].join(' ');
}

void t.test('each thing in which entries can differ is told, with both of them', async (t) => {
  const bench = await benchOf(
    t,
    {
      same: file('same'),
      content: file('one'),
      mode: file('m', { mode: 0o644 }),
      owner: file('o', { uid: 1 }),
      time: file('t', { mtime: 1 }),
      nanoseconds: file('t', { mtime: 1, mtimeNs: 1 }),
      attributes: file('a', { xattrs: { 'user.a': '1' } }),
      link: symlink('a'),
      kind: file('f'),
      device: special('character', { rdev: 1 }),
      gone: directory({ inside: file('x') }),
      'gone!': file('y'),
    },
    {
      same: file('same'),
      content: file('two'),
      mode: file('m', { mode: 0o600 }),
      owner: file('o', { uid: 2 }),
      time: file('t', { mtime: 2 }),
      nanoseconds: file('t', { mtime: 1, mtimeNs: 2 }),
      attributes: file('a', { xattrs: { 'user.a': '2' } }),
      link: symlink('b'),
      kind: directory({ below: file('z') }),
      device: special('character', { rdev: 2 }),
      new: directory({ inside: file('x') }),
    },
  );
  const found = await changes(bench);
  const expected = [
    'changed /attributes attributes',
    'changed /content content',
    'changed /device device',
    'removed /gone',
    'removed /gone/inside',
    'removed /gone!',
    'changed /kind type',
    'added /kind/below',
    'changed /link target',
    'changed /mode mode',
    'changed /nanoseconds time',
    'added /new',
    'added /new/inside',
    'changed /owner owner',
    'changed /time time',
  ];
  t.same(found.map(shown), expected);
  t.same(
    found.filter(isOfTimeAlone).map(({ path }) => path),
    ['/nanoseconds', '/time'],
  );
  const content = found.find(({ path }) => path === '/content');
  t.match(content, { before: { size: 3 }, after: { size: 3 } });
});

void t.test('chunked files differ by their chunks where nothing names the whole', async (t) => {
  const chunks = [2];
  const bench = await benchOf(
    t,
    { same: file('abcdef', { chunks }), other: file('abcdef', { chunks }) },
    { same: file('abcdef', { chunks }), other: file('abXdef', { chunks }) },
  );
  t.same((await changes(bench)).map(shown), ['changed /other content']);
});

void t.test('what has the same catalog on both sides is not asked for', async (t) => {
  // As of an older revision, which the next one takes over.
  const sql = "UPDATE properties SET value = '1' WHERE key IN ('revision', 'last_modified')";
  const same = { deep: nested({ file: file('x') }, { sql }) };
  const bench = await benchOf(
    t,
    { same: nested(same, { sql }), other: nested({ a: file('a') }) },
    { same: nested(same, { sql }), other: nested({ a: file('b') }) },
  );
  const progress = { directories: 0, skipped: 0 };
  const [before, after] = [await bench.open('v1'), await bench.open('v2')];
  const asked = bench.server.requests.length;
  const found: PathChange[] = [];
  const problem = (): void => undefined;
  for await (const change of diffTrees(before, after, { path: '', problem, progress }))
    found.push(change);
  t.same(found.map(shown), ['changed /other/a content']);
  t.same(progress, { directories: 2, skipped: 1 });
  t.equal(bench.server.requests.length - asked, 2, 'the two catalogs that differ');
});

void t.test('a path below which nothing changed, or that only one side has', async (t) => {
  const bench = await benchOf(
    t,
    { a: nested({ f: file('1') }), b: file('2') },
    { a: nested({ f: file('1') }), c: directory({ f: file('3') }) },
  );
  t.same((await changes(bench, '/a/f')).map(shown), []);
  t.same((await changes(bench, '/b')).map(shown), ['removed /b']);
  t.same((await changes(bench, '/c/')).map(shown), ['added /c', 'added /c/f']);
  await t.rejects(changes(bench, '/d'), { code: 'NOT_FOUND' });
});

void t.test('a catalog that can not be had is told, and the rest compared', async (t) => {
  const bench = await benchOf(
    t,
    { m: nested({ f: file('1') }), z: file('1') },
    { m: nested({ f: file('2') }), z: file('2') },
  );
  const [before, after] = [await bench.open('v1'), await bench.open('v2')];
  const asked = new Set(bench.server.requests.map(({ path }) => path));
  await Promise.all([before.close(), after.close()]);
  // All that was not needed to open them.
  for (const path of bench.files.keys())
    if (path.endsWith('C') && ![...asked].some((one) => one.endsWith(path)))
      bench.files.delete(path);
  const problems: string[] = [];
  t.same((await changes(bench, '', problems)).map(shown), ['changed /z content']);
  t.same(problems, ['/m OBJECT_MISSING']);
});
