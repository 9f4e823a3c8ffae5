import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { objectPath } from '../../format/hash.js';
import { openDirectoryStorage } from '../storage/directory.js';
import { makeObjectWriter } from './writer.js';

async function writerTo(t: Test, threads = 2) {
  const root = t.testdir();
  const storage = await openDirectoryStorage(root);
  const release = await storage.lock();
  const writer = makeObjectWriter(storage, {
    algorithm: 'sha1',
    compression: 'zlib',
    chunkSizes: undefined,
    threads,
  });
  t.teardown(async () => {
    await writer.close();
    await release();
    await storage.close();
  });
  return { root, storage, writer };
}

/** What waits for its name. */
function leftAside(root: string): string[] {
  const aside = join(root, '.pinfs/new');
  return readdirSync(aside).flatMap((name) => readdirSync(join(aside, name)));
}

t.test('threads put objects into a directory, each content once', async (t) => {
  const { root, storage, writer } = await writerTo(t);
  const texts = Array.from({ length: 300 }, (_, index) => `content ${index % 100}`);
  const stored = await Promise.all(texts.map((text) => writer.store({ bytes: Buffer.from(text) })));
  for (const [index, { hash }] of stored.entries()) {
    if (hash === undefined) throw new Error('no hash');
    const bytes = readFileSync(join(root, objectPath({ hash, kind: 'data' })));
    if (inflateSync(bytes).toString() !== texts[index]) t.fail(`object of ${texts[index]}`);
  }
  t.match(writer.counts, { files: 300, newObjects: 100, knownObjects: 200 });
  t.same(leftAside(root), []);
  t.ok(readdirSync(join(root, '.pinfs')).includes('unsynced'), 'not on the disk yet');
  await storage.write('.cvmfspublished', Buffer.from('end'));
  t.notOk(readdirSync(join(root, '.pinfs')).includes('unsynced'), 'all are on the disk');
});

t.test('a large object is readable for others as a small one is', async (t) => {
  const { root, writer } = await writerTo(t, 1);
  const noise = Buffer.alloc(6_000_000);
  for (let at = 0, state = 1; at < noise.length; at++)
    noise[at] = (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >>> 24;
  const paths: string[] = [];
  for (const bytes of [noise, noise, Buffer.from('x')]) {
    const { hash } = await writer.store({ bytes });
    if (hash !== undefined) paths.push(join(root, objectPath({ hash, kind: 'data' })));
  }
  const modes = paths.map((path) => statSync(path).mode);
  t.equal(new Set(modes).size, 1);
  t.ok(inflateSync(readFileSync(paths[0] ?? '')).equals(noise));
  t.match(writer.counts, { newObjects: 2, knownObjects: 1 });
  t.same(leftAside(root), []);
});

t.test('what can not be put there is a failure of the storage', async (t) => {
  const { root, writer } = await writerTo(t, 1);
  mkdirSync(join(root, 'data'));
  // The folder of the object's name, which root could make whatever its mode.
  const { hash } = await writer.store({ bytes: Buffer.from('one') });
  t.ok(hash);
  writeFileSync(join(root, 'data/d8'), 'no folder');
  await t.rejects(writer.store({ bytes: Buffer.from('foo\n') }), {
    code: 'STORAGE_FAILED',
    message: /can't be written to .*\((ENOTDIR|EEXIST)\)/,
  });
  t.same(leftAside(root), []);
});
