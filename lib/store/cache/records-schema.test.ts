import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { memorySource } from '../../testing/fakes/memory-source.js';
import { openStore } from '../open.js';
import { migrateRecords, schemaSteps } from './records-schema.js';

function opened(t: Test): Database.Database {
  const db = new Database(':memory:');
  t.teardown(() => db.close());
  return db;
}

const versionOf = (db: Database.Database) => db.pragma('user_version', { simple: true });

void t.test('a new database takes all steps, an older one those that it lacks', (t) => {
  const db = opened(t);
  migrateRecords(db, 'here');
  t.equal(versionOf(db), schemaSteps.length);
  db.exec("INSERT INTO owners VALUES ('one')");
  const steps = [...schemaSteps, "ALTER TABLE owners ADD COLUMN since TEXT NOT NULL DEFAULT ''"];
  migrateRecords(db, 'here', steps);
  migrateRecords(db, 'here', steps);
  t.equal(versionOf(db), steps.length);
  t.same(db.prepare('SELECT * FROM owners').all(), [{ id: 'one', since: '' }]);
  t.end();
});

void t.test('one of 0.1.0, which has no number, is taken over', (t) => {
  const db = opened(t);
  db.exec(schemaSteps[0] ?? '');
  migrateRecords(db, 'here', schemaSteps.slice(0, 1));
  t.equal(versionOf(db), 0, 'nothing is written where nothing is missing');
  migrateRecords(db, 'here', [...schemaSteps.slice(0, 1), 'CREATE TABLE more(x)']);
  t.equal(versionOf(db), 2);
  t.same(db.prepare('SELECT * FROM more').all(), []);
  t.end();
});

void t.test('a step that fails leaves the database as it was', (t) => {
  const db = opened(t);
  migrateRecords(db, 'here');
  const before = versionOf(db);
  t.throws(() =>
    migrateRecords(db, 'here', [...schemaSteps, 'CREATE TABLE more(x)', 'CREATE nonsense']),
  );
  t.equal(versionOf(db), before);
  t.throws(() => db.prepare('SELECT * FROM more'));
  t.end();
});

void t.test('a version that nobody writes is damage: begun anew', async (t) => {
  const directory = join(t.testdir(), 'cache');
  const open = () => openStore({ directory, limit: 1e8, source: memorySource() });
  await open().close();
  const db = new Database(join(directory, 'index.db'));
  db.pragma('user_version = -1');
  db.close();
  const store = open();
  t.equal(store.statistics.rebuilt, 1);
  await store.close();
});

void t.test('records of a newer pinfs are refused with a word, and left as they are', async (t) => {
  const directory = join(t.testdir(), 'cache');
  const open = () => openStore({ directory, limit: 1e8, source: memorySource() });
  await open().close();
  const index = join(directory, 'index.db');
  const db = new Database(index);
  db.pragma(`user_version = ${schemaSteps.length + 1}`);
  db.close();
  const before = readFileSync(index);
  const message = `the records of the cache ${directory} were made by a newer pinfs (version ${schemaSteps.length + 1})`;
  t.throws(open, { code: 'CACHE_UNUSABLE', message, advice: /--cache/ });
  t.same(readFileSync(index), before);
});
