import { join } from 'node:path';
import t, { type Test } from 'tap';
import { diff, open, tags, type OpenOptions, type Snapshot } from './index.js';
import { directory, file, makeRepository, nested, symlink } from './publish/write-repository.js';
import { openBench, type Bench } from './testing/bench.js';

// What a program does with whole snapshots.

const base = {
  'README.md': file('first'),
  link: symlink('deep'),
  deep: directory({ below: nested({ file: file('nested'), other: file('same') }) }),
  still: nested({ here: file('as it was') }),
};

const made = makeRepository({
  revisions: [
    { tree: base, tags: { v1: 'the first' } },
    {
      tree: {
        ...base,
        deep: directory({ below: nested({ new: file('new'), other: file('same') }) }),
        'README.md': file('second'),
      },
      tags: { v2: 'the second' },
    },
  ],
});

async function place(t: Test): Promise<{ bench: Bench; options: OpenOptions }> {
  const bench = await openBench(t, made);
  const cache = join(bench.work, 'cache');
  return { bench, options: { source: `${bench.server.url}@v1`, keys: [bench.key], cache } };
}

async function all<T>(values: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const value of values) found.push(value);
  return found;
}

const pathsOf = (values: readonly { readonly path: Buffer }[]): string[] =>
  values.map(({ path }) => path.toString());

void t.test('a walk gives a directory before what is in it, and follows no link', async (t) => {
  const { options } = await place(t);
  const snapshot = await open(options);
  t.teardown(() => snapshot.close());
  t.same(pathsOf(await all(snapshot.walk('/deep'))), [
    '/deep',
    '/deep/below',
    '/deep/below/.cvmfscatalog',
    '/deep/below/file',
    '/deep/below/other',
  ]);
  t.same(pathsOf(await all(snapshot.walk('/link'))), ['/link']);
  const files = snapshot.find('/', ({ type, size }) => type === 'file' && size === 6);
  t.same(pathsOf(await all(files)), ['/deep/below/file']);
  await t.rejects(all(snapshot.walk('/none')), { code: 'NOT_FOUND' });
});

void t.test('a check fetches and verifies, and lists what is damaged', async (t) => {
  const { bench, options } = await place(t);
  const snapshot = await open(options);
  t.teardown(() => snapshot.close());
  let told = 0;
  const whole = await snapshot.check('/deep', { progress: () => told++ });
  t.match(whole, { objects: 3, problems: [] }, 'a catalog and two files');
  t.ok(told > 0);
  bench.server.behave(/^data/, 'bit-flipped');
  const damaged = await snapshot.check('/');
  t.same(
    damaged.problems.map(({ code }) => code),
    ['OBJECT_HASH_MISMATCH', 'OBJECT_HASH_MISMATCH'],
    'README.md, and the catalog of /still',
  );
});

void t.test('the difference of two snapshots', async (t) => {
  const { bench, options } = await place(t);
  const one = await open(options);
  const other = await open({ ...options, source: `${bench.server.url}@v2` });
  t.teardown(() => Promise.all([one.close(), other.close()]));
  const changes = await all(diff(one, other));
  t.same(
    changes.map(({ path, before, after }) => [path.toString(), before?.size, after?.size]),
    [
      ['/README.md', 5, 6],
      ['/deep/below/file', 6, undefined],
      ['/deep/below/new', undefined, 3],
    ],
  );
  t.ok(changes[0]?.differences.includes('content'));
  t.same(pathsOf(await all(diff(one, other, '/deep/below/new'))), ['/deep/below/new']);
  await t.rejects(all(diff(one, other, '/none')), { code: 'NOT_FOUND' });
  await t.rejects(all(diff(one, {} as Snapshot)), { code: 'USAGE', message: /one repository/ });
});

void t.test('the tags of a source', async (t) => {
  const { options } = await place(t);
  const names = (await tags(options)).map(({ name }) => name);
  t.same(names.sort(), ['trunk', 'trunk-previous', 'v1', 'v2']);
  await t.rejects(tags({ ...options, keys: [] }), { code: 'NO_KEY' });
});

void t.test('a signal ends an opening, and closes what was opened', async (t) => {
  const { bench, options } = await place(t);
  bench.server.behave(/./, 'hang');
  const early = new AbortController();
  const opening = open(options, { signal: early.signal });
  setTimeout(() => {
    early.abort();
  }, 50);
  await t.rejects(opening, { code: 'INTERRUPTED' });
  await t.rejects(open(options, { signal: AbortSignal.abort() }), { code: 'INTERRUPTED' });
  bench.server.behave(/./, 'good');
  const late = new AbortController();
  const snapshot = await open(options, { signal: late.signal });
  t.equal((await snapshot.read('/README.md')).toString(), 'first');
  late.abort();
  await t.rejects(snapshot.read('/README.md'), { code: 'INTERRUPTED' });
});

void t.test('a snapshot can be disposed of', async (t) => {
  const { options } = await place(t);
  const snapshot = await open(options);
  await snapshot[Symbol.asyncDispose]();
  await t.rejects(snapshot.stat('/'), { code: 'INTERRUPTED' });
});

void t.test('a signal ends one walk or check, and the snapshot stays open', async (t) => {
  const { bench, options } = await place(t);
  await using snapshot = await open(options);
  const ended = new AbortController();
  const seen: string[] = [];
  const walking = async (): Promise<void> => {
    for await (const { path } of snapshot.walk('/', { signal: ended.signal })) {
      seen.push(path.toString());
      ended.abort();
    }
  };
  await t.rejects(walking(), { code: 'INTERRUPTED' });
  t.equal(seen.length, 1);
  await t.rejects(all(snapshot.find('/', () => true, { signal: ended.signal })), {
    code: 'INTERRUPTED',
  });
  bench.server.behave(/data\//, 'hang');
  const late = new AbortController();
  const checking = snapshot.check('/', { signal: late.signal });
  setTimeout(() => {
    late.abort();
  }, 50);
  await t.rejects(checking, { code: 'INTERRUPTED' }, 'though nobody answers');
  bench.server.reset();
  t.same((await snapshot.check('/', { signal: new AbortController().signal })).problems, []);
  t.ok((await all(snapshot.walk('/'))).length > 5);
});
