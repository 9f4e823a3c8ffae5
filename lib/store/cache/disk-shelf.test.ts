import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  closeSync,
  copyFileSync,
  existsSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { memorySource } from '../../testing/fakes/memory-source.js';
import { openShelf } from './open-shelf.js';
import { objectFile } from './layout.js';
import { openStore } from '../open.js';
import type { Shelf } from '../shelf.js';
import { wantKey, type Want } from '../want.js';

const plain = randomBytes(5000);

/** A cache with one object in it, and nobody who has it open. */
async function filled(t: Test) {
  const directory = t.testdir();
  const source = memorySource();
  const want = source.put(plain);
  const store = openStore({ directory, limit: 1e8, source });
  await store.fetch(want);
  await store.close();
  const file = objectFile(directory, wantKey(want));
  const shelf = (): Shelf => {
    const opened = openShelf(directory);
    t.teardown(() => opened.close());
    return opened;
  };
  return { directory, source, want, file, shelf };
}

function content(shelf: Shelf, want: Want): Buffer | undefined {
  const buffer = Buffer.alloc(10_000);
  const count = shelf.read(want, 0, buffer.length, buffer, 0);
  return count === undefined ? undefined : buffer.subarray(0, count);
}

void t.test('the layout on the disk', async (t) => {
  const { directory, file, want } = await filled(t);
  const text = wantKey(want);
  t.equal(file, join(directory, 'objects', text.slice(0, 2), text.slice(2)));
  t.equal(statSync(file).mode & 0o333, 0, 'nobody may write to it');
  t.ok(statSync(file).mode & 0o400);
  t.equal(statSync(file).size, plain.length);
  t.ok(existsSync(join(directory, 'CACHEDIR.TAG')));
  t.same(readdirSync(join(directory, 'tmp')), []);
});

void t.test('what is here is read by position', async (t) => {
  const { shelf, want, file } = await filled(t);
  const opened = shelf();
  t.same(content(opened, want), plain);
  const target = Buffer.alloc(10);
  t.equal(opened.read(want, 4995, 10, target, 2), 5);
  t.same(target.subarray(2, 7), plain.subarray(4995));
  t.equal(opened.read(want, 5000, 10, target, 0), 0);
  t.equal(opened.read(want, 9000, 10, target, 0), 0);
  t.equal(statSync(opened.path(want) ?? '').ino, statSync(file).ino);
  t.type(opened.descriptor(want), 'number');
  t.ok(opened.has(want));
});

void t.test(
  'what is opened ahead is read without its name, and counts for nothing by itself',
  async (t) => {
    const { shelf, want, file } = await filled(t);
    const opened = shelf();
    opened.prepare?.(want);
    opened.prepare?.({ ...want, compression: 'none' });
    t.equal(opened.hits, 0);
    unlinkSync(file);
    t.same(content(opened, want), plain);
    t.equal(opened.hits, 1);
  },
);

// Each leaves a file that is not what was verified, at a place where one lies that was.
const poisons: Record<string, (file: string) => void> = {
  'other bytes of the same size': (file) => writeFileSync(file, randomBytes(5000)),
  'other bytes of the same size and time': (file) => {
    const { atime, mtime } = statSync(file);
    writeFileSync(file, randomBytes(5000));
    utimesSync(file, atime, mtime);
  },
  'another file put in its place': (file) => {
    writeFileSync(`${file}.new`, randomBytes(5000));
    renameSync(`${file}.new`, file);
  },
  'a file that was cut': (file) => truncateSync(file, 100),
  'an empty file': (file) => truncateSync(file, 0),
  'a longer file': (file) => writeFileSync(file, Buffer.concat([plain, plain])),
  'a link to the right bytes': (file) => {
    renameSync(file, `${file}.moved`);
    symlinkSync(`${file}.moved`, file);
  },
  'no file': (file) => unlinkSync(file),
};

for (const [name, poison] of Object.entries(poisons)) {
  void t.test(`${name}: never served, thrown away, fetched again`, async (t) => {
    const { shelf, want, file, directory, source } = await filled(t);
    chmodSync(file, 0o644);
    poison(file);
    const opened = shelf();
    t.equal(content(opened, want), undefined);
    t.equal(opened.path(want), undefined);
    t.notOk(existsSync(file));
    const store = openStore({ directory, limit: 1e8, source });
    t.equal(store.statistics.bytes, 0);
    await store.fetch(want);
    t.same(content(store.shelf, want), plain);
    t.same(content(opened, want), plain);
    await store.close();
  });
}

void t.test('a file that was only copied is hashed once and then trusted', async (t) => {
  const { shelf, want, file, directory } = await filled(t);
  copyFileSync(file, `${file}.copy`);
  renameSync(`${file}.copy`, file);
  const stamp = (): unknown => {
    const db = new Database(join(directory, 'index.db'), { readonly: true });
    const found = db.prepare('SELECT stamp FROM objects').pluck().get();
    db.close();
    return found;
  };
  const before = stamp();
  t.same(content(shelf(), want), plain);
  t.not(stamp(), before);
  const after = stamp();
  t.same(content(shelf(), want), plain);
  t.equal(stamp(), after);
});

void t.test('records of another boot are hashed once', async (t) => {
  const { shelf, want, file, directory } = await filled(t);
  const db = new Database(join(directory, 'index.db'));
  db.exec("UPDATE objects SET stamp = substr(stamp, 1, length(stamp) - 1) || 'x'");
  t.same(content(shelf(), want), plain);
  db.exec("UPDATE objects SET stamp = substr(stamp, 1, length(stamp) - 1) || 'x'");
  chmodSync(file, 0o644);
  writeFileSync(file, randomBytes(5000));
  t.equal(content(shelf(), want), undefined);
  db.close();
});

void t.test('a file that is cut while it is open is not served any more', async (t) => {
  const { shelf, want, file } = await filled(t);
  const opened = shelf();
  t.same(content(opened, want), plain);
  chmodSync(file, 0o644);
  truncateSync(file, 100);
  t.equal(content(opened, want), undefined);
  t.notOk(existsSync(file));
});

const changes: Record<string, (file: string) => void> = {
  'other bytes': (file) => writeFileSync(file, randomBytes(5000)),
  'one other byte, and the times set back': (file) => {
    const { atime, mtime } = statSync(file);
    const fd = openSync(file, 'r+');
    writeSync(fd, Buffer.from([(plain[4000] ?? 0) ^ 1]), 0, 1, 4000);
    closeSync(fd);
    utimesSync(file, atime, mtime);
  },
  'more bytes': (file) => appendFileSync(file, 'more'),
};

for (const [name, change] of Object.entries(changes)) {
  void t.test(`${name} written into an open object: seen after a second`, async (t) => {
    const { shelf, want, file, directory, source } = await filled(t);
    const opened = shelf();
    const store = openStore({ directory, limit: 1e8, source });
    t.same(content(opened, want), plain);
    t.ok(store.shelf.has(want));
    await delay(1100);
    chmodSync(file, 0o644);
    change(file);
    t.equal(content(opened, want), undefined);
    await store.fetch(want);
    t.same(content(opened, want), plain);
    t.same(content(store.shelf, want), plain);
    await store.close();
  });
}

void t.test('an open object that was only touched or removed stays what it is', async (t) => {
  const { shelf, want, file } = await filled(t);
  const opened = shelf();
  t.same(content(opened, want), plain);
  await delay(1100);
  utimesSync(file, 1, 1);
  t.same(content(opened, want), plain);
  await delay(1100);
  unlinkSync(file);
  t.same(content(opened, want), plain);
  await delay(1100);
  t.same(content(opened, want), plain);
});

void t.test('an object without a record is not here', async (t) => {
  const { shelf, want, directory } = await filled(t);
  const db = new Database(join(directory, 'index.db'));
  db.exec('DELETE FROM objects');
  db.close();
  t.equal(content(shelf(), want), undefined);
});

void t.test('few files are open at once, and reading goes on', async (t) => {
  const directory = t.testdir();
  const source = memorySource();
  const store = openStore({ directory, limit: 1e8, source });
  const plains = Array.from({ length: 50 }, () => randomBytes(100));
  const wants = plains.map((each) => source.put(each));
  await Promise.all(wants.map((want) => store.fetch(want)));
  await store.close();
  const shelf = openShelf(directory, { fileLimit: 8 });
  const open = (): number => readdirSync('/proc/self/fd').length;
  const before = open();
  for (let round = 0; round < 3; round++) {
    wants.forEach((want, index) => t.same(content(shelf, want), plains[index]));
    t.ok(open() <= before + 8);
  }
  shelf.close();
  t.ok(open() < before + 3);
});

void t.test('ALWAYS_MISS=1 makes the shelf of a cache one that always misses', async (t) => {
  const { shelf, want } = await filled(t);
  const before = process.env['ALWAYS_MISS'];
  t.teardown(() => {
    if (before === undefined) delete process.env['ALWAYS_MISS'];
    else process.env['ALWAYS_MISS'] = before;
  });
  process.env['ALWAYS_MISS'] = '1';
  const slow = shelf();
  slow.beginRun({});
  t.notOk(slow.has(want));
  t.ok(slow.has(want));
  process.env['ALWAYS_MISS'] = '0';
  const quick = shelf();
  quick.beginRun({});
  t.ok(quick.has(want));
});
