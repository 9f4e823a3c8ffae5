import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { memorySource } from '../testing/fakes/memory-source.js';
import { openShelf } from './cache/open-shelf.js';
import { clearCache, verifyAll } from './cache/maintain.js';
import { openStore } from './open.js';
import { readWhole } from './run.js';

// Whatever lies where a file of the cache should: nobody waits for it, it is thrown out, and made or fetched anew.

const isRoot = process.geteuid?.() === 0;

const kinds: Readonly<Record<string, (path: string) => void>> = {
  fifo: (path) => void execFileSync('mkfifo', [path]),
  socket(path) {
    // The path of a socket has to be short.
    const place = mkdtempSync(join(tmpdir(), 'pinfs-socket-'));
    const listen = `require('net').createServer().listen(process.argv[1], () => process.exit(0))`;
    execFileSync(process.execPath, ['-e', listen, join(place, 's')]);
    execFileSync('mv', [join(place, 's'), path]);
    rmSync(place, { recursive: true });
  },
  'empty directory': (path) => mkdirSync(path),
  directory(path) {
    mkdirSync(join(path, 'ab', 'cd'), { recursive: true });
    writeFileSync(join(path, 'ab', 'cd', 'x'), 'x');
  },
  'link to nothing': (path) => symlinkSync('nothing', path),
  'link to itself': (path) => symlinkSync(path, path),
  ...(isRoot ? { device: (path) => void execFileSync('mknod', [path, 'c', '1', '5']) } : {}),
};

async function filled(t: Test) {
  const directory = join(t.testdir(), 'cache');
  const source = memorySource();
  const open = () => openStore({ directory, limit: 1e8, source });
  const store = open();
  const plains = Array.from({ length: 3 }, () => randomBytes(1000));
  const wants = plains.map((plain) => source.put(plain));
  for (const want of wants) await store.fetch(want);
  await store.close();
  return { directory, open, plains, wants };
}

/** Every object, as a reader sees it. */
async function readAll(t: Test, set: Awaited<ReturnType<typeof filled>>): Promise<void> {
  const store = set.open();
  for (const [number, want] of set.wants.entries()) {
    t.same(await readWhole(store, want), set.plains[number]);
  }
  await store.close();
}

/** The files of the objects, wherever they are. */
function objectsBelow(directory: string): string[] {
  const found = readdirSync(join(directory, 'objects'), { recursive: true, encoding: 'utf8' });
  return found
    .map((name) => join(directory, 'objects', name))
    .filter((path) => lstatSync(path).isFile());
}

for (const [kind, put] of Object.entries(kinds)) {
  void t.test(`a ${kind} in the place of an object`, async (t) => {
    const set = await filled(t);
    const replace = (): void => {
      const [file] = objectsBelow(set.directory);
      if (file === undefined) throw new Error('there is no file');
      rmSync(file);
      put(file);
    };
    replace();
    await readAll(t, set);
    replace();
    t.match(await verifyAll(set.directory), { damaged: [/^[0-9a-f]{40}/], missing: 0 });
    await readAll(t, set);
    replace();
    t.match(await clearCache(set.directory), { objects: 3 });
    t.same(objectsBelow(set.directory), []);
    await readAll(t, set);
    // What nobody has a record of goes as well.
    const [file = ''] = objectsBelow(set.directory);
    put(`${file.slice(0, -4)}beef`);
    t.match(await verifyAll(set.directory), { strays: 1 });
    t.notOk(existsSync(`${file.slice(0, -4)}beef`));
  });

  void t.test(`a ${kind} that comes while a store is open`, async (t) => {
    const { directory, open, wants, plains } = await filled(t);
    const store = open();
    const shelf = openShelf(directory);
    for (const file of objectsBelow(directory)) {
      rmSync(file);
      put(file);
    }
    for (const [number, want] of wants.entries()) {
      t.notOk(shelf.has(want));
      await store.fetch(want);
      t.ok(shelf.has(want));
      t.same(await readWhole(store, want), plains[number]);
    }
    shelf.close();
    await store.close();
  });

  void t.test(`a ${kind} in the place of what makes a cache`, async (t) => {
    for (const name of [
      'index.db',
      'index.db-wal',
      'index.db-shm',
      'index.db-journal',
      'index.db.damaged',
      'reserve',
      'CACHEDIR.TAG',
      'tmp',
      'tmp/1234-0123456789ab.lock',
      'tmp/stray',
    ]) {
      const set = await filled(t);
      const path = join(set.directory, name);
      rmSync(path, { recursive: true, force: true });
      put(path);
      if (name === 'index.db.damaged') writeFileSync(join(set.directory, 'index.db'), 'damaged');
      await readAll(t, set);
    }
  });

  void t.test(`a ${kind} in the place of the folder of objects`, async (t) => {
    const set = await filled(t);
    const [folder = ''] = readdirSync(join(set.directory, 'objects'));
    const path = join(set.directory, 'objects', folder);
    renameSync(path, `${path}.old`);
    put(path);
    await readAll(t, set);
    await verifyAll(set.directory);
    await readAll(t, set);
  });
}
