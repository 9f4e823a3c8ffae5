import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { memorySource, wantFor } from '../testing/fakes/memory-source.js';
import { openShelf } from './cache/open-shelf.js';
import { openStore } from './open.js';
import { cacheSize, clearCache, verifyAll } from './cache/maintain.js';
import { openPlace } from './cache/place.js';
import { Records } from './cache/records.js';
import { readWhole } from './run.js';
import { sizeLimits, wantKey, type Want } from './want.js';

function run(...command: [string, ...string[]]): boolean {
  const [program, ...args] = command;
  return spawnSync(program, args, { timeout: 10_000, stdio: 'ignore' }).status === 0;
}

/** A disk of so many MiB, until the end of the tests; empty where none can be mounted. */
function smallDisk(mebibytes: number, options = ''): string {
  if (process.geteuid?.() !== 0) return '';
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-disk-'));
  t.teardown(() => {
    run('umount', '-l', directory);
    rmSync(directory, { recursive: true, force: true });
  });
  const given = `size=${mebibytes}m${options}`;
  return run('mount', '-t', 'tmpfs', '-o', given, 'tmpfs', directory) ? directory : '';
}

const canMount = smallDisk(1) !== '';
const needs = canMount ? {} : { skip: 'only root can mount a small disk' };

/** What others write, until nothing more fits. @returns the file. */
function fill(disk: string): string {
  const file = join(disk, `others-${randomBytes(4).toString('hex')}`);
  const others = openSync(file, 'w');
  for (const bytes of [65536, 4096]) {
    try {
      for (;;) writeSync(others, Buffer.alloc(bytes));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'ENOSPC') throw thrown;
    }
  }
  closeSync(others);
  return file;
}

function openOn(t: Test, disk: string) {
  const cache = join(disk, 'cache');
  const source = memorySource();
  const store = openStore({ directory: cache, limit: 1e9, source });
  t.teardown(() => store.close());
  const fetchMany = async (count: number, bytes = 20_000): Promise<Want[]> => {
    const wants = Array.from({ length: count }, () => source.put(randomBytes(bytes)));
    for (const want of wants) await store.fetch(want);
    return wants;
  };
  return { cache, source, store, fetchMany };
}

/** How many of them are in the cache itself, whatever passed through elsewhere. */
function inCache(cache: string, wants: readonly Want[]): number {
  const place = openPlace(cache, { make: false });
  const records = new Records(place);
  const count = wants.filter((want) =>
    records.read((sql) => sql.get.get(wantKey(want)) !== undefined),
  ).length;
  records.close();
  place.close();
  return count;
}

void t.test(
  'on a disk that others filled, what is old makes room for what is new (P6)',
  needs,
  async (t) => {
    const disk = smallDisk(4);
    const { cache, source, store, fetchMany } = openOn(t, disk);
    t.ok(store.statistics.limit <= 2 * 1024 * 1024, 'half of what is free');
    await fetchMany(60);
    t.equal(store.statistics.evicted, 0);

    fill(disk);
    for (let count = 0; count < 200; count++) {
      const want = source.put(randomBytes(20_000));
      await store.fetch(want);
      t.ok(store.shelf.has(want));
      t.equal(inCache(cache, [want]), 1);
    }
    t.ok(store.statistics.evicted > 0);
    t.equal(store.statistics.notStored, undefined);
    t.same(store.statistics.failures, {});
  },
);

void t.test('as much goes as is needed, whatever the largest such object is', needs, async (t) => {
  const disk = smallDisk(32);
  const { cache, source, store, fetchMany } = openOn(t, disk);
  const before = await fetchMany(400);
  fill(disk);
  const size = { kind: 'limit', bytes: sizeLimits.catalog } as const;
  // Unpacked in place, and in pieces.
  for (const [bytes, leftMin] of [
    [60_000, 380],
    [200_000, 370],
    [1_000_000, 300],
  ] as const) {
    const plain = randomBytes(bytes);
    const catalog = source.put(plain, { kind: 'catalog' });
    t.same(await readWhole(store, { ...catalog, size }), plain);
    t.equal(inCache(cache, [catalog]), 1, `${bytes} bytes are in the cache`);
    const left = inCache(cache, before);
    t.ok(left > leftMin, `${left} of 400 are left`);
  }
  await store.close();

  const again = openOn(t, disk);
  await again.fetchMany(1);
  const stillLeft = inCache(cache, before);
  t.ok(stillLeft > 290, `${stillLeft} are left when it is opened again`);
});

void t.test(
  'what is held open elsewhere does not go in vain, and reading goes on',
  needs,
  async (t) => {
    const disk = smallDisk(32);
    const { cache, source, store, fetchMany } = openOn(t, disk);
    const before = await fetchMany(200);
    const holders = readdirSync(join(cache, 'objects'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.includes('/'))
      .map((name) => openSync(join(cache, 'objects', name), 'r'));
    const others = fill(disk);
    // As the thread that serves a mount.
    const shelf = openShelf(cache);
    for (let count = 0; count < 150; count++) {
      const plain = randomBytes(20_000);
      const want = source.put(plain);
      await store.fetch(want);
      const read = Buffer.alloc(plain.length);
      t.equal(shelf.read(want, 0, read.length, read, 0), plain.length);
      t.ok(read.equals(plain));
    }
    const { notStored, failures } = store.statistics;
    t.same(failures, {});
    t.match(notStored, { reason: /the disk of the cache .* is full/, advice: /^Free some space/ });
    const left = inCache(cache, before);
    t.ok(left > 190, `${left} of 200 are left`);

    for (const fd of holders) closeSync(fd);
    rmSync(others);
    const [last] = await fetchMany(1);
    t.equal(store.statistics.notStored, undefined);
    t.equal(last && inCache(cache, [last]), 1);
    const { directory = '' } = notStored ?? {};
    t.ok(existsSync(directory));
    shelf.close();
    await store.close();
    t.notOk(existsSync(directory), 'nothing is left of what passed through');
  },
);

void t.test('a cache that has no room to begin with', needs, async (t) => {
  const disk = smallDisk(1);
  const others = fill(disk);
  const { source, store } = openOn(t, disk);
  const plain = randomBytes(300_000);
  const want = source.put(plain);
  store.hold(want);
  t.same(await readWhole(store, want), plain);
  t.match(store.statistics, { notStored: { objects: 1 }, limit: 0, bytes: 0 });
  store.release(want);
  rmSync(others);
});

void t.test('a disk with no inodes left', needs, async (t) => {
  const disk = smallDisk(16, ',nr_inodes=600');
  const { cache, store, fetchMany } = openOn(t, disk);
  const wants = await fetchMany(600, 100);
  t.same(store.statistics.failures, {});
  const stored = inCache(cache, wants);
  t.ok(stored > 200, `${stored} are stored`);
  const [last] = wants.slice(-1);
  t.ok(last !== undefined && store.shelf.has(last));
});

void t.test('what is larger than the disk lets a cache be passes through', needs, async (t) => {
  const { source, store } = openOn(t, smallDisk(4));
  const plain = randomBytes(3_000_000);
  t.same(await readWhole(store, source.put(plain)), plain);
  t.match(store.statistics.notStored, { objects: 1, advice: /^Free some space/ });
  // Too large for what it could pass through: not even downloaded.
  const advice = /^Free some space, or .*--cache DIR/;
  const full = { code: 'CACHE_FULL', message: /disk.* too full/, advice };
  const huge = wantFor(randomBytes(9), { kind: 'exact', bytes: 2 ** 30 });
  await t.rejects(store.fetch(huge), full);
  t.equal(source.requests.length, 1);
});

void t.test('a cache on a full disk is looked at and cleared', needs, async (t) => {
  const disk = smallDisk(8);
  const { cache, store, fetchMany } = openOn(t, disk);
  const [held] = await fetchMany(100);
  if (held !== undefined) store.hold(held);
  // Else the room that the log has already would do for it.
  const place = openPlace(cache, { make: false });
  const records = new Records(place);
  records.shrink(true);
  records.close();
  place.close();
  fill(disk);
  t.match(await cacheSize(cache), { objects: 100, held: { objects: 1 } });
  t.match(await verifyAll(cache), { objects: 100, damaged: [] });
  t.match(await clearCache(cache), { objects: 99, bytes: 99 * 20_000 });
  t.match(await cacheSize(cache), { objects: 1 });
  t.ok(held !== undefined && store.shelf.has(held));
});
