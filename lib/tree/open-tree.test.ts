import { errno } from '../format/errno.js';
import t from 'tap';
import { fromText } from '../format/bytes.js';
import { pathDigest, pathKey } from '../format/path-hash.js';
import { needsGenuine } from '../testing/genuine.js';
import { rootWant, testShelf } from '../testing/fakes/memory-shelf.js';
import {
  listAll,
  openAt,
  openMade,
  treeOptions,
  walkAll,
  features,
  featuresHead,
} from '../testing/fakes/opened-tree.js';
import {
  directory,
  file,
  makeRepository,
  makeSmallRepository,
  nested,
  special,
  symlink,
} from '../publish/write-repository.js';
import { openTree } from './open-tree.js';
import type { ByteString } from '../format/bytes.js';
import type { OpenedTree } from '../testing/fakes/opened-tree.js';

function errnoOf(opened: OpenedTree, path: ByteString, name: ByteString): number {
  const { tree, shelf } = opened;
  const { node } = shelf.must(() => tree.resolve(path));
  const outcome = shelf.run(() => tree.lookup(node, name));
  return outcome.kind === 'failure' ? outcome.errno : 0;
}

void t.test(
  'a node finds its entry and its parent again, in any order, also in a fresh tree',
  (t) => {
    const made = makeSmallRepository({
      a: directory({
        f: file('1'),
        b: nested({ g: file('2'), c: directory({ h: symlink('f') }) }),
      }),
    });
    const first = openMade(t, made);
    const entries = walkAll(first, '');
    t.equal(entries.length, 7);
    // In a fresh tree of which nothing is known but the catalogs on the way (they are numbered in the order of
    // first use) entries are found from rows alone; those beside the way also from what was loaded for it.
    const mountpoint = fromText('/a/b');
    for (const entry of [...entries].reverse()) {
      const again = openMade(t, made);
      if (entry.path.startsWith(mountpoint)) listAll(again, mountpoint);
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
    const again = openMade(t, made);
    t.equal(
      again.shelf.must(() => again.tree.parent(again.tree.root)),
      again.tree.root,
    );
    for (const node of [0, -1, NaN, 5000, 77 * 2 ** 32 + 1, 2 ** 60])
      t.match(
        again.shelf.run(() => again.tree.entry(node)),
        { kind: 'failure', errno: errno.ENOENT },
      );
    t.end();
  },
);

void t.test('the file behind another is known while its directory is loaded', (t) => {
  const opened = openMade(
    t,
    makeSmallRepository({
      a: file('1'),
      d: directory({ inner: file('2') }),
      h: file('3', { hidden: true }),
      l: symlink('a'),
      z: file('4'),
    }),
  );
  const { tree, shelf } = opened;
  const node = (path: ByteString) => shelf.must(() => tree.resolve(path)).node;
  t.equal(tree.following(node('/a')), node('/z'), 'neither directory, hidden file nor link');
  t.equal(tree.following(node('/d')), node('/z'));
  t.equal(tree.following(node('/z')), undefined);
  t.equal(tree.following(node('/d/inner')), undefined);
  t.equal(tree.following(12345), undefined);
  const known = node('/a');
  tree.close();
  t.equal(tree.following(known), undefined);
  t.end();
});

void t.test('the root stands in itself, whatever its row says', (t) => {
  const [first, second] = pathKey(pathDigest('/d'));
  const sql = `UPDATE catalog SET name = 'x', parent_1 = ${first}, parent_2 = ${second} WHERE name = '';`;
  const tree = { d: directory({ f: file('x') }) };
  const opened = openMade(t, makeRepository({ revisions: [{ tree, sql }] }));
  const { root } = opened.tree;
  t.same(
    listAll(opened, '/d').map(({ name }) => name),
    ['f'],
  );
  t.equal(
    opened.shelf.must(() => opened.tree.parent(root)),
    root,
  );
  t.equal(opened.shelf.must(() => opened.tree.entry(root)).path, '');
  t.end();
});

void t.test('names that are not there end with the errno that says why', (t) => {
  const opened = openMade(t, makeSmallRepository({ d: directory({ f: file('x') }), f: file('x') }));
  t.equal(errnoOf(opened, '', 'absent'), errno.ENOENT);
  t.equal(errnoOf(opened, '/f', 'absent'), errno.ENOTDIR);
  t.equal(errnoOf(opened, '', 'n'.repeat(255)), errno.ENOENT);
  t.equal(errnoOf(opened, '', 'n'.repeat(256)), errno.ENAMETOOLONG);
  for (const name of ['', '.', '..', 'd/f', 'f\0'])
    t.equal(errnoOf(opened, '', name), errno.ENOENT, name);
  t.equal(errnoOf(opened, '', 'd'), 0);
  t.match(
    opened.shelf.run(() => opened.tree.resolve('/f/x')),
    { errno: errno.ENOTDIR },
  );
  t.match(
    opened.shelf.run(() =>
      opened.tree.list(opened.shelf.must(() => opened.tree.resolve('f')).node, 0, 1),
    ),
    { errno: errno.ENOTDIR },
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
  const opened = openMade(
    t,
    makeSmallRepository({ few: directory(names(50)), many: nested(names(5000)) }),
  );
  for (const [path, count, limits] of [
    ['/few', 40, [1, 7, 1000]],
    ['/many', 4001, [100, 511, 4096]],
  ] as const) {
    const whole = listAll(opened, path);
    t.equal(whole.length, count, path);
    t.equal(new Set(whole.map((it) => it.name)).size, count);
    for (const limit of limits)
      t.strictSame(listAll(opened, path, limit), whole, `${path} by ${limit}`);
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
    t.equal(errnoOf(opened, path, 'n5001'), errno.ENOENT);
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
    const opened = openMade(t, made);
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
    const other = openMade(t, made);
    const lonely = other.shelf.must(() => other.tree.resolve('/d/b'));
    t.equal(lonely.ino, at('/d/b').ino, 'the same inode whatever was loaded before');
    t.end();
  },
);

void t.test('inodes are the same in another tree over the same snapshot', needsGenuine, (t) => {
  const shelf = testShelf(features());
  t.teardown(() => shelf.close());
  const forward = walkAll({ shelf, tree: openAt(t, shelf, featuresHead) }, '');
  const other = { shelf, tree: openAt(t, shelf, featuresHead) };
  for (const { path, ino } of [...forward].reverse().filter((_, i) => i % 7 === 0))
    if (shelf.must(() => other.tree.resolve(path)).ino !== ino) t.fail(path);
  t.ok(forward.every((entry) => entry.ino > 1n && entry.ino < 2n ** 63n));
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
    openTree(rootWant(made.head.rootHash), shelf, { ...treeOptions, variables: { A: 'é' } }),
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
  t.strictSame(openTree(want, shelf, treeOptions), { kind: 'miss', want });
  t.end();
});
