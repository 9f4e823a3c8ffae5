import { charge } from '../../eviction/amounts.js';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { memorySource } from '../../testing/fakes/memory-source.js';
import { openShelf } from './open-shelf.js';
import { checkFree, diskFull, objectFile, cacheUnusable } from './layout.js';
import { cacheSize, clearCache, verifyAll } from './maintain.js';
import { openStore } from '../open.js';
import { openPlace } from './place.js';
import { readWhole } from '../run.js';
import { Records } from './records.js';
import { tick } from './statements.js';
import { wantKey } from '../want.js';

async function filled(t: Test) {
  const directory = join(t.testdir(), 'cache');
  const source = memorySource();
  const plains = Array.from({ length: 20 }, () => randomBytes(1000));
  const wants = plains.map((plain) => source.put(plain));
  const first = source.put(plains[0] ?? Buffer.alloc(0));
  const open = () => openStore({ directory, limit: 1e8, source });
  const store = open();
  await Promise.all(wants.map((want) => store.fetch(want)));
  await store.close();
  return { directory, source, plains, wants, first, open, index: join(directory, 'index.db') };
}

/** Lets the sweeping that runs while nothing else happens come to its end. */
async function swept(directory: string, expected: number): Promise<number> {
  let count = -1;
  for (let turn = 0; turn < 2000 && count !== expected; turn++) {
    await new Promise(setImmediate);
    const folders = readdirSync(join(directory, 'objects'));
    count = folders.flatMap((name) => readdirSync(join(directory, 'objects', name))).length;
  }
  return count;
}

const damages: Record<string, (index: string) => void> = {
  'no database at all': (index) => writeFileSync(index, 'this is no database'.repeat(500)),
  'an empty file': (index) => truncateSync(index, 0),
  'a cut file': (index) => truncateSync(index, 4096 + 100),
  'tables of someone else': (index) => {
    rmSync(index);
    const db = new Database(index);
    db.exec('CREATE TABLE objects(x); CREATE TABLE totals(y)');
    db.close();
  },
  'a lost database': (index) => rmSync(index),
};

for (const [name, damage] of Object.entries(damages)) {
  void t.test(`${name}: set aside, begun anew, everything fetched again`, async (t) => {
    const { directory, wants, plains, open, index, source } = await filled(t);
    damage(index);
    const store = open();
    t.equal(store.statistics.bytes, 0);
    t.equal(
      store.statistics.rebuilt,
      name.startsWith('a lost') || name.startsWith('an empty') ? 0 : 1,
    );
    t.same(
      wants.map((want) => store.shelf.has(want)),
      wants.map(() => false),
      'nothing is believed for where it lies',
    );
    t.equal(await swept(directory, 0), 0, 'and it does not stay on the disk');
    for (const [number, want] of wants.entries()) {
      t.same(await readWhole(store, want), plains[number]);
    }
    t.equal(source.requests.length, 40);
    await store.close();
  });
}

void t.test('damage that is met later on', async (t) => {
  const { open, wants, first, plains, index, directory } = await filled(t);
  const store = open();
  store.hold(first);
  const shelf = openShelf(directory);
  const db = new Database(index);
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.exec('DROP TABLE objects');
  db.close();
  for (const [number, want] of wants.entries()) {
    t.same(await readWhole(store, want), plains[number]);
    t.ok(shelf.has(want));
  }
  shelf.close();
  const second = openStore({ directory, limit: 5 * 4096, source: memorySource() });
  t.ok(second.shelf.has(first), 'holds are written again');
  await second.close();
  await store.close();
});

void t.test('someone empties the cache below a store that runs', async (t) => {
  const { open, wants, first, plains, directory } = await filled(t);
  const store = open();
  for (const name of readdirSync(directory)) rmSync(join(directory, name), { recursive: true });
  for (const [number, want] of wants.entries()) {
    t.same(await readWhole(store, want), plains[number]);
    t.ok(existsSync(objectFile(directory, wantKey(want))));
  }
  const shelf = openShelf(directory);
  t.ok(shelf.has(first), 'and others see what was fetched since');
  shelf.close();
  await store.close();
});

void t.test(
  'the shelf of another thread follows a cache that was emptied or replaced',
  async (t) => {
    const empty: Readonly<Record<string, (directory: string) => void>> = {
      removed: (directory) => rmSync(directory, { recursive: true }),
      replaced: (directory) => {
        renameSync(directory, `${directory}.old`);
        mkdirSync(directory, { mode: 0o700 });
      },
      'a link to another place': (directory) => {
        renameSync(directory, `${directory}.moved`);
        mkdirSync(`${directory}.new`, { mode: 0o700 });
        symlinkSync(`${directory}.new`, directory);
      },
    };
    for (const [name, change] of Object.entries(empty)) {
      const { open, wants, plains, directory } = await filled(t);
      const store = open();
      const shelf = openShelf(directory);
      const read = (number: number): Buffer => {
        const buffer = Buffer.alloc(20_000);
        const want = wants[number];
        const count = want && shelf.read(want, 0, buffer.length, buffer, 0);
        return buffer.subarray(0, count ?? 0);
      };
      t.same(read(0), plains[0]);
      change(directory);
      for (const [number, want] of wants.entries()) {
        // As the driver's thread does: once more, when the main thread says that it is here.
        if (!shelf.has(want)) await store.fetch(want);
        t.same(read(number), plains[number], `${name}: ${number}`);
      }
      shelf.close();
      await store.close();
    }
  },
);

void t.test('directories that are not safe are refused', (t) => {
  const directory = join(t.testdir(), 'cache');
  const source = memorySource();
  const open = () => openStore({ directory, limit: 1e8, source });
  mkdirSync(directory, { mode: 0o700 });
  for (const mode of [0o770, 0o702, 0o777]) {
    chmodSync(directory, mode);
    t.throws(open, { code: 'CACHE_UNUSABLE', advice: /chmod/ });
  }
  t.same(readdirSync(directory), [], 'nothing was made in it');
  t.end();
});

void t.test('a directory of another user is refused', (t) => {
  const self = process.geteuid?.();
  t.teardown(() => {
    if (self !== undefined) process.geteuid = () => self;
  });
  process.geteuid = () => 4711;
  const open = () => openStore({ directory: t.testdir(), limit: 1e8, source: memorySource() });
  t.throws(open, { code: 'CACHE_UNUSABLE', message: /another user/, advice: /--cache/ });
  t.end();
});

void t.test('what can not be a directory, and a cache of a newer version', async (t) => {
  const { directory, open } = await filled(t);
  writeFileSync(join(directory, 'version'), '2\n');
  t.throws(open, { code: 'CACHE_UNUSABLE', message: /newer/, advice: /--cache/ });
  writeFileSync(join(directory, 'version'), 'one');
  t.throws(open, { code: 'CACHE_UNUSABLE' });
  const file = join(directory, 'version');
  const below = () => openStore({ directory: file, limit: 1e8, source: memorySource() });
  t.throws(below, { code: 'CACHE_UNUSABLE' });
});

void t.test('a new directory is closed to others, and told to backup programs', (t) => {
  const directory = join(t.testdir(), 'a', 'b');
  const records = openStore({ directory, limit: 1e8, source: memorySource() });
  t.equal(statSync(directory).mode & 0o777, 0o700);
  t.ok(existsSync(join(directory, 'CACHEDIR.TAG')));
  return records.close();
});

void t.test('a cache is made only where nothing else lies, or where one has been', async (t) => {
  const source = memorySource();
  const open = (directory: string) => openStore({ directory, limit: 1e8, source });
  const refused = { code: 'CACHE_UNUSABLE', message: /is no cache/, advice: /--cache/ };
  for (const files of [
    { 'thesis.txt': 'years of work' },
    { version: '1\n' },
    { version: 'one', objects: { ab: { cd: 'x' } } },
    { 'CACHEDIR.TAG': 'Signature: 8a477f597d28d172789f06886806bc55\n' },
    { 'index.db': '' },
    { '.hidden': '' },
  ]) {
    const directory = t.testdir(files);
    const before = readdirSync(directory, { recursive: true });
    t.throws(() => open(directory), refused, Object.keys(files).join());
    t.throws(() => checkFree(directory), refused);
    await verifyAll(directory);
    await clearCache(directory);
    t.same(readdirSync(directory, { recursive: true }), before, 'and nothing is made or removed');
  }
  for (const files of [{}, { state: { log: { a: '' } } }, { 'lost+found': {} }]) {
    const directory = t.testdir(files);
    checkFree(directory);
    await open(directory).close();
    await open(directory).close();
  }
  checkFree(join(t.testdir(), 'none'));
});

void t.test('a cache without tag, as before, or without version stays one', async (t) => {
  const { directory, open, first } = await filled(t);
  for (const name of ['version', 'CACHEDIR.TAG']) {
    rmSync(join(directory, name));
    const store = open();
    t.ok(store.shelf.has(first));
    t.ok(existsSync(join(directory, name)), 'and gets it again');
    await store.close();
  }
});

void t.test('what is removed below a store that runs is made again, whole', async (t) => {
  for (const name of ['version', 'CACHEDIR.TAG', 'tmp', 'objects', 'index.db']) {
    const { directory, source, open } = await filled(t);
    const store = open();
    rmSync(join(directory, name), { recursive: true });
    await store.fetch(source.put(randomBytes(100)));
    t.ok(existsSync(join(directory, name)), name);
    const next = open();
    t.notOk(next.shelf.has(source.put(randomBytes(5))));
    await next.close();
    await store.close();
  }
});

void t.test("another program's objects are not taken for strays of a cache", async (t) => {
  for (const name of ['objects', 'tmp']) {
    const directory = t.testdir({ [name]: { ab: { cdef: 'of a git repository' } } });
    const open = () => openStore({ directory, limit: 1e8, source: memorySource() });
    t.throws(open, { code: 'CACHE_UNUSABLE', message: /is no cache/, advice: /--cache/ });
    t.same(readdirSync(directory), [name], 'nothing was made');
    t.ok(existsSync(join(directory, name, 'ab', 'cdef')), 'nothing was removed');
  }
  const directory = t.testdir({ 'index.db': 'of a library' });
  t.throws(() => openStore({ directory, limit: 1e8, source: memorySource() }), {
    code: 'CACHE_UNUSABLE',
  });
  const empty = openStore({
    directory: t.testdir({ objects: {} }),
    limit: 1e8,
    source: memorySource(),
  });
  await empty.close();
});

void t.test('errors of disk and database have their codes', (t) => {
  t.equal(diskFull('/x').code, 'CACHE_FULL');
  for (const [code, expected] of [
    ['ENOSPC', 'CACHE_FULL'],
    ['EDQUOT', 'CACHE_FULL'],
    ['SQLITE_FULL', 'CACHE_FULL'],
    ['EROFS', 'CACHE_UNUSABLE'],
    ['SQLITE_BUSY', 'CACHE_UNUSABLE'],
  ]) {
    t.equal(cacheUnusable('/x', Object.assign(new Error('so'), { code })).code, expected);
  }
  t.end();
});

void t.test('a lock held by another process: reading goes on, what can wait waits', async (t) => {
  const { directory, index } = await filled(t);
  const place = openPlace(directory, { make: true });
  const records = new Records(place);
  const other = new Database(index);
  other.exec('BEGIN IMMEDIATE');
  t.equal(
    records.tryWrite(() => true),
    undefined,
  );
  t.equal(
    records.read((sql) => sql.count.get()?.objects),
    20,
  );
  other.exec('COMMIT');
  t.equal(
    records.tryWrite(() => true),
    true,
  );
  other.close();
  records.close();
  place.close();
});

void t.test('two that begin a cache at the same time', async (t) => {
  const directory = t.testdir();
  const source = memorySource();
  const stores = Array.from({ length: 5 }, () => openStore({ directory, limit: 1e8, source }));
  const want = source.put(randomBytes(10));
  for (const store of stores) {
    await store.fetch(want);
    t.ok(store.shelf.has(want));
  }
  t.equal(source.requests.length, 1);
  await Promise.all(stores.map((store) => store.close()));
});

void t.test('ticks rise, and charges are whole blocks', (t) => {
  let last = 0;
  for (let count = 0; count < 1000; count++) {
    const now = tick();
    if (now <= last) t.fail('it stood still');
    last = now;
  }
  t.same([0, 1, 4096, 4097].map(charge), [4096, 4096, 4096, 8192]);
  t.end();
});

void t.test('who lives is not taken for dead when the records were begun anew', async (t) => {
  for (const name of ['index.db', 'tmp', 'index.db and tmp']) {
    const { directory, source, open, first } = await filled(t);
    const store = open();
    store.hold(first);
    for (const each of name.split(' and ')) rmSync(join(directory, each), { recursive: true });
    // Another one comes before it was noticed, and looks who lives.
    const other = open();
    await store.fetch(first);
    await store.fetch(source.put(randomBytes(100)));
    t.match(await cacheSize(directory), { held: { objects: 1 } }, name);
    await clearCache(directory);
    t.ok(existsSync(objectFile(directory, wantKey(first))), `${name}: what it holds is kept`);
    await other.close();
    await store.close();
    t.match(await cacheSize(directory), { held: { objects: 0 } }, name);
  }
});

void t.test('who only reads is known again after some seconds', async (t) => {
  const { directory, index, open, first } = await filled(t);
  const store = open();
  store.hold(first);
  rmSync(index);
  await open().close();
  let held = 0;
  for (let tries = 0; tries < 100 && held === 0; tries++) {
    await delay(200);
    const db = new Database(index, { readonly: true });
    held = Number(db.prepare('SELECT count(*) FROM holds').pluck().get());
    db.close();
  }
  t.equal(held, 1);
  t.match(await cacheSize(directory), { held: { objects: 0 } }, 'it is not there any more');
  await store.close();
});

void t.test('who begins waits longer than others hold the lock', async (t) => {
  const { directory, open } = await filled(t);
  const script = `const db = new (require('better-sqlite3'))(process.argv[1]);
    db.exec('BEGIN IMMEDIATE');
    process.stdout.write('held');
    setTimeout(() => db.exec('COMMIT'), 6500);`;
  const holder = spawn(process.execPath, ['-e', script, join(directory, 'index.db')]);
  t.teardown(() => holder.kill());
  await once(holder.stdout, 'data');
  const store = open();
  t.equal(store.statistics.notStored, undefined);
  await store.close();
});
