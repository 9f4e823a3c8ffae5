import { readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { Disk } from './disk.js';
import { openPlace, type Place } from './place.js';
import { Records } from './records.js';

/** The records of a new cache, and how often they were opened. */
function opened(t: Test) {
  const directory = t.testdir({});
  const place = openPlace(directory, { make: true });
  const index = join(directory, 'index.db');
  const counts = { opened: 0 };
  const counting: Place = {
    ...place,
    get at() {
      return place.at;
    },
    openSafely<T extends { close(): unknown }>(open: (at: string) => T): T {
      counts.opened++;
      return place.openSafely(open);
    },
  };
  const records = new Records(counting);
  t.teardown(() => {
    records.close();
    place.close();
  });
  return { records, index, counts };
}

/** Puts a database of a later version in the place of another one. */
function replaceByNewer(index: string): void {
  for (const end of ['', '-wal', '-shm']) rmSync(index + end, { force: true });
  const db = new Database(index);
  db.pragma('user_version = 1000');
  db.close();
}

void t.test('records that can not be opened again are not tried at each call', async (t) => {
  const { records, index, counts } = opened(t);
  replaceByNewer(index);
  counts.opened = 0;
  const write = () => records.write(() => 'written');
  for (let call = 0; call < 100; call++) t.throws(write, { code: 'CACHE_UNUSABLE' });
  t.ok(counts.opened < 20, `tried ${counts.opened} times`);
  t.equal(records.rebuilt, 0, 'nothing was begun anew');
  records.shrink(true);

  rmSync(index);
  let written: string | undefined;
  for (let tries = 0; tries < 100 && written === undefined; tries++) {
    await delay(100);
    try {
      written = write();
    } catch {
      // Not yet.
    }
  }
  t.equal(written, 'written');
  t.equal(records.rebuilt, 1);
});

void t.test('damage that is met where they are opened again is set aside', (t) => {
  const { records, index } = opened(t);
  for (const end of ['-wal', '-shm']) rmSync(index + end, { force: true });
  rmSync(index);
  writeFileSync(index, 'this is no database'.repeat(500));
  t.equal(
    records.write(() => 'written'),
    'written',
  );
  t.end();
});

void t.test('a cache that could not be opened leaves nothing open', (t) => {
  const directory = t.testdir({});
  new Disk(directory, 1e8).close();
  const index = join(directory, 'index.db');
  const open = (): number => readdirSync('/proc/self/fd').length;
  const faults = {
    'an owner that is refused': "SELECT RAISE(ABORT, 'no more of them');",
    'a transaction that does not end': 'INSERT INTO faults VALUES (1);',
  };
  for (const [name, fault] of Object.entries(faults)) {
    const db = new Database(index);
    db.exec(`
      CREATE TABLE IF NOT EXISTS faults(x REFERENCES totals(one) DEFERRABLE INITIALLY DEFERRED);
      DELETE FROM totals;
      DROP TRIGGER IF EXISTS fault;
      CREATE TRIGGER fault AFTER INSERT ON owners BEGIN ${fault} END;
    `);
    db.close();
    const before = open();
    for (let tries = 0; tries < 5; tries++) {
      t.throws(() => new Disk(directory, 1e8), { code: 'CACHE_UNUSABLE' }, name);
    }
    t.equal(open(), before, name);
  }
  t.end();
});
