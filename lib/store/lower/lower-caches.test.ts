import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inflateSync } from 'node:zlib';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { hashBytes, parseHash } from '../../format/hash.js';
import { genuine, needsGenuine } from '../../testing/genuine.js';
import { memorySource } from '../../testing/fakes/memory-source.js';
import { openStore } from '../open.js';
import { readWhole } from '../run.js';
import type { Store } from '../store.js';
import type { Want } from '../want.js';
import { checkLowerCaches } from './lower-caches.js';

const sizes = [0, 1000, 300_000, 2_500_000];

function place(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-lower-caches-'));
  t.teardown(() => rmSync(directory, { recursive: true }));
  return directory;
}

function filled() {
  const source = memorySource();
  // Something that zlib finds matches in.
  const plains = sizes.map((size) =>
    Buffer.concat(
      Array.from({ length: 4 }, () => randomBytes(size / 4)).flatMap((one) => [one, one]),
    ),
  );
  return { source, plains, wants: plains.map((plain) => source.put(plain)) };
}

/** A store with nothing of its own, and no network. */
function above(t: Test, ...lower: string[]): Store {
  const store = openStore({
    directory: join(place(t), 'cache'),
    limit: 1e8,
    source: memorySource(),
    offline: true,
    lower,
  });
  t.teardown(() => store.close());
  return store;
}

/** Puts an object where the reference keeps it. */
function putAsReference(directory: string, { object }: Want, plain: Buffer): string {
  const { text } = object.hash;
  const file = join(directory, text.slice(0, 2), text.slice(2));
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, plain);
  return file;
}

void t.test('what a cache of pinfs has is not fetched, and stays in the own one', async (t) => {
  const { source, plains, wants } = filled();
  const lower = join(place(t), 'cache');
  const first = openStore({ directory: lower, limit: 1e8, source });
  for (const want of wants) await first.fetch(want);
  await first.close();
  const before = readdirSync(lower, { recursive: true }).sort();
  const store = above(t, lower);
  for (const [number, want] of wants.entries())
    t.same(await readWhole(store, want), plains[number]);
  t.same(readdirSync(lower, { recursive: true }).sort(), before, 'it is only read');
  t.equal(store.statistics.notStored, undefined);
  for (const want of wants) t.ok(store.shelf.has(want));
});

void t.test('what an alien cache of the reference has is not fetched', async (t) => {
  const { plains, wants } = filled();
  const directory = place(t);
  for (const [number, want] of wants.entries())
    putAsReference(directory, want, plains[number] ?? Buffer.alloc(0));
  // Whose it is does not matter, nor who may write to it.
  chmodSync(directory, 0o777);
  const store = above(t, place(t), directory);
  for (const [number, want] of wants.entries())
    t.same(await readWhole(store, want), plains[number]);
});

void t.test('nothing is believed that is not what its name says', async (t) => {
  const { plains, wants } = filled();
  const directory = place(t);
  for (const [number, want] of wants.entries()) {
    const plain = Buffer.from(plains[number] ?? Buffer.alloc(0));
    if (plain.length > 0) plain[plain.length >> 1] = (plain[plain.length >> 1] ?? 0) ^ 1;
    putAsReference(directory, want, plain.length > 0 ? plain : Buffer.from('x'));
  }
  const store = above(t, directory);
  for (const want of wants)
    await t.rejects(store.fetch(want), { code: 'SOURCE_OFFLINE' }, `${want.size.bytes} bytes`);
});

/** A cache of somebody who need not be believed, in which small objects lie in segments. */
async function foreign(t: Test) {
  const { source, plains, wants } = filled();
  const directory = join(place(t), 'cache');
  const first = openStore({ directory, limit: 2 ** 30, source });
  for (const want of wants) await first.fetch(want);
  await first.close();
  chmodSync(directory, 0o777);
  return { directory, plains, wants };
}

void t.test('what lies in segments of another user is found by his records', async (t) => {
  const { directory, plains, wants } = await foreign(t);
  const before = readdirSync(directory, { recursive: true }).sort();
  t.ok(readdirSync(join(directory, 'segments')).length > 0);
  const store = above(t, directory);
  for (const [number, want] of wants.entries())
    t.same(await readWhole(store, want), plains[number]);
  t.same(readdirSync(directory, { recursive: true }).sort(), before, 'it is only read');
});

const lies: Readonly<Record<string, string>> = {
  'a place behind all ends': 'UPDATE objects SET place = 1 << 60',
  'another place': 'UPDATE objects SET place = place + 1',
  'a size that is none': "UPDATE objects SET size = 'large'",
  'a name that leads elsewhere': "UPDATE objects SET segment = '../index.db.....'",
  'a long name': 'UPDATE objects SET segment = zeroblob(1000000)',
  'a view': 'ALTER TABLE objects RENAME TO o; CREATE VIEW objects AS SELECT * FROM o',
  'a trigger': 'CREATE TRIGGER t AFTER INSERT ON holds BEGIN DELETE FROM objects; END',
  'an index of his own': 'CREATE INDEX mine ON objects(hex(key))',
};

for (const [name, sql] of Object.entries(lies)) {
  void t.test(`records of another user are not believed: ${name}`, async (t) => {
    const { directory, wants } = await foreign(t);
    const db = new Database(join(directory, 'index.db'));
    db.exec(sql);
    db.close();
    const store = above(t, directory);
    const [, small, large] = wants;
    if (small === undefined || large === undefined) return;
    await t.rejects(store.fetch(small), { code: 'SOURCE_OFFLINE' });
    await store.fetch(large);
  });
}

void t.test('a segment of another user is not believed', async (t) => {
  const { directory, wants } = await foreign(t);
  for (const name of readdirSync(join(directory, 'segments'))) {
    const file = join(directory, 'segments', name);
    writeFileSync(
      file,
      readFileSync(file).map((byte) => byte ^ 1),
    );
  }
  const store = above(t, directory);
  const small = wants[1];
  if (small !== undefined) await t.rejects(store.fetch(small), { code: 'SOURCE_OFFLINE' });
});

void t.test('what it lacks is fetched', async (t) => {
  const { source, plains, wants } = filled();
  const directory = place(t);
  const store = openStore({
    directory: join(place(t), 'c'),
    limit: 1e8,
    source,
    lower: [directory],
  });
  t.teardown(() => store.close());
  const [, want] = wants;
  if (want === undefined) return;
  t.same(await readWhole(store, want), plains[1]);
  t.equal(source.requests.length, 1);
});

function inflated(stored: Buffer): Buffer | undefined {
  try {
    return inflateSync(stored);
  } catch {
    return undefined;
  }
}

void t.test('genuine objects, decompressed, are known by their names', needsGenuine, async (t) => {
  const data = genuine('features-sha1', 'features-sha1.example.org', 'data');
  const directory = place(t);
  const wants: Want[] = [];
  for (const name of readdirSync(data, { recursive: true, encoding: 'utf8' })) {
    const hash = /^..\/[0-9a-f]{38}$/.test(name) ? parseHash(name.replace('/', '')) : undefined;
    if (hash === undefined) continue;
    const stored = readFileSync(join(data, name));
    const plain = hashBytes('sha1', stored).text === hash.text ? inflated(stored) : undefined;
    // Some are kept as they are.
    if (plain === undefined) continue;
    const size = { kind: 'exact', bytes: plain.length } as const;
    const want: Want = { object: { hash, kind: 'data' }, compression: 'zlib', size, path: name };
    putAsReference(directory, want, plain);
    wants.push(want);
  }
  t.ok(wants.length > 10, `${wants.length} objects`);
  const store = above(t, directory);
  for (const want of wants) await store.fetch(want);
  for (const want of wants) t.ok(store.shelf.has(want), want.path);
});

void t.test('a mistake in a name is told', (t) => {
  const directory = place(t);
  t.doesNotThrow(() => checkLowerCaches([directory]));
  t.throws(() => checkLowerCaches([join(directory, 'none')]), { code: 'USAGE', message: /ENOENT/ });
  writeFileSync(join(directory, 'file'), '');
  t.throws(() => checkLowerCaches([join(directory, 'file')]), { message: /is no directory/ });
  t.end();
});
