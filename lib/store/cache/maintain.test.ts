import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { memorySource } from '../../testing/fakes/memory-source.js';
import { checkFree, objectFile } from './layout.js';
import { cacheSize, clearCache, verifyAll } from './maintain.js';
import { openStore } from '../open.js';
import { wantKey, type Want } from '../want.js';

async function filled(t: Test) {
  const directory = t.testdir();
  const source = memorySource();
  const store = openStore({ directory, limit: 1e8, source });
  t.teardown(() => store.close());
  const wants = Array.from({ length: 10 }, () => source.put(randomBytes(100)));
  for (const want of wants) await store.fetch(want);
  const file = (want: Want): string => objectFile(directory, wantKey(want));
  const [first, second, third] = wants as [Want, Want, Want];
  return { directory, store, source, wants, first, second, third, file };
}

void t.test('a directory that is not there is an empty cache, and stays away', async (t) => {
  const directory = join(t.testdir(), 'none');
  t.match(await cacheSize(directory), { objects: 0, bytes: 0 });
  t.match(await verifyAll(directory), { objects: 0, damaged: [] });
  t.match(await clearCache(directory), { objects: 0, bytes: 0 });
  t.notOk(existsSync(directory));
});

void t.test('a directory that is no cache stays as it is', async (t) => {
  const directory = t.testdir({ objects: { ab: { cdef: 'of a git repository' } } });
  t.match(await verifyAll(directory), { objects: 0, strays: 0 });
  t.match(await clearCache(directory), { objects: 0, bytes: 0 });
  t.ok(existsSync(join(directory, 'objects', 'ab', 'cdef')));
  t.same(readdirSync(directory), ['objects']);
});

void t.test('size', async (t) => {
  const { directory, store, first } = await filled(t);
  store.hold(first);
  t.same(await cacheSize(directory), {
    objects: 10,
    bytes: 1000,
    onDisk: 40_960,
    held: { objects: 1, bytes: 100 },
  });
});

void t.test('what is damaged is told, though it can not be thrown out just now', async (t) => {
  const { directory, first, file } = await filled(t);
  chmodSync(file(first), 0o644);
  writeFileSync(file(first), randomBytes(100));
  const writer = new Database(join(directory, 'index.db'));
  t.teardown(() => writer.close());
  writer.exec('BEGIN IMMEDIATE');
  const report = await verifyAll(directory, (objects) => {
    if (objects === 10) writer.exec('ROLLBACK');
  });
  t.same(report.damaged, [wantKey(first)]);
  t.match(
    await verifyAll(directory),
    { damaged: [wantKey(first)] },
    'and thrown out the next time',
  );
  t.match(await verifyAll(directory), { objects: 9, damaged: [] });
});

void t.test('verify finds what was damaged, lost, or is known by nobody', async (t) => {
  const { directory, store, first, second, file } = await filled(t);
  t.match(await verifyAll(directory), { objects: 10, bytes: 1000, damaged: [], missing: 0 });
  chmodSync(file(first), 0o644);
  writeFileSync(file(first), randomBytes(100));
  unlinkSync(file(second));
  mkdirSync(join(directory, 'objects', 'zz'));
  writeFileSync(join(directory, 'objects', 'zz', 'stray'), 'x');
  const seen: [number, number][] = [];
  const report = await verifyAll(directory, (...progress) => seen.push(progress));
  t.same(report, {
    objects: 10,
    bytes: 1000,
    damaged: [wantKey(first)],
    missing: 1,
    strays: 1,
  });
  t.same(seen.at(-1), [10, 1000]);
  t.notOk(existsSync(file(first)));
  t.match(await cacheSize(directory), { objects: 8, onDisk: 8 * 4096 });
  await store.fetch(second);
});

void t.test('clear leaves what is held', async (t) => {
  const { directory, store, first, second, third, file } = await filled(t);
  store.hold(first);
  t.same(await clearCache(directory), { objects: 9, bytes: 900 });
  t.ok(existsSync(file(first)));
  t.notOk(existsSync(file(second)));
  await store.fetch(third);
  t.match(await cacheSize(directory), { onDisk: 8192 });
  await store.close();
  t.same(await clearCache(directory), { objects: 2, bytes: 200 });
});

const isRoot = process.geteuid?.() === 0;

void t.test("another user's cache is not taken for an empty one", { skip: !isRoot }, async (t) => {
  const { directory, store } = await filled(t);
  await store.close();
  for (const name of ['', 'version', 'CACHEDIR.TAG', 'index.db']) {
    chownSync(join(directory, name), 4321, 4321);
  }
  const refused = { code: 'CACHE_UNUSABLE', message: /belongs to another user \(uid 4321\)/ };
  for (const work of [cacheSize, verifyAll, clearCache]) await t.rejects(work(directory), refused);
  t.throws(() => checkFree(directory), refused);
  t.doesNotThrow(() => checkFree('/dev/null/cache'), 'whoever makes it says why that fails');
});
