import t from 'tap';
import { makeFakeTree, type FakeEntry } from '../testing/fakes/fake-tree.js';
import { hashBytes } from '../format/hash.js';
import type { Outcome, Want } from '../store/want.js';
import type { NodeId } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';
import { openAhead, type Ahead } from './ahead.js';
import { openReadAhead } from './read-ahead.js';

const bytes = Buffer.from('x');
const leaf: FakeEntry = { children: { file: { bytes } } };
const content: FakeEntry = {
  children: {
    a: { children: { one: leaf, two: { children: { deep: leaf } } } },
    b: leaf,
    c: leaf,
    file: { bytes },
  },
};

function value<T>(outcome: Outcome<T>): T {
  if (outcome.kind !== 'done') throw new Error('not done');
  return outcome.value;
}

/** A tree that notes the paths of what is listed ahead, and a client that lists it. */
function walking(change: (tree: Tree) => Partial<Tree> = () => ({}), all = content) {
  const { tree: fake, shelf } = makeFakeTree(all);
  const loaded: string[] = [];
  const prepared: NodeId[] = [];
  const plain: Tree = { ...fake, ...change(fake) };
  const tree: Tree = {
    ...plain,
    list(node, after, limit) {
      const { path } = value(fake.entry(node));
      if (!loaded.includes(path)) loaded.push(path);
      return plain.list(node, after, limit);
    },
  };
  const ahead = openAhead(tree, (node) => prepared.push(node), openReadAhead(tree, shelf));
  const list = (path: string) => {
    const directory = value(fake.resolve(path)).node;
    for (const entry of value(fake.list(directory, 0, 1e6)).entries) ahead.shown(entry);
    ahead.listed(directory);
  };
  return { ahead, loaded, prepared, list, node: (path: string) => value(fake.resolve(path)).node };
}

/** Works until nothing is left to do; fails to end if that never comes. */
function finish(ahead: Ahead): number {
  let steps = 0;
  while (ahead.work()) if (++steps > 1000) throw new Error('there is no end to it');
  return steps;
}

void t.test('what is at the top is loaded before anybody comes', (t) => {
  const { ahead, loaded } = walking();
  finish(ahead);
  t.same(loaded, ['', '/a', '/a/one', '/a/two', '/a/two/deep', '/b', '/c']);
  t.equal(finish(ahead), 0, 'once');
  t.end();
});

void t.test('who walks finds what comes next loaded, from above down', (t) => {
  const { ahead, loaded, list } = walking();
  // Somewhere that was not expected: no walk yet.
  list('/b');
  finish(ahead);
  t.same(loaded, []);
  list('');
  finish(ahead);
  t.same(loaded, [], 'one listing is no walk');
  list('/a');
  finish(ahead);
  t.same(loaded, ['/a/one', '/a/two'], 'a few at first');
  list('/a/one');
  finish(ahead);
  t.same(loaded, ['/a/one', '/a/two', '/a/two/deep', '/b', '/c'], 'then more');
  t.end();
});

void t.test('a file that is waited for counts at once, and once', (t) => {
  const files = ['a', 'b', 'c', 'd', 'e', 'f'];
  const { ahead, node } = walking(
    (tree) => ({
      following: (of) => {
        const { entries } = value(tree.list(tree.root, 0, 100));
        return entries[entries.findIndex((it) => it.node === of) + 1]?.node;
      },
    }),
    { children: Object.fromEntries(files.map((name) => [name, { bytes: Buffer.from(name) }])) },
  );
  for (const name of ['a', 'b']) {
    ahead.missed(node(`/${name}`));
    ahead.missed(node(`/${name}`));
    ahead.read(node(`/${name}`));
    t.same(ahead.take(1e6), []);
  }
  ahead.missed(node('/c'));
  const paths = ahead.take(1e6).map(({ path }) => path);
  t.same(paths.slice(0, 3), ['/d', '/e', '/f'], 'before it is here');
  ahead.read(node('/c'));
  ahead.read(node('/d'));
  t.equal(ahead.counts.used, 1);
  t.end();
});

void t.test('another order is followed as well; a jump elsewhere ends the walk', (t) => {
  const { ahead, loaded, list } = walking();
  list('/b');
  list('');
  list('/c');
  finish(ahead);
  t.same(loaded, ['/a', '/a/one']);
  list('/a/two/deep');
  list('/b');
  finish(ahead);
  t.same(loaded, ['/a', '/a/one'], 'nothing is expected any more');
  t.end();
});

void t.test('who walks below somewhere finds that loaded, whatever was loaded elsewhere', (t) => {
  const names = Array.from({ length: 40 }, (_, index) => `n${index}`);
  const group = directories(20);
  const { ahead, loaded, list } = walking(() => ({}), {
    children: Object.fromEntries(names.map((name) => [name, group])),
  });
  finish(ahead);
  t.equal(loaded.length, 64);
  // As of a client that sorts the names: in another order than that of the listing.
  for (const name of ['n7', 'n20', 'n3', 'n39']) {
    list(`/${name}`);
    for (let index = 0; index < 20; index++) {
      finish(ahead);
      if (!loaded.includes(`/${name}/d${index}`)) t.fail(`/${name}/d${index}`);
      list(`/${name}/d${index}`);
    }
  }
  t.end();
});

void t.test('what is missing or broken is passed over, and followed when it was listed', (t) => {
  const { ahead, loaded, list, node } = walking((tree) => ({
    list: (directory, after, limit) =>
      directory === node('/a') ? { kind: 'failure', errno: 5 } : tree.list(directory, after, limit),
  }));
  finish(ahead);
  t.same(loaded, ['', '/a', '/b', '/c']);
  list('/a');
  finish(ahead);
  t.same(loaded.slice(4), ['/a/one', '/a/two']);
  t.end();
});

function directories(count: number): FakeEntry {
  const names = Array.from({ length: count }, (_, index) => `d${index}`);
  return { children: Object.fromEntries(names.map((name) => [name, { children: {} }])) };
}

void t.test(
  'no number of directories is too much; those that are too many are not expected',
  (t) => {
    const { ahead, loaded, list } = walking(() => ({}), directories(200_000));
    list('');
    for (let index = 0; index < 4096; index++) {
      list(`/d${index}`);
      finish(ahead);
    }
    t.ok(loaded.includes('/d4095'));
    t.notOk(loaded.includes('/d4096'));
    t.end();
  },
);

void t.test('what is no longer expected is not followed', (t) => {
  const all: FakeEntry = {
    children: { a: leaf, missing: directories(5000), second: directories(20) },
  };
  const { ahead, loaded, list, node } = walking(
    (tree) => ({
      list: (directory, after, limit) =>
        directory === node('/missing')
          ? { kind: 'failure', errno: 5 }
          : tree.list(directory, after, limit),
    }),
    all,
  );
  list('');
  list('/a');
  while (!loaded.includes('/second')) ahead.work();
  list('/missing');
  finish(ahead);
  t.notOk(loaded.includes('/second/d0'));
  t.ok(loaded.includes('/missing/d0'));
  t.end();
});

void t.test('the file behind one that was read in order is opened', (t) => {
  const order = [11, 12, 13, 14];
  const { ahead, prepared } = walking(() => ({
    following: (node) => order[order.indexOf(node) + 1],
  }));
  finish(ahead);
  ahead.read(11);
  finish(ahead);
  t.same(prepared, [], 'the first of them says nothing yet');
  ahead.read(12);
  finish(ahead);
  t.same(prepared, [13]);
  ahead.read(11);
  finish(ahead);
  t.same(prepared, [13], 'back again');
  ahead.read(14);
  ahead.read(99);
  finish(ahead);
  t.same(prepared, [13], 'there is none behind the last');
  t.end();
});

void t.test('who walks on gets the catalogs that come next, once each', (t) => {
  const names = Array.from({ length: 12 }, (_, number) => `d${String(number).padStart(2, '0')}`);
  const want = (path: string, size: Want['size']): Want => ({
    object: { hash: hashBytes('sha1', Buffer.from(path)), kind: 'catalog' },
    compression: 'zlib',
    size,
    path,
  });
  const lacking = (fake: Tree): Partial<Tree> => ({
    list: (node) => {
      const { path } = value(fake.entry(node));
      const isLarge = path === '/d09';
      const bytes = isLarge ? 5000 : 400;
      const kind = path === '/d10' ? 'limit' : 'exact';
      return path === ''
        ? fake.list(node, 0, 100)
        : { kind: 'miss', want: want(path, { kind, bytes }) };
    },
  });
  const all = { children: Object.fromEntries(names.map((name) => [name, leaf])) };
  const { ahead, list } = walking(lacking, all);
  const taken = (): string[] => {
    finish(ahead);
    return ahead.take(4000).map(({ path }) => path);
  };
  t.same(taken(), [], 'nobody has come');
  list('');
  list('/d00');
  t.same(taken(), []);
  list('/d05');
  t.same(taken(), [], 'in no order');
  for (const name of ['d06', 'd07']) list(`/${name}`);
  t.same(taken(), [], 'not yet');
  list('/d08');
  const fit = names.filter((name) => name !== 'd09' && name !== 'd10').slice(0, 10);
  t.same(
    taken(),
    fit.map((name) => `/${name}`),
    'those of a size that fits',
  );
  t.same(ahead.take(4000), []);
  t.end();
});
