import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openBench } from '../../testing/bench.js';
import {
  bind,
  file,
  makeRepository,
  nested,
  type TreeSpec,
} from '../../publish/write-repository.js';
import { check, type CheckReport } from './check.js';
import { openRepository } from '../open.js';

// Catalogs and objects that a check looks at in any of these trees: far more than there are.
const enough = 100;

interface Made {
  readonly tree: TreeSpec;
  readonly sql?: string;
}

/** Checks the head of a repository; a check that goes on and on is ended. */
async function checked(t: Test, ...revisions: readonly Made[]): Promise<CheckReport> {
  return await checkedWithin(t, {}, ...revisions);
}

async function checkedWithin(
  t: Test,
  options: { readonly cacheLimit?: number },
  ...revisions: readonly Made[]
): Promise<CheckReport> {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-check-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const made = makeRepository({ revisions });
  const key = join(directory, 'master.pub');
  writeFileSync(key, made.masterKey);
  const source = made.writeTo(join(directory, 'source'));
  const repository = await openRepository({
    source,
    keys: [key],
    cache: join(directory, 'cache'),
    ...options,
  });
  t.teardown(() => repository.close());
  return await check(repository, {
    path: '',
    catalogsOnly: false,
    external: false,
    progress: ({ catalogs }) => {
      if (catalogs > enough) throw new Error('the check does not come to an end');
    },
  });
}

t.test(
  'a catalog whose directory is no mount point is a problem, and no endless way',
  async (t) => {
    const tree = { a: file('one'), m: nested({ b: file('c') }), n: nested({ b: file('b') }) };
    const whole = await checked(t, { tree });
    t.match(whole, { catalogs: 3, problems: [] });
    const sql = "UPDATE catalog SET flags = flags & ~2 WHERE name IN ('n', 'm')";
    const unmarked = await checked(t, { tree, sql });
    t.equal(unmarked.catalogs, 1);
    t.match(unmarked.problems, [
      { path: '/m', code: 'CATALOG_SCHEMA', message: /is listed for \/m, but no mount point/ },
      { path: '/n', code: 'CATALOG_SCHEMA', message: /is listed for \/n, but no mount point/ },
    ]);
  },
);

t.test('a path that is no text is listed, but leads to no catalog', async (t) => {
  const sql = 'UPDATE nested_catalogs SET path = CAST(path AS BLOB)';
  const report = await checked(t, { tree: { n: nested({ b: file('b') }) }, sql });
  t.match(report, { catalogs: 1, problems: [{ path: '/n', code: 'CATALOG_SCHEMA' }] });
});

t.test('what a snapshot bound into the tree shows is not checked in its place', async (t) => {
  const below = { tree: { n: nested({ b: file('bound') }) } };
  const sql = "INSERT INTO nested_catalogs SELECT '/old/n', sha1, size FROM bind_mountpoints";
  const report = await checked(t, below, { tree: { old: bind(1) }, sql });
  t.match(report, { catalogs: 1, problems: [{ path: '/old/n', code: 'CATALOG_SCHEMA' }] });
});

t.test('a catalog that is met at two places is checked once', async (t) => {
  const below = { tree: { n: nested({ b: file('bound') }) } };
  const catalog = makeRepository({ revisions: [below] }).head.catalogs.get('/n');
  const row = (path: string) => `('${path}', '${catalog?.hash.text}', ${catalog?.size})`;
  const sql = `INSERT INTO nested_catalogs VALUES ${row('/one/n')}, ${row('/two/n')}`;
  const report = await checked(t, below, { tree: { one: bind(1), two: bind(1) }, sql });
  t.match(report, { catalogs: 2, problems: [] });
});

t.test('a source that answers no more ends the check', async (t) => {
  const names = Array.from({ length: 200 }, (_, index) => `file${index}`);
  const tree = Object.fromEntries(names.map((name) => [name, file(name)]));
  const bench = await openBench(t, makeRepository({ revisions: [{ tree }] }));
  const repository = await bench.open();
  bench.server.behave(() => true, 'reset');
  const options = { path: '', catalogsOnly: false, external: false, progress: () => undefined };
  const gone = await check(repository, options);
  t.match(gone.endedEarly, /failed 3 times in a row/);
  t.ok(gone.problems.length < 50, `${gone.problems.length} problems`);
  t.match(gone.problems[0], { code: 'SOURCE_UNREACHABLE', message: /^(?!\/file)/ });
  bench.server.reset();
  const again = await check(await bench.open(), options);
  t.match(again, { endedEarly: undefined, objects: 200, problems: [] });
});

void t.test('catalogs count among what is not kept', async (t) => {
  const names = Array.from({ length: 20 }, (_, number) => `n${number}`);
  const tree = Object.fromEntries(names.map((name) => [name, nested({ a: file('same') })]));
  const whole = await checkedWithin(t, {}, { tree });
  t.match(whole, { catalogs: 21, problems: [], notKept: 0 });
  const { notKept, catalogs } = await checkedWithin(t, { cacheLimit: 200_000 }, { tree });
  t.equal(catalogs, 21);
  t.ok(notKept > 10 * 50_000, `${notKept}`);
});

void t.test('what does not fit into the cache is not lost in silence', async (t) => {
  const files = Array.from({ length: 60 }, (_, number) => [
    `f${number}`,
    file(`${number}`.repeat(900)),
  ]);
  const tree = Object.fromEntries(files) as TreeSpec;
  t.match(await checkedWithin(t, {}, { tree }), { notKept: 0, problems: [] });
  const { notKept, problems } = await checkedWithin(t, { cacheLimit: 40 * 4096 }, { tree });
  t.same(problems, []);
  t.ok(notKept >= 20 * 4096, `${notKept}`);
});
