import t from 'tap';
import { fromText, type ByteString } from '../format/bytes.js';
import { genuine, needsGenuine } from '../testing/genuine.js';
import {
  manifestLine,
  rootWant,
  storedIn,
  testShelf,
  type TestShelf,
} from '../testing/memory-shelf.js';
import {
  bind,
  directory,
  file,
  makeRepository,
  makeSmallRepository,
  nested,
  special,
  symlink,
  type MadeRepository,
} from '../testing/repository.js';
import { wantKey } from '../store/want.js';
import { wantsBehind, wantsForRange } from './content.js';
import type { Entry } from './entry.js';
import { errnos } from './errno.js';
import { openTree } from './open-tree.js';
import type { Tree } from './tree.js';

const options = { variables: {}, owner: { uid: 0, gid: 0 } };

interface Opened {
  readonly tree: Tree;
  readonly shelf: TestShelf;
}

function open(made: MadeRepository): Opened {
  const shelf = testShelf((path) => made.files.get(path));
  t.teardown(() => shelf.close());
  return { shelf, tree: openAt(shelf, made.head.rootHash.text) };
}

function openAt(shelf: TestShelf, hash: string): Tree {
  const tree = shelf.must(() => openTree(rootWant(hash), shelf, options));
  t.teardown(() => tree.close());
  return tree;
}

function list({ tree, shelf }: Opened, path: ByteString, limit = 1000): Entry[] {
  const { node } = shelf.must(() => tree.resolve(path));
  const entries: Entry[] = [];
  for (let after = 0, end = false; !end;) {
    const page = shelf.must(() => tree.list(node, after, limit));
    entries.push(...page.entries);
    after = page.cookies.at(-1) ?? after;
    end = page.end;
  }
  return entries;
}

function walk(opened: Opened, path: ByteString): Entry[] {
  return list(opened, path).flatMap((entry) => [
    entry,
    ...(entry.type === 'directory' ? walk(opened, entry.path) : []),
  ]);
}

function errnoOf(opened: Opened, path: ByteString, name: ByteString): number {
  const { tree, shelf } = opened;
  const { node } = shelf.must(() => tree.resolve(path));
  const outcome = shelf.run(() => tree.lookup(node, name));
  return outcome.kind === 'failure' ? outcome.errno : 0;
}

const features = () => storedIn([genuine('features-sha1', 'features-sha1.example.org')]);
const head = '0f79967b3c3314d9d60afa9c3d0f15c4f5af8bec';
const tagged = '722e3e95534c23a6eafe01e1b31da91db48ce842';

void t.test(
  'a node finds its entry and its parent again, in any order, also in a fresh tree',
  (t) => {
    const made = makeSmallRepository({
      a: directory({
        f: file('1'),
        b: nested({ g: file('2'), c: directory({ h: symlink('f') }) }),
      }),
    });
    const first = open(made);
    const entries = walk(first, '');
    t.equal(entries.length, 7);
    const again = open(made);
    // The same order of first use gives the same numbers; entries are then found from rows alone.
    for (const entry of entries) if (entry.nestedMountpoint) list(again, entry.path);
    again.tree.close();
    for (const entry of [...entries].reverse()) {
      t.strictSame(
        again.shelf.must(() => again.tree.entry(entry.node)),
        entry,
        entry.path,
      );
      const parent = again.shelf.must(() => again.tree.parent(entry.node));
      const path = entry.path.slice(0, entry.path.lastIndexOf('/'));
      t.equal(
        again.shelf.must(() => again.tree.entry(parent)).path,
        path,
        `parent of ${entry.path}`,
      );
    }
    t.equal(
      again.shelf.must(() => again.tree.parent(again.tree.root)),
      again.tree.root,
    );
    for (const node of [0, -1, NaN, 5000, 77 * 2 ** 32 + 1, 2 ** 60])
      t.match(
        again.shelf.run(() => again.tree.entry(node)),
        { kind: 'failure', errno: errnos.ENOENT },
      );
    t.end();
  },
);

void t.test('names that are not there end with the errno that says why', (t) => {
  const opened = open(makeSmallRepository({ d: directory({ f: file('x') }), f: file('x') }));
  t.equal(errnoOf(opened, '', 'absent'), errnos.ENOENT);
  t.equal(errnoOf(opened, '/f', 'absent'), errnos.ENOTDIR);
  t.equal(errnoOf(opened, '', 'n'.repeat(255)), errnos.ENOENT);
  t.equal(errnoOf(opened, '', 'n'.repeat(256)), errnos.ENAMETOOLONG);
  for (const name of ['', '.', '..', 'd/f', 'f\0'])
    t.equal(errnoOf(opened, '', name), errnos.ENOENT, name);
  t.equal(errnoOf(opened, '', 'd'), 0);
  t.match(
    opened.shelf.run(() => opened.tree.resolve('/f/x')),
    { errno: errnos.ENOTDIR },
  );
  t.match(
    opened.shelf.run(() =>
      opened.tree.list(opened.shelf.must(() => opened.tree.resolve('f')).node, 0, 1),
    ),
    { errno: errnos.ENOTDIR },
  );
  t.equal(opened.shelf.must(() => opened.tree.resolve('//d///f/')).path, '/d/f');
  t.end();
});

void t.test('listings go on behind any cookie, in small and in very large directories', (t) => {
  const names = (count: number) =>
    Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `n${i}`,
        file('x', i % 5 === 0 ? { hidden: true } : {}),
      ]),
    );
  const opened = open(
    makeSmallRepository({ few: directory(names(50)), many: nested(names(5000)) }),
  );
  for (const [path, count, limits] of [
    ['/few', 40, [1, 7, 1000]],
    ['/many', 4001, [100, 511, 4096]],
  ] as const) {
    const whole = list(opened, path);
    t.equal(whole.length, count, path);
    t.equal(new Set(whole.map((it) => it.name)).size, count);
    for (const limit of limits)
      t.strictSame(list(opened, path, limit), whole, `${path} by ${limit}`);
    t.equal(
      opened.shelf.must(() => opened.tree.resolve(`${path}/n0`)).hidden,
      true,
      'hidden names are found',
    );
    for (const entry of whole.slice(-3))
      t.strictSame(
        opened.shelf.must(() => opened.tree.resolve(entry.path)),
        entry,
      );
    t.equal(errnoOf(opened, path, 'n5001'), errnos.ENOENT);
  }
  t.equal(opened.tree.statistics.rowsRefused, 0);
  t.end();
});

void t.test(
  'names of one file share node and inode; a group that does not fit merges nothing',
  (t) => {
    const made = makeSmallRepository({
      d: directory({
        a: file('same', { linkGroup: 1 }),
        b: file('same', { linkGroup: 1 }),
        c: file('other', { linkGroup: 1 }),
        p: special('fifo', { linkGroup: 2 }),
        q: special('fifo', { linkGroup: 2 }),
        s: directory({}, { linkGroup: 3 }),
        t: directory({ inside: file('x') }, { linkGroup: 3 }),
      }),
      e: directory({ a: file('same', { linkGroup: 4 }), b: file('same', { linkGroup: 4 }) }),
    });
    const opened = open(made);
    const at = (path: string) => opened.shelf.must(() => opened.tree.resolve(path));
    t.equal(at('/d/a').node, at('/d/b').node);
    t.equal(at('/d/a').ino, at('/d/b').ino);
    t.equal(at('/d/b').name, 'b');
    t.equal(at('/d/a').nlink, 3, 'the link count is the stored one');
    t.not(at('/d/c').node, at('/d/a').node);
    t.not(at('/d/c').ino, at('/d/a').ino);
    t.equal(at('/d/p').ino, at('/d/q').ino);
    t.not(at('/d/s').node, at('/d/t').node, 'directories are never links');
    t.not(at('/d/s').ino, at('/d/t').ino);
    t.equal(at('/d/s').linkGroup, 0);
    t.not(at('/d/a').ino, at('/e/a').ino);
    const other = open(made);
    const lonely = other.shelf.must(() => other.tree.resolve('/d/b'));
    t.equal(lonely.ino, at('/d/b').ino, 'the same inode whatever was loaded before');
    t.end();
  },
);

void t.test(
  'a bind mountpoint shows the tagged tree at another place, with inodes of its own',
  needsGenuine,
  (t) => {
    const shelf = testShelf(features());
    t.teardown(() => shelf.close());
    const whole = { shelf, tree: openAt(shelf, head) };
    const there = '/.cvmfs/snapshots/v5-bulk';
    const original = walk({ shelf, tree: openAt(shelf, tagged) }, '');
    const bound = walk(whole, there);
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
    const numbers = new Map(walk(whole, '').map((entry) => [entry.ino, entry.path]));
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
    t.notOk(list(whole, '').some((entry) => entry.name === '.cvmfs'));
    t.end();
  },
);

void t.test('inodes are the same in another tree over the same snapshot', needsGenuine, (t) => {
  const shelf = testShelf(features());
  t.teardown(() => shelf.close());
  const forward = walk({ shelf, tree: openAt(shelf, head) }, '');
  const other = { shelf, tree: openAt(shelf, head) };
  for (const { path, ino } of [...forward].reverse().filter((_, i) => i % 7 === 0))
    if (shelf.must(() => other.tree.resolve(path)).ino !== ino) t.fail(path);
  t.ok(forward.every((entry) => entry.ino > 1n && entry.ino < 2n ** 63n));
  t.end();
});

void t.test(
  'the objects of all catalogs are those that reading every file needs',
  needsGenuine,
  (t) => {
    const shelf = testShelf(features());
    t.teardown(() => shelf.close());
    const opened = { shelf, tree: openAt(shelf, tagged) };
    const { tree } = opened;
    const needed = walk(opened, '').flatMap((entry) =>
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
    const tree = openAt(shelf, manifestLine(read('.cvmfspublished'), 'C') ?? '');
    const root = shelf.must(() => tree.catalogOf(tree.root));
    const { wants } = shelf.must(() => tree.objects(root, 0, 512));
    const shown = walk({ tree, shelf }, '').filter(
      ({ node, type }) => node < 2 ** 32 && type === 'file',
    );
    t.strictSame(wants.map(({ path }) => path).sort(), shown.map(({ path }) => path).sort());
    t.ok(wants.some(({ path }) => path.startsWith('/dangling_mountpoint/')));
    t.notOk(wants.some(({ path }) => path.includes('hidden_content')));
    t.end();
  },
);

void t.test('ranges touch only the chunks that they lie in', (t) => {
  const content = Buffer.from(Array.from({ length: 100 }, (_, i) => i));
  const opened = open(
    makeSmallRepository({
      c: file(content, { chunks: [30] }),
      w: file(content),
      e: file(''),
      x: file(content, { chunks: [30], external: true, compression: 'none' }),
    }),
  );
  const { tree, shelf } = opened;
  const at = (path: string) => shelf.must(() => tree.resolve(path));
  const parts = (path: string, offset: number, length: number) =>
    shelf
      .must(() => wantsForRange(tree, at(path), offset, length))
      .map((piece) => [piece.want.size.bytes, piece.position, piece.length]);
  t.strictSame(parts('/c', 0, 10), [[30, 0, 10]]);
  t.strictSame(parts('/c', 29, 2), [
    [30, 29, 1],
    [30, 0, 1],
  ]);
  t.strictSame(parts('/c', 30, 60), [
    [30, 0, 30],
    [30, 0, 30],
  ]);
  t.strictSame(parts('/c', 0, 1e9), [
    [30, 0, 30],
    [30, 0, 30],
    [30, 0, 30],
    [10, 0, 10],
  ]);
  t.strictSame(parts('/c', 99, 5), [[10, 9, 1]]);
  t.strictSame(parts('/c', 100, 5), []);
  t.strictSame(parts('/c', -1, 5), []);
  t.strictSame(parts('/c', 5, 0), []);
  t.strictSame(parts('/w', 90, 50), [[100, 90, 10]]);
  t.strictSame(parts('/e', 0, 50), [], 'an empty file needs no object');
  const external = shelf.must(() => wantsForRange(tree, at('/x'), 60, 5));
  t.match(external, [
    { want: { compression: 'none', external: { path: '/x', range: { offset: 60, length: 30 } } } },
  ]);
  const behind = (offset: number, count: number) =>
    wantsBehind(tree, at('/c'), offset, count).map((want) => want.size.bytes);
  t.strictSame(behind(0, 2), [30, 30]);
  t.strictSame(behind(10, 2), [30, 30]);
  t.strictSame(behind(60, 4), [30, 10]);
  t.strictSame(behind(91, 4), []);
  t.strictSame(wantsBehind(tree, at('/w'), 0, 4), []);
  t.match(
    shelf.run(() => wantsForRange(tree, at(''), 0, 1)),
    { errno: errnos.EISDIR },
  );
  t.match(
    shelf.run(() => tree.chunks(at('/w').node)),
    { errno: errnos.EINVAL },
  );
  t.end();
});

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
  const { tree, shelf } = open(made);
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
    { errno: errnos.ENOENT },
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
  const { tree, shelf } = open(made);
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
    list(opened, '/s/v').map(({ name }) => name),
    ['old'],
  );
  t.match(
    shelf.run(() => tree.resolve('/b/x')),
    { errno: errnos.EIO, error: { code: 'OBJECT_TOO_LARGE' } },
  );
  t.end();
});

void t.test('a catalog that was refused is not opened again until its file is another one', (t) => {
  const made = makeSmallRepository({
    n: nested({ f: file('x') }, { sql: `UPDATE properties SET value='9.9' WHERE key='schema'` }),
    ok: file('x'),
  });
  const { tree, shelf } = open(made);
  const look = () => shelf.run(() => tree.resolve('/n/f'));
  const first = look();
  t.match(first, { errno: errnos.EIO, error: { code: 'CATALOG_UNSUPPORTED' } });
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
  t.match(third, { errno: errnos.EIO, error: { code: 'CATALOG_UNSUPPORTED' } });
  t.not(third.kind === 'failure' && third.error, first.kind === 'failure' && first.error);
  t.equal(shelf.must(() => tree.resolve('/ok')).size, 1);
  t.end();
});

void t.test('more catalogs than may be open at once are served all the same', (t) => {
  const tree: Record<string, ReturnType<typeof nested>> = {};
  for (let i = 0; i < 230; i++) tree[`n${i}`] = nested({ f: file(String(i)) });
  const opened = open(makeSmallRepository(tree));
  for (let round = 0; round < 2; round++)
    for (let i = 0; i < 230; i++)
      t.equal(opened.shelf.must(() => opened.tree.resolve(`/n${i}/f`)).size, String(i).length);
  t.ok(opened.tree.statistics.catalogsOpen <= 200);
  opened.tree.close();
  t.equal(opened.tree.statistics.catalogsOpen, 0);
  t.end();
});

void t.test('links are expanded with the given variables only', (t) => {
  const made = makeSmallRepository({
    l: symlink('$(A)/$(HOME:-none)/$(B:-\xff)'),
    n: symlink(fromText('ä')),
  });
  const shelf = testShelf((path) => made.files.get(path));
  t.teardown(() => shelf.close());
  const tree = shelf.must(() =>
    openTree(rootWant(made.head.rootHash), shelf, { ...options, variables: { A: 'é' } }),
  );
  t.teardown(() => tree.close());
  t.match(
    shelf.must(() => tree.resolve('/l')),
    { target: '\xc3\xa9/none/\xff', size: 9, rawTarget: '$(A)/$(HOME:-none)/$(B:-\xff)' },
  );
  t.match(
    shelf.must(() => tree.resolve('/n')),
    { target: '\xc3\xa4', size: 2 },
  );
  t.end();
});

void t.test('a tree whose root is not on the shelf is a miss', (t) => {
  const made = makeSmallRepository({ f: file('x') });
  const shelf = testShelf((path) => made.files.get(path));
  t.teardown(() => shelf.close());
  const want = rootWant(made.head.rootHash);
  t.strictSame(openTree(want, shelf, options), { kind: 'miss', want });
  t.end();
});
