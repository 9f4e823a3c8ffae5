import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { memorySource } from '../testing/fakes/memory-source.js';
import { openShelf } from './cache/open-shelf.js';
import { clearCache, verifyAll } from './cache/maintain.js';
import { openStore } from './open.js';
import { readWhole } from './run.js';
import type { Shelf } from './shelf.js';
import type { Store } from './store.js';
import { wantKey, type Want } from './want.js';

// What becomes of a store whose cache directory is removed, moved or replaced, also by other users of the machine.

// Too large for a segment: SQLite gets paths of files alone.
const plain = Buffer.from('what was published\n'.repeat(5000));
const evil = Buffer.from('what somebody else would like to be read'.padEnd(plain.length, '!'));

function content(shelf: Shelf, want: Want): Buffer | undefined {
  const buffer = Buffer.alloc(100_000);
  const count = shelf.read(want, 0, buffer.length, buffer, 0);
  return count === undefined ? undefined : buffer.subarray(0, count);
}

/** A store that runs, with an object that is open and one that isn't, as the threads of a mount have it. */
async function running(t: Test) {
  const parent = t.testdir();
  const directory = join(parent, 'cache');
  const source = memorySource();
  const open = () => openStore({ directory, limit: 1e8, source });
  const store = open();
  t.teardown(() => store.close());
  const here = source.put(randomBytes(1000));
  const want = source.put(plain);
  await store.fetch(here);
  const shelf = openShelf(directory, { at: store.at });
  t.teardown(() => shelf.close());
  t.ok(shelf.has(here));
  return { parent, directory, source, open, store, shelf, here, want };
}

/** A cache that another user made, with an object of his own under the name of another. */
function plant(directory: string, want: Want): void {
  const key = wantKey(want);
  const folder = join(directory, 'objects', key.slice(0, 2));
  mkdirSync(folder, { recursive: true });
  mkdirSync(join(directory, 'tmp'));
  const file = join(folder, key.slice(2));
  writeFileSync(file, evil);
  writeFileSync(join(directory, 'version'), '1\n');
  const { ino, mtimeNs, ctimeNs } = statSync(file, { bigint: true });
  const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').slice(0, 8);
  const db = new Database(join(directory, 'index.db'));
  db.exec(
    `CREATE TABLE objects(id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, size INTEGER NOT NULL,
       sha256 BLOB NOT NULL, stamp TEXT NOT NULL, used INTEGER NOT NULL);
     CREATE TABLE holds(key TEXT NOT NULL, owner TEXT NOT NULL, PRIMARY KEY(key, owner)) WITHOUT ROWID;
     CREATE TABLE owners(id TEXT PRIMARY KEY) WITHOUT ROWID;
     CREATE TABLE totals(one INTEGER PRIMARY KEY CHECK(one = 1), bytes INTEGER NOT NULL, strays INTEGER NOT NULL);
     INSERT INTO totals VALUES (1, 0, 0);`,
  );
  db.prepare('INSERT INTO objects(key, size, sha256, stamp, used) VALUES (?, ?, ?, ?, 1)').run(
    key,
    evil.length,
    createHash('sha256').update(evil).digest(),
    `${ino}:${mtimeNs}:${ctimeNs}:${boot}`,
  );
  db.close();
  // Another owner would do as well; this way the test needs no rights.
  chmodSync(directory, 0o777);
}

/** As a driver does: once more, when the main thread says that it is here. */
async function readBoth(t: Test, store: Store, shelf: Shelf, want: Want, expected: Buffer) {
  if (!shelf.has(want)) await store.fetch(want);
  t.same(content(shelf, want), expected);
  t.same(await readWhole(store, want), expected);
}

const losses: Readonly<Record<string, (directory: string) => void>> = {
  'removed, and another one put in its place': (directory) =>
    rmSync(directory, { recursive: true }),
  'moved, and another one put in its place': (directory) =>
    renameSync(directory, `${directory}.old`),
};

for (const [name, lose] of Object.entries(losses)) {
  void t.test(`${name}: nothing of that one is read, written or removed`, async (t) => {
    const { directory, store, shelf, here, want, open } = await running(t);
    lose(directory);
    plant(directory, want);
    const before = readdirSync(directory, { recursive: true });
    t.ok(shelf.has(here), 'what was open stays readable');
    await readBoth(t, store, shelf, want, plain);
    store.hold(want);
    store.release(want);
    t.same(readdirSync(directory, { recursive: true }), before);
    t.throws(open, { code: 'CACHE_UNUSABLE', message: /others may write/ });
    if (name.startsWith('removed')) t.match(store.statistics.notStored?.reason, /others may write/);
  });
}

void t.test('removed: begun anew, whole, in the same place', async (t) => {
  const { directory, store, shelf, want, open } = await running(t);
  rmSync(directory, { recursive: true });
  await readBoth(t, store, shelf, want, plain);
  t.equal(store.statistics.notStored, undefined);
  t.equal(statSync(directory).mode & 0o777, 0o700);
  const other = open();
  t.ok(other.shelf.has(want), 'others find a cache, and what was fetched since');
  await other.close();
});

void t.test('its parent comes into the reach of others', async (t) => {
  const { parent, store, shelf, want, here } = await running(t);
  chmodSync(parent, 0o777);
  await readBoth(t, store, shelf, want, plain);
  t.type(shelf.path(want), 'string', 'SQLite gets a path');
  t.ok(shelf.stillThere?.(), 'that nobody else can lead elsewhere');
  t.match(store.statistics.notStored?.reason, /others could replace it/);
  t.ok(shelf.has(here) || (await store.fetch(here).then(() => shelf.has(here))));
});

void t.test('a sticky parent is as good as one of our own', async (t) => {
  const { parent, store, shelf, want } = await running(t);
  chmodSync(parent, 0o1777);
  await readBoth(t, store, shelf, want, plain);
  t.equal(store.statistics.notStored, undefined);
});

void t.test('a thread that opens it when it is lost, and a cache that comes back', async (t) => {
  const { parent, directory, source, store, want, here } = await running(t);
  const other = source.put(randomBytes(1000));
  await store.fetch(other);
  chmodSync(parent, 0o777);
  const late = openShelf(directory, { at: store.at });
  t.teardown(() => late.close());
  store.hold(want);
  await readBoth(t, store, late, want, plain);
  t.type(late.path(want), 'string');
  t.ok(late.stillThere?.());
  const recorded = await readWhole(store, other);
  await readBoth(t, store, late, other, recorded);
  store.release(want);
  t.match(store.statistics.notStored, { objects: Number, reason: /others could replace it/ });
  chmodSync(parent, 0o755);
  const next = source.put(randomBytes(1000));
  await store.fetch(next);
  t.equal(store.statistics.notStored, undefined);
  await new Promise((resolve) => setTimeout(resolve, 1100));
  t.ok(late.has(next) && late.has(here), 'what is in the cache is seen again');
});

void t.test('records that are damaged in a cache that is lost', async (t) => {
  const { parent, directory, store, shelf, want } = await running(t);
  writeFileSync(join(directory, 'index.db'), randomBytes(50_000));
  chmodSync(parent, 0o777);
  await readBoth(t, store, shelf, want, plain);
  t.equal(store.shelf.has(want), true);
});

void t.test('the spare cache goes with the store', async (t) => {
  const { directory, store, shelf, want } = await running(t);
  rmSync(directory, { recursive: true });
  writeFileSync(directory, 'a file');
  await readBoth(t, store, shelf, want, plain);
  const { directory: spare = '' } = store.statistics.notStored ?? {};
  t.equal(statSync(spare).mode & 0o777, 0o700);
  const late = openShelf(directory, { at: store.at });
  t.ok(late.has(want), 'a thread that comes later finds it too');
  late.close();
  await store.close();
  t.notOk(existsSync(spare));
});

void t.test('a record with a key that leads out of the cache', async (t) => {
  const keys = ['ab/../../../precious', '../../precious', 'ab', '', `${'0'.repeat(40)}/../x`];
  for (const work of [clearCache, verifyAll]) {
    const { directory, parent, store } = await running(t);
    writeFileSync(join(parent, 'precious'), 'years of work');
    const db = new Database(join(directory, 'index.db'));
    const insert = db.prepare(
      "INSERT INTO objects(key, size, sha256, stamp, used) VALUES (?, 5, x'00', '', 0)",
    );
    for (const key of keys) insert.run(key);
    await work(directory);
    t.equal(db.prepare('SELECT count(*) FROM objects WHERE size = 5').pluck().get(), 0);
    db.close();
    t.ok(existsSync(join(parent, 'precious')));
    await store.close();
  }
});

void t.test('eviction of such a record removes it, and no file', async (t) => {
  const { directory, parent, store, source } = await running(t);
  writeFileSync(join(parent, 'precious'), 'years of work');
  const db = new Database(join(directory, 'index.db'));
  const insert = db.prepare(
    "INSERT INTO objects(key, size, sha256, stamp, used) VALUES (?, 5, x'00', '', 0)",
  );
  insert.run('../../precious');
  const small = openStore({ directory, limit: 5 * 4096, source });
  for (let count = 0; count < 10; count++) await small.fetch(source.put(randomBytes(1000)));
  t.equal(db.prepare('SELECT count(*) FROM objects WHERE size = 5').pluck().get(), 0);
  db.close();
  await small.close();
  await store.close();
  t.ok(existsSync(join(parent, 'precious')));
});

void t.test('an owner whose name leads out of the cache', async (t) => {
  const { directory, parent, open, store } = await running(t);
  await store.close();
  const db = new Database(join(parent, 'other.lock'));
  db.exec('CREATE TABLE a(b)');
  const index = new Database(join(directory, 'index.db'));
  index.prepare('INSERT INTO owners VALUES (?)').run('../../other');
  index.close();
  db.exec('BEGIN EXCLUSIVE');
  const next = open();
  await next.close();
  db.close();
  const after = new Database(join(directory, 'index.db'), { readonly: true });
  t.equal(after.prepare('SELECT count(*) FROM owners').pluck().get(), 0, 'it is a dead one');
  after.close();
});

void t.test('a link in the place of a folder is not followed', async (t) => {
  const { directory, parent, open, store, want, source } = await running(t);
  await store.close();
  const outside = join(parent, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'precious'), 'years of work');
  const folder = join(directory, 'objects', wantKey(want).slice(0, 2));
  symlinkSync(outside, folder);
  symlinkSync(outside, join(directory, 'objects', 'links'));
  await verifyAll(directory);
  t.notOk(existsSync(join(directory, 'objects', 'links')));
  symlinkSync(outside, folder);
  const again = open();
  await again.fetch(want);
  t.same(await readWhole(again, want), plain);
  t.same(readdirSync(outside), ['precious']);
  await again.close();
  for (const name of ['objects', 'tmp']) {
    rmSync(join(directory, name), { recursive: true });
    symlinkSync(outside, join(directory, name));
    const next = openStore({ directory, limit: 1e8, source });
    await next.fetch(want);
    await next.close();
    t.same(readdirSync(outside), ['precious'], name);
  }
});

void t.test('folders in which others may write are refused', async (t) => {
  for (const name of ['objects', 'tmp']) {
    const { directory, open, store, shelf, want } = await running(t);
    chmodSync(join(directory, name), 0o777);
    t.throws(open, { code: 'CACHE_UNUSABLE', message: /others may write/ });
    await readBoth(t, store, shelf, want, plain);
    t.match(store.statistics.notStored?.reason, /others may write/);
  }
});
