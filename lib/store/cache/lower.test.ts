import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { makeReadOnly } from '../../testing/read-only.js';
import { memorySource } from '../../testing/fakes/memory-source.js';
import { openShelf } from './open-shelf.js';
import { objectFile } from './layout.js';
import { schemaSteps } from './records-schema.js';
import { openStore } from '../open.js';
import { readWhole } from '../run.js';
import { wantKey, type Want } from '../want.js';

async function filled(t: Test) {
  const parent = mkdtempSync(join(tmpdir(), 'pinfs-lower-'));
  t.teardown(() => rmSync(parent, { recursive: true }));
  const directory = join(parent, 'cache');
  const source = memorySource();
  const store = openStore({ directory, limit: 1e8, source });
  const plains = [randomBytes(1000), randomBytes(300_000), Buffer.alloc(0)];
  const wants = plains.map((plain) => source.put(plain));
  for (const want of wants) await store.fetch(want);
  await store.close();
  return { directory, source, plains, wants };
}

void t.test('a cache that can only be read is read, and what is new is not kept', async (t) => {
  const { directory, source, plains, wants } = await filled(t);
  if (!makeReadOnly(t, directory)) {
    t.comment('no directory can be made read-only here');
    return;
  }
  const before = source.requests.length;
  for (const offline of [true, false]) {
    const store = openStore({ directory, limit: 1e8, source, offline });
    t.match(store.statistics.notStored?.reason, /can only be read/);
    const shelf = openShelf(directory, { at: store.at });
    for (const [number, want] of wants.entries()) {
      t.same(await readWhole(store, want), plains[number]);
      t.ok(shelf.has(want), 'another thread sees it');
    }
    t.equal(source.requests.length, before, 'nothing is fetched for it');
    if (!offline) {
      const fresh = randomBytes(100);
      const want = source.put(fresh);
      t.same(await readWhole(store, want), fresh);
    }
    shelf.close();
    await store.close();
  }
});

void t.test('records of a newer pinfs are not believed there either', async (t) => {
  const { directory, source, plains, wants } = await filled(t);
  const db = new Database(join(directory, 'index.db'));
  db.pragma(`user_version = ${schemaSteps.length + 1}`);
  db.close();
  if (!makeReadOnly(t, directory)) {
    t.comment('no directory can be made read-only here');
    return;
  }
  const before = source.requests.length;
  const store = openStore({ directory, limit: 1e8, source });
  for (const [number, want] of wants.entries())
    t.same(await readWhole(store, want), plains[number]);
  t.equal(source.requests.length, before + wants.length, 'all of it is fetched');
  await store.close();
});

void t.test('what is there counts after a check', async (t) => {
  const { directory, source, plains, wants } = await filled(t);
  const [first, second] = wants as [Want, Want];
  const file = objectFile(directory, wantKey(first));
  chmodSync(file, 0o644);
  writeFileSync(file, randomBytes(1000));
  if (!makeReadOnly(t, directory)) {
    t.comment('no directory can be made read-only here');
    return;
  }
  const before = source.requests.length;
  const store = openStore({ directory, limit: 1e8, source });
  t.same(await readWhole(store, first), plains[0]);
  t.equal(source.requests.length, before + 1);
  t.same(await readWhole(store, second), plains[1]);
  t.equal(source.requests.length, before + 1);
  await store.close();
  t.ok(readdirSync(directory).includes('index.db'));
});
