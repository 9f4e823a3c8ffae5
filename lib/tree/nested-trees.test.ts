import { errno } from '../format/errno.js';
import { appendFileSync, chmodSync, rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import t from 'tap';
import type { Shelf } from '../store/shelf.js';
import { wantKey } from '../store/want.js';
import { genuine, needsGenuine } from '../testing/genuine.js';
import { manifestLine, rootWant, storedIn, testShelf } from '../testing/fakes/memory-shelf.js';
import {
  listAll,
  openAt,
  treeOptions,
  openMade,
  walkAll,
  features,
  featuresHead,
  featuresTagged,
} from '../testing/fakes/opened-tree.js';
import {
  bind,
  directory,
  file,
  makeRepository,
  makeSmallRepository,
  nested,
} from '../publish/write-repository.js';
import { wantsForRange } from './content.js';
import type { Entry } from './entry.js';
import { openTree } from './open-tree.js';
import type { ByteString } from '../format/bytes.js';

void t.test(
  'a bind mountpoint shows the tagged tree at another place, with inodes of its own',
  needsGenuine,
  (t) => {
    const shelf = testShelf(features());
    t.teardown(() => shelf.close());
    const whole = { shelf, tree: openAt(t, shelf, featuresHead) };
    const there = '/.cvmfs/snapshots/v5-bulk';
    const original = walkAll({ shelf, tree: openAt(t, shelf, featuresTagged) }, '');
    const bound = walkAll(whole, there);
    const comparable = (entry: Entry, path: string) => ({
      ...entry,
      path,
      node: 0,
      ino: 0n,
      content: { ...entry.content },
    });
    t.ok(original.length > 900);
    t.strictSame(
      bound.map((entry) => comparable(entry, entry.path.slice(there.length))),
      original.map((entry) => comparable(entry, entry.path)),
    );
    t.equal(
      bound
        .find((entry) => entry.content?.external)
        ?.content?.externalPath?.startsWith('/external/'),
      true,
    );
    const numbers = new Map(walkAll(whole, '').map((entry) => [entry.ino, entry.path]));
    t.strictSame(
      bound.filter((entry) => numbers.has(entry.ino)).map((entry) => entry.path),
      [],
    );
    const deep = shelf.must(() => whole.tree.resolve(`${there}/many/c003`));
    t.equal(
      shelf.must(() => whole.tree.entry(shelf.must(() => whole.tree.parent(deep.node)))).path,
      `${there}/many`,
    );
    const chunked = bound.find((entry) => entry.content?.chunked);
    t.ok(shelf.must(() => whole.tree.chunks(chunked?.node ?? 0)).length > 1);
    t.equal(shelf.must(() => whole.tree.resolve('/.cvmfs')).hidden, true);
    t.notOk(listAll(whole, '').some((entry) => entry.name === '.cvmfs'));
    t.end();
  },
);

void t.test(
  'the objects of all catalogs are those that reading every file needs',
  needsGenuine,
  (t) => {
    const shelf = testShelf(features());
    t.teardown(() => shelf.close());
    const opened = { shelf, tree: openAt(t, shelf, featuresTagged) };
    const { tree } = opened;
    const needed = walkAll(opened, '').flatMap((entry) =>
      entry.type === 'file'
        ? shelf
            .must(() => wantsForRange(tree, entry, 0, Infinity))
            .map(({ want }) => `${want.path} ${wantKey(want)}`)
        : [],
    );
    const named: string[] = [];
    const mounts: string[] = [];
    const visit = (path: ByteString): void => {
      const info = shelf.must(() => tree.catalogOf(shelf.must(() => tree.resolve(path)).node));
      t.equal(info.mountpoint, path);
      for (let after: number | undefined = 0; after !== undefined;) {
        const from: number = after;
        const page = shelf.must(() => tree.objects(info, from, 100));
        t.strictSame(page.broken, []);
        named.push(
          ...page.wants
            .filter((want) => want.size.bytes > 0)
            .map((want) => `${want.path} ${wantKey(want)}`),
        );
        after = page.next;
      }
      const below = shelf.must(() => tree.nested(info));
      t.strictSame(below.broken, []);
      mounts.push(...below.catalogs.map(({ mountpoint }) => mountpoint));
      below.catalogs.forEach(({ mountpoint }) => visit(mountpoint));
    };
    visit('');
    t.ok(mounts.length > 200);
    t.strictSame(named.sort(), needed.sort());
    t.end();
  },
);

void t.test(
  'what a catalog above has below a mount point is neither shown nor needed',
  needsGenuine,
  (t) => {
    const read = storedIn([genuine('legacy', 'corrupt-2.0', 'migrationtest01.cern.ch')]);
    const shelf = testShelf(read);
    t.teardown(() => shelf.close());
    const tree = openAt(t, shelf, manifestLine(read('.cvmfspublished'), 'C') ?? '');
    const root = shelf.must(() => tree.catalogOf(tree.root));
    const { wants } = shelf.must(() => tree.objects(root, 0, 512));
    const shown = walkAll({ tree, shelf }, '').filter(
      ({ node, type }) => node < 2 ** 32 && type === 'file',
    );
    t.strictSame(wants.map(({ path }) => path).sort(), shown.map(({ path }) => path).sort());
    t.ok(wants.some(({ path }) => path.startsWith('/dangling_mountpoint/')));
    t.notOk(wants.some(({ path }) => path.includes('hidden_content')));
    t.end();
  },
);

void t.test('facts and counters of catalogs are told, missing ones as 0', (t) => {
  const made = makeRepository({
    revisions: [
      {
        tree: { n: nested({ f: file('abc') }) },
        properties: { volatile: '1', voms_authz: 'vo%x' },
        sql: `DELETE FROM statistics WHERE counter='self_dir'; UPDATE statistics SET value=9007199254740993 WHERE counter='self_regular'`,
      },
    ],
  });
  const { tree, shelf } = openMade(t, made);
  t.match(tree.properties, {
    revision: 1,
    ttl: 240,
    schema: '2.5 revision 7',
    volatile: true,
    vomsAuthz: 'vo%x',
    previousRevision: undefined,
  });
  const info = shelf.must(() => tree.catalogOf(tree.root));
  t.strictSame(info.counters.get('dir'), { self: 0n, subtree: 1n });
  t.strictSame(info.counters.get('regular')?.self, 9007199254740993n);
  t.equal(info.counters.size, 12);
  t.equal(
    shelf.must(() => tree.catalogOf(shelf.must(() => tree.resolve('/n')).node)).mountpoint,
    '/n',
  );
  t.equal(
    shelf.must(() => tree.catalogOf(shelf.must(() => tree.resolve('/n/f')).node)).mountpoint,
    '/n',
  );
  t.match(
    shelf.run(() => tree.nested({ ...info, number: 99 })),
    { errno: errno.ENOENT },
  );
  t.end();
});

void t.test('catalogs that are listed but can not be had are named as broken', (t) => {
  const made = makeRepository({
    revisions: [
      { tree: { old: file('') } },
      {
        tree: { a: nested({}), b: nested({}), c: nested({}), s: directory({ v: bind(1) }) },
        sql: `UPDATE nested_catalogs SET sha1='nonsense' WHERE path='/a'; UPDATE nested_catalogs SET size=1000000000000 WHERE path='/b';
              INSERT INTO nested_catalogs VALUES ('/../x','${'0'.repeat(40)}',5), ('x','${'0'.repeat(40)}',5), ('','${'0'.repeat(40)}',5)`,
      },
    ],
  });
  const { tree, shelf } = openMade(t, made);
  const { catalogs, broken } = shelf.must(() =>
    tree.nested(shelf.must(() => tree.catalogOf(tree.root))),
  );
  t.strictSame(
    catalogs.map(({ mountpoint, bind: isBind }) => [mountpoint, isBind]),
    [
      ['/c', false],
      ['/s/v', true],
    ],
  );
  t.strictSame(
    broken.map(({ path, error }) => [path, error.code]),
    [
      ['/a', 'CATALOG_SCHEMA'],
      ['/b', 'OBJECT_TOO_LARGE'],
    ],
  );
  const opened = { tree, shelf };
  t.strictSame(
    listAll(opened, '/s/v').map(({ name }) => name),
    ['old'],
  );
  t.match(
    shelf.run(() => tree.resolve('/b/x')),
    { errno: errno.EIO, error: { code: 'OBJECT_TOO_LARGE' } },
  );
  t.end();
});

void t.test('a catalog that was refused is not opened again until its file is another one', (t) => {
  const made = makeSmallRepository({
    n: nested({ f: file('x') }, { sql: `UPDATE properties SET value='9.9' WHERE key='schema'` }),
    ok: file('x'),
  });
  const { tree, shelf } = openMade(t, made);
  const look = () => shelf.run(() => tree.resolve('/n/f'));
  const first = look();
  t.match(first, { errno: errno.EIO, error: { code: 'CATALOG_UNSUPPORTED' } });
  const second = look();
  t.equal(
    first.kind === 'failure' && second.kind === 'failure' && first.error === second.error,
    true,
  );
  const want = shelf.must(() => tree.nested(shelf.must(() => tree.catalogOf(tree.root))))
    .catalogs[0]?.want;
  if (want === undefined) throw new Error('no nested catalog');
  shelf.provide(want);
  const third = look();
  t.match(third, { errno: errno.EIO, error: { code: 'CATALOG_UNSUPPORTED' } });
  t.not(third.kind === 'failure' && third.error, first.kind === 'failure' && first.error);
  t.equal(shelf.must(() => tree.resolve('/ok')).size, 1);
  t.end();
});

void t.test('more catalogs than may be open at once are served all the same', (t) => {
  const tree: Record<string, ReturnType<typeof nested>> = {};
  for (let i = 0; i < 230; i++) tree[`n${i}`] = nested({ f: file(String(i)) });
  const opened = openMade(t, makeSmallRepository(tree));
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 230; i++)
      t.equal(opened.shelf.must(() => opened.tree.resolve(`/n${i}/f`)).size, String(i).length);
  t.ok(opened.tree.statistics.catalogsOpen <= 100);
  opened.tree.close();
  t.equal(opened.tree.statistics.catalogsOpen, 0);
  t.end();
});

void t.test(
  'catalogs of schema 0.9 show their root, and EIO below their mount points',
  needsGenuine,
  (t) => {
    const read = storedIn([genuine('legacy', 'schema-0.9', 'schemas.example.org')]);
    const shelf = testShelf(read);
    t.teardown(() => shelf.close());
    const tree = openAt(t, shelf, manifestLine(read('.cvmfspublished'), 'C') ?? '');
    t.equal(shelf.must(() => tree.resolve('/nested')).type, 'directory');
    t.match(
      shelf.run(() => tree.resolve('/nested/x')),
      {
        errno: errno.EIO,
        error: { code: 'CATALOG_UNSUPPORTED' },
      },
    );
    const { broken } = shelf.must(() => tree.nested(shelf.must(() => tree.catalogOf(tree.root))));
    t.strictSame(
      broken.map(({ path }) => path),
      ['/nested'],
    );
    t.end();
  },
);

void t.test('genuine catalogs of schemas that are not supported are refused', needsGenuine, (t) => {
  for (const schema of ['2.0', '2.1', '2.6', '3.0']) {
    const read = storedIn([genuine('legacy', `schema-${schema}`, 'schemas.example.org')]);
    const shelf = testShelf(read);
    t.teardown(() => shelf.close());
    const root = rootWant(manifestLine(read('.cvmfspublished'), 'C') ?? '');
    t.match(
      shelf.run(() => openTree(root, shelf, treeOptions)),
      {
        errno: errno.EIO,
        error: { code: 'CATALOG_UNSUPPORTED', message: schema },
      },
    );
  }
  t.end();
});

void t.test('a catalog that names one above it is refused, however it got its hash', (t) => {
  const hash = '5'.repeat(40);
  const sql = `UPDATE nested_catalogs SET sha1='${hash}', size=NULL`;
  const made = makeRepository({ revisions: [{ tree: { n: nested({ f: file('x') }) }, sql }] });
  const shelf = testShelf((path) => made.files.get(path));
  t.teardown(() => shelf.close());
  const want = rootWant(made.head.rootHash);
  shelf.provide(want);
  const forged = { ...shelf, path: () => shelf.path(want) };
  const tree = shelf.must(() => openTree(rootWant(hash), forged, treeOptions));
  t.teardown(() => tree.close());
  t.match(tree.resolve('/n/f'), { errno: errno.EIO, error: { message: /contains itself/ } });
  t.end();
});

void t.test(
  'a catalog that leaves the shelf before it is opened is a miss, and one that is open goes on',
  (t) => {
    const made = makeSmallRepository({ n: nested({ f: file('x') }) });
    const { tree, shelf } = openMade(t, made);
    const gone = { ...shelf, path: () => '/nowhere/at/all' };
    const want = rootWant(made.head.rootHash);
    t.strictSame(openTree(want, gone, treeOptions), { kind: 'miss', want });
    rmSync(shelf.path(want) ?? '');
    t.equal(shelf.must(() => tree.resolve('/n/f')).size, 1);
    t.end();
  },
);

void t.test('a catalog that is changed in place while it is open is asked for again', async (t) => {
  const made = makeSmallRepository({
    a: directory({ f: file('x') }),
    b: directory({ f: file('y') }),
  });
  const shelf = testShelf((path) => made.files.get(path));
  t.teardown(() => shelf.close());
  const want = rootWant(made.head.rootHash);
  let asked = 0;
  const counting: Shelf = {
    ...shelf,
    path(one) {
      asked += 1;
      return asked > 1 ? undefined : shelf.path(one);
    },
    read: (...of) => (asked > 1 ? undefined : shelf.read(...of)),
  };
  shelf.provide(want);
  const tree = shelf.must(() => openTree(want, counting, treeOptions));
  t.teardown(() => tree.close());
  t.equal(shelf.must(() => tree.resolve('/a/f')).size, 1);
  await delay(1100);
  t.equal(tree.resolve('/a').kind, 'done');
  const path = shelf.path(want) ?? '';
  chmodSync(path, 0o644);
  appendFileSync(path, 'x');
  await delay(1100);
  // Not before it is asked something that it alone knows.
  t.strictSame(tree.resolve('/b/f'), { kind: 'miss', want });
});
