import { segmentLimit } from '../../eviction/amounts.js';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { memorySource } from '../../testing/fakes/memory-source.js';
import { openStore } from '../open.js';
import type { Shelf } from '../shelf.js';
import { wantKey, type Want } from '../want.js';
import { evictObjects } from './contents.js';
import { cacheSize, clearCache, verifyAll } from './maintain.js';
import { openShelf } from './open-shelf.js';

const limit = 144 * 1024 * 1024;

function open(t: Test, directory: string = t.testdir()) {
  const source = memorySource();
  const store = openStore({ directory, limit, source });
  t.teardown(() => store.close());
  return { directory, source, store };
}

async function filled(t: Test, sizes: readonly number[] = [1000, 0, 65536, 5]) {
  const set = open(t);
  const plains = sizes.map((size) => randomBytes(size));
  const wants = plains.map((plain) => set.source.put(plain));
  await Promise.all(wants.map((want) => set.store.fetch(want)));
  return { ...set, plains, wants };
}

function content(shelf: Shelf, want: Want): Buffer | undefined {
  const buffer = Buffer.alloc(want.size.bytes + 10);
  const count = shelf.read(want, 0, buffer.length, buffer, 0);
  return count === undefined ? undefined : buffer.subarray(0, count);
}

function segments(directory: string): string[] {
  return readdirSync(join(directory, 'segments')).map((name) => join(directory, 'segments', name));
}

function onDisk(directory: string): number {
  const blocks = (path: string): number => Math.ceil(statSync(path).size / 4096) * 4096;
  return segments(directory).reduce((sum, path) => sum + blocks(path), 0);
}

function shelfOf(t: Test, directory: string): Shelf {
  const shelf = openShelf(directory);
  t.teardown(() => shelf.close());
  return shelf;
}

/** Changes one byte of a file in place. */
function flip(path: string, position: number): void {
  const byte = readFileSync(path)[position] ?? 0;
  const fd = openSync(path, 'r+');
  writeSync(fd, Buffer.from([byte ^ 1]), 0, 1, position);
  closeSync(fd);
}

void t.test('how long they become', (t) => {
  t.equal(segmentLimit(127 * 1024 * 1024), 0, 'a small cache has a file for each object');
  t.equal(segmentLimit(128 * 1024 * 1024), 2 * 1024 * 1024);
  t.equal(segmentLimit(1e12), 8 * 1024 * 1024);
  t.end();
});

void t.test('small objects lie in one file, and are read from any thread', async (t) => {
  const { directory, store, plains, wants, source } = await filled(t);
  const large = randomBytes(65537);
  const last = source.put(large);
  await store.fetch(last);
  t.equal(segments(directory).length, 1);
  t.equal(onDisk(directory), 69632, 'no more than they have, in whole blocks');
  const files = readdirSync(join(directory, 'objects'), { recursive: true, encoding: 'utf8' });
  t.equal(files.filter((name) => name.includes('/')).length, 1, 'what is larger has a file');
  for (const shelf of [store.shelf, shelfOf(t, directory)]) {
    for (const [index, want] of wants.entries()) t.same(content(shelf, want), plains[index]);
    t.same(content(shelf, last), large);
    const part = Buffer.alloc(4);
    t.equal(shelf.read(wants[0] as Want, 998, 100, part, 1), 2, 'the end of one');
    t.same(part.subarray(1, 3), plains[0]?.subarray(998));
    t.equal(shelf.read(wants[0] as Want, 1000, 100, part, 0), 0);
  }
  t.match(await cacheSize(directory), { objects: 5, onDisk: 69632 + 69632 });
  t.equal(store.statistics.bytes, 69632 + 69632);
  await store.fetch(wants[0] as Want);
  t.equal(source.requests.length, 5, 'nothing is fetched twice');
});

void t.test('a small catalog lies beside content, and has no path', async (t) => {
  const { directory, store, source } = await filled(t);
  const catalog = randomBytes(5000);
  const want = source.put(catalog, { kind: 'catalog' });
  const history = source.put(randomBytes(5000), { kind: 'history' });
  await store.fetch(want);
  await store.fetch(history);
  t.equal(segments(directory).length, 1);
  for (const shelf of [store.shelf, shelfOf(t, directory)]) {
    t.same(content(shelf, want), catalog);
    t.equal(shelf.path(want), undefined);
    t.type(shelf.path(history), 'string', 'what SQLite alone reads has a file');
  }
  await store.fetch(want);
  t.equal(source.requests.length, 6, 'nothing is fetched twice');
});

void t.test('a byte that was changed is found at the next read, whoever has it open', async (t) => {
  const { directory, store, plains, wants, source } = await filled(t, [3000, 3000]);
  const shelf = shelfOf(t, directory);
  const [first, second] = wants as [Want, Want];
  t.same(content(shelf, first), plains[0]);
  const [segment = ''] = segments(directory);
  for (const position of [0, 1500, 2999]) {
    flip(segment, placeOf(directory, first) + position);
    t.equal(content(shelf, first), undefined);
    t.same(content(shelf, second), plains[1], 'its neighbour is right');
    t.notOk(shelf.has(first));
    await store.fetch(first);
    t.same(content(shelf, first), plains[0], 'fetched again');
    const part = Buffer.alloc(10);
    t.equal(shelf.read(first, 5, 10, part, 0), 10);
    t.same(part, plains[0]?.subarray(5, 15));
  }
  t.equal(source.requests.length, 5);
});

void t.test('what was read ahead is right for one read, also if it is the next', async (t) => {
  const { directory, plains, wants } = await filled(t, [3000, 3000]);
  const shelf = shelfOf(t, directory);
  const [first, second] = wants as [Want, Want];
  shelf.prepare?.(first);
  t.same(content(shelf, second), plains[1], 'another one is read');
  shelf.prepare?.(first);
  const [segment = ''] = segments(directory);
  flip(segment, placeOf(directory, first));
  t.same(content(shelf, first), plains[0]);
  t.equal(content(shelf, first), undefined, 'then it is looked after again');
  shelf.prepare?.(first);
  t.equal(content(shelf, first), undefined);
});

/** Where an object begins in its segment. */
function placeOf(directory: string, want: Want): number {
  const db = new Database(join(directory, 'index.db'), { readonly: true });
  const row = db
    .prepare<[string], { place: number }>('SELECT place FROM objects WHERE key = ?')
    .get(wantKey(want));
  db.close();
  return row?.place ?? -1;
}

const losses: Record<string, (directory: string) => void> = {
  'the segment is gone': (directory) => {
    for (const path of segments(directory)) rmSync(path);
  },
  'the folder is gone': (directory) => {
    rmSync(join(directory, 'segments'), { recursive: true });
  },
  'it was cut': (directory) => {
    for (const path of segments(directory)) truncateSync(path, 500);
  },
  'something else lies there': (directory) => {
    for (const path of segments(directory)) {
      rmSync(path);
      writeFileSync(path, randomBytes(100_000));
    }
  },
};

for (const [what, lose] of Object.entries(losses)) {
  void t.test(`${what}: fetched again`, async (t) => {
    const { directory, store, plains, wants } = await filled(t);
    await store.close();
    lose(directory);
    const again = openStore({ directory, limit, source: (await refill(plains)).source });
    t.teardown(() => again.close());
    const shelf = shelfOf(t, directory);
    for (const [index, want] of wants.entries()) {
      if (content(shelf, want) === undefined) await again.fetch(want);
      t.same(content(shelf, want), plains[index]);
      t.same(content(again.shelf, want), plains[index]);
    }
    t.match(await verifyAll(directory), { damaged: [], missing: 0, objects: 4 });
  });
}

function refill(plains: readonly Buffer[]) {
  const source = memorySource();
  for (const plain of plains) source.put(plain);
  return Promise.resolve({ source });
}

void t.test('a segment that is lost while a store writes to it', async (t) => {
  const { directory, store, source, plains, wants } = await filled(t);
  rmSync(join(directory, 'segments'), { recursive: true });
  const next = randomBytes(100);
  const want = source.put(next);
  await store.fetch(want);
  const shelf = shelfOf(t, directory);
  t.same(content(shelf, want), next);
  await store.fetch(wants[0] as Want);
  t.same(content(store.shelf, wants[0] as Want), plains[0]);
});

void t.test('verify tells what is damaged and missing, and takes strays away', async (t) => {
  const { directory, store, wants } = await filled(t, [3000, 3000, 3000]);
  const [segment = ''] = segments(directory);
  flip(segment, 100);
  writeFileSync(join(directory, 'segments', '0123456789abcdef'), 'stray');
  writeFileSync(join(directory, 'segments', 'foreign'), 'stray');
  const report = await verifyAll(directory);
  t.match(report, { objects: 3, missing: 0, strays: 2 });
  t.equal(report.damaged.length, 1);
  t.same(segments(directory), [segment]);
  t.equal(wants.filter((want) => content(store.shelf, want) !== undefined).length, 2);
  rmSync(segment);
  t.match(await verifyAll(directory), { missing: 2 });
  t.match(await cacheSize(directory), { objects: 0, onDisk: 0 });
});

void t.test('what is evicted by its key gives its room back', async (t) => {
  const { directory, wants, plains, store } = await filled(t, Array<number>(20).fill(60_000));
  const before = onDisk(directory);
  const gone = wants.slice(0, 15).map(wantKey);
  t.match(await evictObjects(directory, gone), { objects: 15, bytes: 15 * 60_000 });
  t.ok(onDisk(directory) <= before / 4 + 4096, 'what was left was moved together');
  for (const [index, want] of wants.entries())
    t.same(content(store.shelf, want), index < 15 ? undefined : plains[index]);
  await Promise.all(wants.map((want) => store.fetch(want)));
  t.same(content(store.shelf, wants[3] as Want), plains[3], 'the store goes on');
});

void t.test('clear leaves nothing', async (t) => {
  const { directory, store } = await filled(t);
  t.match(await clearCache(directory), { objects: 4 });
  t.same(segments(directory), []);
  t.match(await cacheSize(directory), { objects: 0, bytes: 0, onDisk: 0 });
  await store.close();
});

void t.test('what a store left that died before it recorded it is swept', async (t) => {
  const { directory, store } = await filled(t);
  await store.close();
  const db = new Database(join(directory, 'index.db'));
  db.exec('UPDATE totals SET strays = 1');
  db.close();
  writeFileSync(join(directory, 'segments', '0123456789abcdef'), 'stray');
  open(t, directory);
  for (let turn = 0; turn < 100 && segments(directory).length > 1; turn++)
    await new Promise(setImmediate);
  t.equal(segments(directory).length, 1);
});

void t.test('a record that names no segment names no file', async (t) => {
  const { directory, store, wants } = await filled(t, [100]);
  await store.close();
  writeFileSync(join(directory, 'precious'), randomBytes(100));
  const db = new Database(join(directory, 'index.db'));
  db.exec("UPDATE objects SET segment = '../precious'; UPDATE segments SET name = '../precious'");
  db.close();
  const { store: next } = open(t, directory);
  t.equal(content(next.shelf, wants[0] as Want), undefined);
  await clearCache(directory);
  t.ok(statSync(join(directory, 'precious')).size === 100);
});

void t.test('the limit is kept, what is used stays, and gaps are closed', async (t) => {
  const { directory, store, source } = open(t);
  const size = 64 * 1024;
  const used: { want: Want; plain: Buffer }[] = [];
  let highest = 0;
  for (let round = 0; round < 100; round++) {
    const plains = Array.from({ length: 32 }, () => randomBytes(size));
    const wants = plains.map((plain) => source.put(plain));
    await Promise.all(wants.map((want) => store.fetch(want)));
    source.files.clear();
    if (round < 8) used.push({ want: wants[0] as Want, plain: plains[0] ?? Buffer.alloc(0) });
    for (const { want } of used) if (!store.shelf.has(want)) t.fail('what is used went');
    highest = Math.max(highest, onDisk(directory));
  }
  t.ok(highest <= limit, `${highest} bytes of ${limit}`);
  t.ok(highest > limit * 0.8, 'and it is used');
  t.ok(store.statistics.evicted > 0);
  t.ok(store.statistics.bytes <= limit);
  t.equal(store.statistics.bytes, onDisk(directory));
  const shelf = shelfOf(t, directory);
  for (const { want, plain } of used) t.ok(content(shelf, want)?.equals(plain));
  const { objects, bytes, onDisk: taken } = await cacheSize(directory);
  t.ok(objects * size === bytes && taken < bytes * 2, 'no more than half of it is gaps');
  t.match(await verifyAll(directory), { damaged: [], missing: 0, strays: 0 });
});
