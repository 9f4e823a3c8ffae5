import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { inspect, mount, open, PinfsError, type OpenOptions, type Snapshot } from './index.js';
import { openBench, type Bench } from './testing/bench.js';
import {
  directory,
  file,
  makeRepository,
  nested,
  special,
  symlink,
} from './publish/write-repository.js';

// The library as a program uses it.

const large = Buffer.from(Array.from({ length: 700_000 }, (_, n) => (n * 7919) % 251));
const made = makeRepository({
  revisions: [
    {
      tree: {
        'README.md': file('first'),
        large: file(large, { chunks: [100_000] }),
        link: symlink('README.md'),
        variable: symlink('$(PLACE:-nowhere)/x'),
        broken: file('bad row'),
        'caf\xe9': file('bytes', { xattrs: { 'user.note': Buffer.from([0, 255]) } }),
        null: special('character', { rdev: 0x103 }),
        deep: directory({
          below: nested({ file: file('nested', { mode: 0o4711, uid: 7, gid: 8, mtime: -5 }) }),
        }),
      },
      tags: { v1: 'the first' },
      sql: `UPDATE catalog SET size=-1 WHERE name='broken';`,
    },
    { tree: { 'README.md': file('second') } },
  ],
});

async function place(t: Test): Promise<{ bench: Bench; options: OpenOptions }> {
  const bench = await openBench(t, made);
  const cache = join(bench.work, 'cache');
  return { bench, options: { source: `${bench.server.url}@v1`, keys: [bench.key], cache } };
}

async function opened(t: Test, more: Partial<OpenOptions> = {}): Promise<Snapshot> {
  const { options } = await place(t);
  const snapshot = await open({ ...options, ...more });
  t.teardown(() => snapshot.close());
  return snapshot;
}

void t.test('what was opened says what it is', async (t) => {
  const snapshot = await opened(t);
  t.match(snapshot, {
    repository: made.fqrn,
    rootHash: made.revisions[0]?.rootHash.text,
    revision: 1,
    tag: 'v1',
    verdict: { status: 'verified', summary: String },
  });
});

void t.test('listing and looking', async (t) => {
  const snapshot = await opened(t);
  const names = (await snapshot.list('/')).map(({ name }) => name.toString('latin1'));
  const there = ['README.md', 'broken', 'caf\xe9', 'deep', 'large', 'link', 'null', 'variable'];
  t.same(names.sort(), there);
  t.match(await snapshot.stat('deep/below/file'), {
    path: Buffer.from('/deep/below/file'),
    type: 'file',
    mode: 0o4711,
    uid: 7,
    gid: 8,
    size: 6,
    nlink: 1,
    mtime: -5,
    target: undefined,
    damaged: undefined,
  });
  t.match(await snapshot.stat('/null'), { type: 'character', rdev: 0x103, size: 0 });
  const root = await snapshot.stat('/');
  t.match(root, { type: 'directory', path: Buffer.from('/'), name: Buffer.alloc(0) });
  t.equal((await snapshot.stat('/deep/..')).ino, root.ino);
  const bytes = await snapshot.stat(Buffer.from('/caf\xe9', 'latin1'));
  t.same(bytes.xattrs, new Map([['user.note', Buffer.from([0, 255])]]));
});

void t.test('links', async (t) => {
  const snapshot = await opened(t, { variables: ['PLACE=here'] });
  t.equal((await snapshot.stat('/link')).type, 'file', 'followed');
  const link = await snapshot.stat('/link', { follow: false });
  t.match(link, { type: 'symlink', target: Buffer.from('README.md') });
  t.equal((await snapshot.readlink('/variable')).toString(), 'here/x');
  t.equal((await snapshot.read('/link')).toString(), 'first');
  await t.rejects(snapshot.readlink('/README.md'), { code: 'USAGE', message: /no symlink/ });
});

void t.test('reading, whole, by ranges and in pieces', async (t) => {
  const snapshot = await opened(t);
  t.ok((await snapshot.read('/large')).equals(large));
  for (const [offset, length] of [
    [0, 1],
    [99_999, 2],
    [150_000, 300_000],
    [699_999, 10],
    [700_000, 1],
    [9_000_000, 5],
    [5, 0],
  ] as const) {
    const part = await snapshot.read('/large', { offset, length });
    t.ok(part.equals(large.subarray(offset, offset + length)), `${offset}, ${length}`);
  }
  t.ok((await snapshot.read('/large', { offset: 600_000 })).equals(large.subarray(600_000)));
  const pieces: Buffer[] = [];
  for await (const piece of snapshot.stream('/large', { offset: 10 })) pieces.push(piece);
  t.ok(Buffer.concat(pieces).equals(large.subarray(10)));
  for (const wrong of [-1, 1.5, NaN, Infinity, 2 ** 60]) {
    await t.rejects(snapshot.read('/large', { offset: wrong }), { code: 'USAGE' });
    await t.rejects(snapshot.read('/large', { length: wrong }), { code: 'USAGE' });
  }
});

void t.test('only the chunks of a range are fetched', async (t) => {
  const { bench, options } = await place(t);
  const snapshot = await open(options);
  t.teardown(() => snapshot.close());
  await snapshot.list('/');
  const before = bench.server.requests.length;
  await snapshot.read('/large', { offset: 250_000, length: 10 });
  const asked = bench.server.requests.slice(before).map(({ path }) => path);
  t.ok(asked.length >= 1 && asked.length <= 3, 'the one it lies in, and what is read ahead');
});

void t.test('errors have codes', async (t) => {
  const snapshot = await opened(t);
  await t.rejects(snapshot.stat('/none'), { code: 'NOT_FOUND', message: /^\/none: / });
  await t.rejects(snapshot.read('/deep'), { code: 'IS_DIRECTORY' });
  await t.rejects(snapshot.list('/README.md'), { code: 'NOT_DIRECTORY' });
  await t.rejects(snapshot.read('/broken'), { code: 'CATALOG_SCHEMA', exit: 5 });
  const broken = (await snapshot.list('/')).find(({ name }) => name.toString() === 'broken');
  t.match(broken?.damaged, { code: 'CATALOG_SCHEMA' });
  await snapshot.close();
  await snapshot.close();
  await t.rejects(snapshot.stat('/'), { code: 'INTERRUPTED', message: /closed/ });
  await t.rejects(snapshot.read('/README.md'), { code: 'INTERRUPTED' });

  const { bench, options } = await place(t);
  const failing = async (more: Partial<OpenOptions>): Promise<unknown> =>
    await open({ ...options, ...more }).catch((error: unknown) => error);
  t.match(await failing({ source: `${bench.server.url}@v2` }), { code: 'TAG_UNKNOWN' });
  t.match(await failing({ keys: [] }), { code: 'NO_KEY', exit: 3 });
  const refused = await failing({ source: join(bench.work, 'none') });
  t.ok(refused instanceof PinfsError && refused.advice !== undefined);
});

void t.test('an object that is damaged is never given out', async (t) => {
  const { bench, options } = await place(t);
  const snapshot = await open(options);
  t.teardown(() => snapshot.close());
  await snapshot.list('/');
  bench.server.behave(/^data/, 'bit-flipped');
  await t.rejects(snapshot.read('/README.md'), { code: 'OBJECT_HASH_MISMATCH' });
  bench.server.behave(/^data/, 'good');
  t.equal((await snapshot.read('/deep/below/file')).toString(), 'nested', 'others are there');
});

void t.test('what a repository is, with no key as well', async (t) => {
  const { bench, options } = await place(t);
  const seen = await inspect({ ...options, source: bench.server.url });
  t.match(seen, {
    verdict: { status: 'verified' },
    facts: { name: made.fqrn, revision: 2, ttlSeconds: 240 },
    failure: undefined,
  });
  t.same(seen.tags?.map(({ name }) => name).sort(), ['trunk', 'trunk-previous', 'v1']);
  const refused = await inspect({ ...options, keys: [], cache: join(bench.work, 'other') });
  t.match(refused, { verdict: { status: 'refused' }, failure: { code: 'NO_KEY' } });
  t.ok(
    refused.tags?.some(({ name }) => name === 'v1'),
    'tags are shown all the same',
  );
});

void t.test('a mountpoint that is none is refused before anything is asked', async (t) => {
  const { bench, options } = await place(t);
  const none = join(bench.work, 'none');
  await t.rejects(mount(options, none), { code: 'MOUNTPOINT_UNUSABLE', exit: 6 });
  writeFileSync(none, '');
  await t.rejects(mount(options, none), { code: 'MOUNTPOINT_UNUSABLE', exit: 6 });
  t.equal(bench.server.requests.length, 0);
});

/** Files of the cache that this process has open. */
function openBelow(cache: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${fd}`);
      return file.startsWith(`${cache}/`) ? [file] : [];
    } catch {
      return [];
    }
  });
}

void t.test(
  'what is in use when it is closed is interrupted, and nothing stays open',
  async (t) => {
    const { options } = await place(t);
    const cache = options.cache ?? '';
    const codes = new Set<unknown>();
    const use = async (work: () => Promise<unknown>): Promise<void> => {
      try {
        for (let times = 0; times < 1000; times++) {
          await work();
          await new Promise(setImmediate);
        }
      } catch (thrown) {
        codes.add(thrown instanceof PinfsError ? thrown.code : thrown);
      }
    };
    // The same with a cold cache, which lies elsewhere each time, and with a warm one.
    for (let turns = 0; turns < 12; turns++) {
      const at = turns % 2 === 0 ? cache : join(cache, '..', `cache${turns}`);
      const snapshot = await open({ ...options, cache: at });
      const users = [
        () => snapshot.list('/deep/below'),
        () => snapshot.read('/large'),
        () => snapshot.read('/deep/below/file'),
        () => snapshot.readlink('/link'),
      ].map(use);
      for (let turn = 0; turn < 3 * turns; turn++) await new Promise(setImmediate);
      await Promise.all([snapshot.close(), snapshot.close()]);
      t.same(openBelow(at), [], 'when it is closed');
      await Promise.all(users);
      t.same(openBelow(at), [], 'when everybody is gone');
    }
    t.same([...codes], ['INTERRUPTED']);
  },
);
