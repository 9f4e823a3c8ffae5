import { createPrivateKey } from 'node:crypto';
import t from 'tap';
import { fromText } from '../../format/bytes.js';
import {
  catalogsOf,
  openPublishing,
  publishedName,
  shownTree,
  storedFile,
  type PublishChange,
} from '../../testing/publishing.js';
import { otherCertificate } from '../keys.js';
import { readHead } from './head.js';
import { publishRevision, rollBack } from './publish.js';
import { removeTags, tagRevision } from './tags.js';
import { directory, file, nested, special, symlink, type TreeSpec } from '../spec.js';
import { makeRepository } from '../write-repository.js';
import { openBench } from '../../testing/bench.js';

const nothing = {
  inputs: [],
  at: '',
  deletes: [],
  mtimeNs: false,
  crossDirectoryLinks: false,
  keepGoing: false,
} as const;
const long = Buffer.alloc(1500, 'some text that is cut into chunks, ');
const variety: TreeSpec = {
  empty: file(''),
  file: file('right\n', { mode: 0o4755, uid: 7, gid: 8, mtime: -5, mtimeNs: 999_999_999 }),
  chunked: file(long),
  [fromText('nämé\n')]: file('x'),
  link: symlink('../outside/$(ARCH)'),
  fifo: special('fifo', { mode: 0o600 }),
  socket: special('socket'),
  device: special('block', { rdev: 1_114_924 }),
  attributes: file('a', { xattrs: { 'user.b': 'bb', 'user.a': Buffer.from([0, 255]) } }),
  hard: directory({
    one: file('same', { linkGroup: 1 }),
    two: file('same', { linkGroup: 1 }),
    lonely: file('other', { linkGroup: 2 }),
  }),
  software: directory({
    a: nested({
      bin: directory({ tool: file('#!/bin/sh\n', { mode: 0o755 }) }),
      deep: nested({ x: file('deep') }),
    }),
    b: nested({ x: file('deep') }),
  }),
};

void t.test('a tree that is published is the same tree for a client', async (t) => {
  const scene = await openPublishing(t);
  const report = await scene.publish({ tree: variety, tag: { name: 'v1', message: 'first' } });
  t.match(report, { revision: 2, isUnchanged: false, tag: 'v1', catalogs: 4, leftOut: [] });
  const shown = await shownTree(await scene.open('v1'));
  const made = makeRepository({
    revisions: [{ tree: variety, time: Date.UTC(2021, 0, 1) / 1000, root: { mtimeNs: 0 } }],
  });
  const bench = await openBench(t, made);
  const expected = await shownTree(await bench.open(made.head.rootHash.text));
  // A file whose other names lie elsewhere has one name here.
  t.match(shown['/hard/lonely'], /nlink 1 /);
  t.same(shown, expected);
});

void t.test(
  'what is unchanged keeps its catalog; a catalog says which one it follows',
  async (t) => {
    const scene = await openPublishing(t);
    const first = await scene.publish({ tree: variety });
    t.equal(first.tag, 'generic-2021-01-02T00:00:00Z');
    const again = await scene.publish({ tree: variety });
    t.match(again, { isUnchanged: true, revision: 2, tag: undefined, catalogs: 0 });
    const changed = {
      ...variety,
      software: directory({
        a: nested({
          bin: directory({ tool: file('#!/bin/sh\n', { mode: 0o755 }) }),
          deep: nested({ x: file('deeper') }),
        }),
        b: nested({ x: file('deep') }),
      }),
    };
    const second = await scene.publish({ tree: changed, tag: { name: 'v2', message: '' } });
    t.match(second, { revision: 3, catalogs: 3 });
    const before = catalogsOf(scene, first.rootHash.text);
    const after = catalogsOf(scene, second.rootHash.text);
    t.same([...after.keys()].sort(), ['', '/software/a', '/software/a/deep', '/software/b']);
    t.same(after.get('/software/b'), before.get('/software/b'));
    const deep = after.get('/software/a/deep');
    t.match(deep?.properties, {
      previous_revision: before.get('/software/a/deep')?.hash,
      revision: '2',
      root_prefix: '/software/a/deep',
    });
    t.match(after.get('')?.properties, { previous_revision: first.rootHash.text, revision: '3' });
    // The same tree at once has the same counters.
    const fresh = await openPublishing(t);
    const whole = await fresh.publish({ tree: changed });
    for (const [path, { counters }] of catalogsOf(fresh, whole.rootHash.text))
      t.same(after.get(path)?.counters, counters, path);
  },
);

void t.test('a part is put at its path and others are taken out; the rest stays', async (t) => {
  const scene = await openPublishing(t);
  await scene.publish({ tree: variety });
  const report = await scene.publish({
    tree: { new: file('new') },
    at: '/software/c/d',
    deletes: ['/software/b', '/link'],
  });
  t.match(report, { revision: 3, catalogs: 1 });
  const shown = await shownTree(await scene.open());
  t.match(shown['/software/c/d/new'], / new /);
  t.notOk(Object.hasOwn(shown, '/link') || Object.hasOwn(shown, '/software/b/x'));
  t.match(shown['/software'], /nlink 4 /);
  t.match(shown['/software/a/deep/x'], / deep /);
  // One inside a nested catalog.
  const inside = await scene.publish({ tree: {}, at: '/software/a/deep/x' });
  t.equal(inside.catalogs, 3);
  t.match((await shownTree(await scene.open()))['/software/a/deep/x'], /^directory/);
  // Merged back where nothing asks for a catalog any more.
  const merged = await scene.publish({ deletes: ['/software/a/.cvmfscatalog'] });
  const catalogs = catalogsOf(scene, merged.rootHash.text);
  t.same([...catalogs.keys()].sort(), ['', '/software/a/deep']);
  t.match((await shownTree(await scene.open()))['/software/a/bin/tool'], /755/);
});

void t.test('what can not be published is refused, and nothing has changed', async (t) => {
  const scene = await openPublishing(t);
  await scene.publish({ tree: { ...variety, '.cvmfsdirtab': file('/software/*\n') } });
  const before = storedFile(scene, '.cvmfspublished');
  const refused = async (code: string, change: PublishChange): Promise<void> => {
    await t.rejects(scene.publish(change), { code }, JSON.stringify(change));
  };
  await refused('PUBLISH_PATH', { deletes: ['/nowhere'] });
  await refused('PUBLISH_PATH', { tree: {}, at: '/file/below' });
  await refused('PUBLISH_PATH', { tree: { '.cvmfscatalog': file('') } });
  for (const line of ['no/slash', '/a\n!/a', '/', '/bad\\'])
    await refused('DIRTAB_MALFORMED', { tree: { '.cvmfsdirtab': file(line) } });
  await refused('TAG_REFUSED', { tree: {}, tag: { name: 'trunk', message: '' } });
  await refused('TAG_REFUSED', { tree: {}, tag: { name: 'a b', message: '' } });
  const other = createPrivateKey(otherCertificate.privateKey);
  await t.rejects(publishRevision({ ...nothing, ...scene.publication, key: other }), {
    code: 'SIGNING_KEY',
  });
  await t.rejects(
    publishRevision({ ...nothing, ...scene.publication, fqrn: 'other.example.org' }),
    {
      code: 'REPOSITORY_MISSING',
    },
  );
  t.same(storedFile(scene, '.cvmfspublished'), before);
  const damaged = Buffer.from(before);
  damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1);
  await scene.storage.write('.cvmfspublished', damaged);
  await refused('MANIFEST_SIGNATURE', { tree: {} });
  await scene.storage.write('.cvmfspublished', before);
  await scene.storage.write('.cvmfsreflog', Buffer.from('none'));
  await refused('REFLOG_MALFORMED', { tree: {} });
  await scene.storage.remove('.cvmfspublished');
  await refused('REPOSITORY_MISSING', { tree: {} });
});

void t.test('who published meanwhile is not lost: the other one is told', async (t) => {
  const scene = await openPublishing(t);
  const { storage } = scene;
  let inside: Promise<unknown> | undefined;
  const slow: typeof storage = {
    ...storage,
    async write(path, content, only) {
      if (path === '.cvmfsreflog')
        await (inside ??= scene.publish({ tree: { winner: file('1') } }));
      return storage.write(path, content, only);
    },
  };
  const request = { ...nothing, ...scene.publication, storage: slow, deletes: [] };
  const loser = { ...request, tag: { name: 'loser', message: '' } };
  await t.rejects(publishRevision(loser), { code: 'STORAGE_BUSY' });
  t.same(Object.keys(await shownTree(await scene.open())), ['/', '/winner']);
});

void t.test('names stay with their snapshots', async (t) => {
  const scene = await openPublishing(t);
  const first = await scene.publish({
    tree: { a: file('1') },
    tag: { name: 'v1', message: 'one' },
  });
  await t.rejects(scene.publish({ tree: {}, tag: { name: 'v1', message: '' } }), {
    code: 'TAG_REFUSED',
  });
  const second = await scene.publish({ tree: { a: file('2') }, tag: { name: 'v2', message: '' } });
  const now = { ...scene.publication, time: scene.publication.time + 10 * 86_400 };
  await t.rejects(tagRevision(now, { name: 'v1', message: '' }), { code: 'TAG_REFUSED' });
  t.match(await tagRevision(now, { name: 'old', message: 'm', hash: first.rootHash.text }), {
    hash: first.rootHash.text,
    revision: 2,
    description: 'm',
  });
  await removeTags(now, ['old']);
  await t.rejects(removeTags(now, ['old']), { code: 'TAG_UNKNOWN' });
  await t.rejects(removeTags(now, ['trunk']), { code: 'TAG_REFUSED' });
  await t.rejects(tagRevision(now, { name: 'old', message: '' }), { code: 'TAG_REFUSED' });
  await tagRevision(now, { name: 'old', message: '', hash: first.rootHash.text });
  const back = await rollBack({ ...now, time: now.time + 1 }, 'v1');
  t.match(back, { revision: 4, previous: second.rootHash, isUnchanged: false });
  t.match((await shownTree(await scene.open()))['/a'], / 1 /);
  const tags = new Map(
    (await readHead(scene.storage, publishedName)).history.tags.map((tag) => [tag.name, tag.hash]),
  );
  t.match(Object.fromEntries(tags), {
    v1: first.rootHash.text,
    v2: second.rootHash.text,
    'trunk-previous': second.rootHash.text,
    trunk: back.rootHash.text,
  });
  await t.rejects(rollBack(now, 'v9'), { code: 'TAG_UNKNOWN' });
});

void t.test(
  'the same tree and time make the same root hash, with any number of threads',
  async (t) => {
    const hashes = new Set<string>();
    for (const threads of [1, 3]) {
      const scene = await openPublishing(t, { threads });
      const reversed = Object.fromEntries(Object.entries(variety).reverse());
      const tree = threads === 1 ? variety : reversed;
      hashes.add((await scene.publish({ tree })).rootHash.text);
    }
    t.equal(hashes.size, 1);
  },
);
