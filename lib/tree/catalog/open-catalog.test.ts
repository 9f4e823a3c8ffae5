import t, { type Test } from 'tap';
import { errno } from '../../format/errno.js';
import { directory, file, nested, type TreeSpec } from '../../publish/spec.js';
import { makeSmallRepository } from '../../publish/write-repository.js';
import type { Shelf } from '../../store/shelf.js';
import type { Want } from '../../store/want.js';
import { rootWant, testShelf } from '../../testing/fakes/memory-shelf.js';
import { treeOptions } from '../../testing/fakes/opened-tree.js';
import { openTree } from '../open-tree.js';

// Catalogs that lie in a segment of the cache, and so have no path.

const spec: TreeSpec = {
  a: file('one'),
  n: nested({ d: directory({ f: file('inside') }) }),
};

function shelfWithoutPaths(t: Test, change: (want: Want, bytes: Buffer) => void = () => undefined) {
  const made = makeSmallRepository(spec);
  const shelf = testShelf((path) => made.files.get(path));
  t.teardown(() => shelf.close());
  const reads: string[] = [];
  const without: Shelf = {
    ...shelf,
    path: () => undefined,
    read(want, position, length, target, targetOffset) {
      const count = shelf.read(want, position, length, target, targetOffset);
      if (count === undefined) return undefined;
      reads.push(want.path);
      change(want, target.subarray(targetOffset, targetOffset + count));
      return count;
    },
  };
  const tree = () => shelf.must(() => openTree(rootWant(made.head.rootHash), without, treeOptions));
  return { shelf, tree, reads };
}

void t.test('SQLite gets the bytes of a catalog that has no file', (t) => {
  // Whose size nobody promised is for SQLite, and so is the first of a schema that was not seen before.
  const { shelf, tree: open } = shelfWithoutPaths(t);
  const tree = open();
  t.teardown(() => tree.close());
  t.equal(shelf.must(() => tree.resolve('/a')).size, 3);
  t.equal(shelf.must(() => tree.resolve('/n/d/f')).size, 6);
  t.equal(tree.statistics.catalogsOpened, 2);
  t.end();
});

void t.test('one that is no database is EIO, and is not read again', (t) => {
  const {
    shelf,
    tree: open,
    reads,
  } = shelfWithoutPaths(t, ({ path }, bytes) => {
    if (path === '/n') bytes.fill(0);
  });
  const tree = open();
  t.teardown(() => tree.close());
  const failed = shelf.run(() => tree.resolve('/n/d/f'));
  t.match(failed, { kind: 'failure', errno: errno.EIO, error: { code: 'CATALOG_NOT_SQLITE' } });
  const before = reads.filter((path) => path === '/n').length;
  t.match(tree.resolve('/n/d'), { kind: 'failure', errno: errno.EIO });
  t.ok(
    shelf.must(() => tree.resolve('/a')),
    'the rest is there',
  );
  t.ok(reads.includes('/n'));
  t.equal(reads.filter((path) => path === '/n').length, before);
  t.end();
});
