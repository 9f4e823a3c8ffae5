import { blocksOf } from './attributes.js';
import { errno } from '../format/errno.js';
import { constants } from 'node:fs';
import t from 'tap';
import { PinfsError } from '../format/errors.js';
import type { Outcome } from '../store/want.js';
import { makeFakeTree, type FakeEntry, type FakeTree } from '../testing/fakes/fake-tree.js';
import type { RootProperties } from '../tree/tree.js';
import type { Filesystem } from './filesystem.js';
import { quietFacts, type LiveFacts } from './live-facts.js';
import { openFilesystem } from './open-filesystem.js';
import type { Identity } from './snapshot-descriptor.js';

const identity: Identity = {
  fqrn: 'test.example.org',
  tag: 'v1',
  revision: 7,
  rootHash: '0123456789012345678901234567890123456789',
  pinned: true,
  sourceLabel: 'http://127.0.0.1/test.example.org',
  trust: '{"status":"verified"}',
};

const damage = new PinfsError('OBJECT_HASH_MISMATCH', 'the row is damaged');
const bytes = Buffer.from(Array.from({ length: 100 }, (_, index) => index));

const content: FakeEntry = {
  children: {
    file: { bytes, mode: 0o640, uid: 5, gid: 6, mtime: -3, mtimeNs: 7, nlink: 2 },
    chunked: { bytes, chunkSize: 30 },
    empty: { bytes: Buffer.alloc(0) },
    link: { target: 'file' },
    'long link': { target: 'x'.repeat(4095) },
    'too long link': { target: 'x'.repeat(4096) },
    directory: { children: { inner: { bytes }, more: { children: {} } } },
    device: { type: 'block', rdev: 2049 },
    fifo: { type: 'fifo' },
    hidden: { bytes, hidden: true },
    broken: { bytes, broken: damage },
  },
};

function make(
  properties: Partial<RootProperties> = {},
  facts: Partial<LiveFacts> = {},
): FakeTree & { filesystem: Filesystem } {
  const fake = makeFakeTree(content, properties);
  const live = () => quietFacts({ uid: 0, ...facts });
  return { ...fake, filesystem: openFilesystem(fake.tree, fake.shelf, identity, live) };
}

function value<T>(outcome: Outcome<T>): T {
  if (outcome.kind !== 'done') throw new Error(`not done: ${JSON.stringify(outcome)}`);
  return outcome.value;
}

function errnoOf(outcome: Outcome<unknown>): number | undefined {
  return outcome.kind === 'failure' ? outcome.errno : undefined;
}

function node(filesystem: Filesystem, path: string): number {
  return value(filesystem.resolve(path)).node;
}

void t.test('attributes are those of the entry, with blocks as the reference counts them', (t) => {
  const { filesystem } = make();
  const found = value(filesystem.resolve('/file'));
  t.match(found, { mode: 0o100640, uid: 5, gid: 6, size: 100, nlink: 2, mtime: -3, mtimeNs: 7 });
  t.equal(blocksOf(found), 1);
  t.equal(blocksOf(value(filesystem.resolve('/directory'))), 9);
  t.equal(value(filesystem.resolve('/device')).rdev, 2049);
  t.same(value(filesystem.getattr(found.node)), found);
  t.same(value(filesystem.lookup(filesystem.root, 'file')), found);
  t.equal(value(filesystem.resolve('/hidden')).size, 100, 'hidden entries are found by name');
  t.end();
});

void t.test('errors are those of POSIX', (t) => {
  const { filesystem } = make();
  t.equal(errnoOf(filesystem.resolve('/absent')), errno.ENOENT);
  t.equal(errnoOf(filesystem.resolve('/file/below')), errno.ENOTDIR);
  t.equal(errnoOf(filesystem.lookup(filesystem.root, 'n'.repeat(256))), errno.ENAMETOOLONG);
  t.equal(errnoOf(filesystem.getattr(9999)), errno.ENOENT);
  t.equal(errnoOf(filesystem.readlink(node(filesystem, '/file'))), errno.EINVAL);
  t.equal(errnoOf(filesystem.readdir(node(filesystem, '/file'), 0, 10)), errno.ENOTDIR);
  t.equal(value(filesystem.readlink(node(filesystem, '/link'))), 'file');
  t.equal(value(filesystem.readlink(node(filesystem, '/long link'))).length, 4095);
  const tooLong = filesystem.readlink(node(filesystem, '/too long link'));
  t.equal(errnoOf(tooLong), errno.ENAMETOOLONG, 'the kernel takes no page without its NUL');
  t.end();
});

void t.test(
  'a broken entry is listed, and everything else about it is EIO with its reason',
  (t) => {
    const { filesystem, tree } = make();
    const page = value(filesystem.readdir(filesystem.root, 0, 100));
    t.ok(page.names.includes('broken'));
    const broken = value(tree.resolve('/broken')).node;
    const failure = { kind: 'failure', errno: errno.EIO, error: damage } as const;
    t.same(filesystem.resolve('/broken'), failure);
    t.same(filesystem.lookup(filesystem.root, 'broken'), failure);
    t.same(filesystem.getattr(broken), failure);
    t.same(filesystem.open(broken, 0), failure);
    t.same(filesystem.read(broken, 0, 1, Buffer.alloc(1), 0), failure);
    t.same(filesystem.readlink(broken), failure);
    t.same(filesystem.readdir(broken, 0, 10), failure);
    t.same(filesystem.getxattr(broken, 'user.fqrn'), failure);
    t.same(filesystem.listxattr(broken), failure);
    t.end();
  },
);

void t.test('only regular files are opened, and only for reading', (t) => {
  const { filesystem } = make();
  const open = (path: string, flags: number) => filesystem.open(node(filesystem, path), flags);
  t.equal(value(open('/file', constants.O_RDONLY)).size, 100);
  t.equal(open('/file', constants.O_RDONLY | constants.O_NONBLOCK).kind, 'done');
  t.equal(errnoOf(open('/directory', 0)), errno.EISDIR);
  t.equal(errnoOf(open('/link', 0)), errno.ELOOP);
  t.equal(errnoOf(open('/device', 0)), errno.ENXIO);
  t.equal(errnoOf(open('/fifo', 0)), errno.ENXIO);
  for (const flag of [constants.O_WRONLY, constants.O_RDWR, constants.O_TRUNC]) {
    t.equal(errnoOf(open('/file', flag)), errno.EROFS, `flag ${flag}`);
  }
  t.equal(errnoOf(filesystem.read(node(filesystem, '/directory'), 0, 1, bytes, 0)), errno.EISDIR);
  t.end();
});

void t.test(
  'a directory begins with . and .., and pages of any size give the same listing',
  (t) => {
    const { filesystem } = make();
    const inner = node(filesystem, '/directory');
    const whole = value(filesystem.readdir(inner, 0, 100));
    t.same(whole.names, ['.', '..', 'inner', 'more']);
    t.ok(whole.end);
    t.equal(whole.attributes[0]?.node, inner);
    t.equal(whole.attributes[1]?.node, filesystem.root);
    const top = value(filesystem.readdir(filesystem.root, 0, 2));
    t.equal(top.attributes[1]?.node, filesystem.root, 'the root is its own parent');
    const all = value(filesystem.readdir(filesystem.root, 0, 1000)).names;
    t.notOk(all.includes('hidden'));
    for (const size of [1, 2, 3, 5]) {
      const names: string[] = [];
      let after = 0;
      for (let pages = 0; pages < 50; pages++) {
        const page = value(filesystem.readdir(filesystem.root, after, size));
        t.ok(page.names.length <= size);
        names.push(...page.names);
        if (page.end) break;
        after = page.cookies.at(-1) ?? after;
      }
      t.same(names, all, `pages of ${size}`);
    }
    t.end();
  },
);

void t.test('cookies of the dots and of the tree never collide', (t) => {
  const { filesystem } = make();
  const { cookies } = value(filesystem.readdir(filesystem.root, 0, 100));
  t.equal(new Set(cookies).size, cookies.length);
  t.same(cookies.slice(0, 2), [1, 2]);
  t.end();
});

void t.test('reading gives exactly what lies in the range', (t) => {
  const { filesystem } = make();
  for (const path of ['/file', '/chunked']) {
    const file = node(filesystem, path);
    for (const [offset, length] of [
      [0, 100],
      [0, 1],
      [29, 2],
      [30, 30],
      [10, 85],
      [99, 50],
      [0, 500],
    ] as const) {
      const target = Buffer.alloc(510, 0xee);
      const count = value(filesystem.read(file, offset, length, target, 5));
      const expected = bytes.subarray(offset, offset + length);
      t.equal(count, expected.length, `${path} ${offset}+${length}`);
      t.same(target.subarray(5, 5 + count), expected);
      t.same(target.subarray(0, 5), Buffer.alloc(5, 0xee));
      t.equal(target[5 + count], 0xee, 'nothing is written behind it');
    }
    for (const offset of [100, 101, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
      t.equal(
        value(filesystem.read(file, offset, 10, Buffer.alloc(10), 0)),
        0,
        `${path} ${offset}`,
      );
    }
    t.equal(value(filesystem.read(file, 0, 0, Buffer.alloc(0), 0)), 0);
  }
  t.equal(value(filesystem.read(node(filesystem, '/empty'), 0, 9, Buffer.alloc(9), 0)), 0);
  t.end();
});

void t.test('a read misses only the chunks of its range, the first one first', (t) => {
  const made = make();
  const { filesystem, present, tree } = made;
  const file = node(filesystem, '/chunked');
  const chunks = value(tree.chunks(file));
  made.clear();
  const miss = filesystem.read(file, 35, 40, Buffer.alloc(40), 0);
  if (miss.kind !== 'miss') throw new Error('no miss');
  t.equal(miss.want.object.hash.text, chunks[1]?.object.hash.text);
  t.match(miss.want, { path: '/chunked', size: { kind: 'exact', bytes: 30 }, compression: 'none' });
  t.equal(miss.ahead?.[0]?.object.hash.text, chunks[2]?.object.hash.text);
  present.set(`${chunks[1]?.object.hash.text}P.plain`, bytes.subarray(30, 60));
  const next = filesystem.read(file, 35, 40, Buffer.alloc(40), 0);
  t.equal(next.kind === 'miss' && next.want.object.hash.text, chunks[2]?.object.hash.text);
  t.equal(value(filesystem.read(file, 35, 20, Buffer.alloc(20), 0)), 20, 'one chunk is enough');
  t.end();
});

void t.test(
  'statfs shows the cache, no file system that is full of files, and never misses',
  (t) => {
    const { filesystem } = make({}, { cacheBytes: 1024, cacheLimit: 1 << 20 });
    t.same(filesystem.statfs(), {
      blockSize: 512,
      blocks: 2048,
      blocksFree: 2046,
      files: 0,
      filesFree: 0,
      nameMax: 255,
    });
    const fake = makeFakeTree(content);
    const want = value(fake.tree.catalogOf(1)).want;
    const lacking = { ...fake.tree, catalogOf: () => ({ kind: 'miss', want }) as const };
    const other = openFilesystem(lacking, fake.shelf, identity, () => quietFacts());
    t.equal(other.statfs().files, 0);
    t.end();
  },
);

void t.test('a membership keeps everyone out but root, and says so', (t) => {
  const asked = { vomsAuthz: 'x509%/atlas' };
  const root = make(asked, { uid: 0 }).filesystem;
  t.equal(value(root.readdir(root.root, 0, 3)).names.length, 3);
  t.equal(value(root.getxattr(root.root, 'user.authz')).toString(), 'x509%/atlas');

  const { filesystem, tree } = make(asked, { uid: 1000 });
  const file = value(tree.resolve('/file')).node;
  t.equal(value(filesystem.getattr(filesystem.root)).mode, 0o40755);
  t.equal(value(filesystem.resolve('/')).node, filesystem.root);
  t.equal(value(filesystem.getxattr(filesystem.root, 'user.authz')).toString(), 'x509%/atlas');
  t.ok(value(filesystem.listxattr(filesystem.root)).includes('user.authz'));
  for (const refused of [
    filesystem.lookup(filesystem.root, 'file'),
    filesystem.resolve('/file'),
    filesystem.getattr(file),
    filesystem.readdir(filesystem.root, 0, 10),
    filesystem.readlink(file),
    filesystem.open(file, 0),
    filesystem.read(file, 0, 1, Buffer.alloc(1), 0),
    filesystem.getxattr(file, 'user.fqrn'),
    filesystem.listxattr(file),
  ]) {
    t.equal(errnoOf(refused), errno.EACCES);
  }
  t.equal(filesystem.statfs().nameMax, 255);
  t.end();
});
