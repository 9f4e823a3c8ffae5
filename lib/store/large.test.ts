import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { objectPath } from '../format/hash.js';
import { httpSource } from '../source/http/http.js';
import { directorySource } from '../source/directory.js';
import { startBadServer } from '../testing/servers/bad-server.js';
import { wantFor } from '../testing/fakes/memory-source.js';
import { writeFiles } from '../publish/write-repository.js';
import { openStore } from './open.js';
import type { Store } from './store.js';
import type { Want } from './want.js';

/** Objects that are not held in memory on their way. */

const mebibyte = 2 ** 20;

async function serve(t: Test, files: ReadonlyMap<string, Buffer>) {
  const server = await startBadServer(files);
  t.teardown(() => server.close());
  const source = httpSource(server.url, { backoff: 1 });
  t.teardown(() => source.close());
  const directory = t.testdir();
  const store = openStore({ directory, limit: 1e9, source });
  t.teardown(() => store.close());
  return { server, store, directory };
}

function temporaries(directory: string): string[] {
  return readdirSync(join(directory, 'tmp')).filter((name) => !name.endsWith('.lock'));
}

function read(store: Store, want: Want, position: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const count = store.shelf.read(want, position, length, bytes, 0) ?? -1;
  return bytes.subarray(0, count);
}

const large = Buffer.alloc(3 * mebibyte);
for (let at = 0; at < large.length; at += 8) large.writeDoubleLE(Math.sin(at), at);

void t.test('large objects come from a server and from a directory', async (t) => {
  for (const compression of ['zlib', 'none'] as const) {
    const stored = compression === 'zlib' ? deflateSync(large, { level: 1 }) : large;
    for (const size of [
      { kind: 'exact', bytes: large.length },
      { kind: 'limit', bytes: 2 * large.length },
    ] as const) {
      const want = wantFor(stored, size, { compression });
      const files = new Map([[objectPath(want.object), stored]]);
      const { server, store, directory } = await serve(t, files);
      await store.fetch(want);
      t.ok(
        read(store, want, 2 * mebibyte, 1000).equals(
          large.subarray(2 * mebibyte, 2 * mebibyte + 1000),
        ),
      );
      t.equal(server.requests.length, 1);
      t.same(temporaries(directory), [], 'nothing is left');

      const source = directorySource(writeFiles(t.testdir({ from: {} }), files));
      const local = openStore({ directory: join(t.testdirName, 'local'), limit: 1e9, source });
      await local.fetch(want);
      t.ok(read(local, want, 0, mebibyte).equals(large.subarray(0, mebibyte)));
      await local.close();
    }
  }
});

void t.test('what is wrong with a large object is said, and nothing stays', async (t) => {
  const stored = deflateSync(large, { level: 1 });
  const cases: [string, Buffer, Want['size'], string][] = [
    ['cut', stored.subarray(0, -9), { kind: 'exact', bytes: large.length }, 'OBJECT_NOT_ZLIB'],
    [
      'trailing',
      Buffer.concat([stored, Buffer.alloc(1000)]),
      { kind: 'exact', bytes: large.length },
      'OBJECT_TRAILING_BYTES',
    ],
    ['longer', stored, { kind: 'exact', bytes: large.length - 1 }, 'OBJECT_SIZE_MISMATCH'],
    ['shorter', stored, { kind: 'exact', bytes: large.length + 1 }, 'OBJECT_SIZE_MISMATCH'],
    [
      'a bomb',
      deflateSync(Buffer.alloc(2 ** 25), { level: 1 }),
      { kind: 'limit', bytes: mebibyte },
      'OBJECT_TOO_LARGE',
    ],
  ];
  for (const [name, bytes, size, code] of cases) {
    const want = wantFor(bytes, size);
    const { store, directory } = await serve(t, new Map([[objectPath(want.object), bytes]]));
    await t.rejects(store.fetch(want), { code }, name);
    t.same(temporaries(directory), [], name);
    await store.close();
  }
});

void t.test('asked for once where no size was promised', async (t) => {
  const want = wantFor(Buffer.from('history'), { kind: 'limit', bytes: 8 * mebibyte });
  const { server, store, directory } = await serve(t, new Map());
  server.behave(objectPath(want.object), 'endless');
  await t.rejects(store.fetch(want), { code: 'OBJECT_TOO_LARGE' });
  t.equal(server.requests.length, 1);
  t.same(temporaries(directory), []);
});

void t.test('where no size was promised, two tries count in one bound', async (t) => {
  const limit = 4 * mebibyte;
  const want = wantFor(Buffer.from('history'), { kind: 'limit', bytes: limit });
  const wrong = Buffer.alloc(3 * mebibyte, 'wrong');
  const { server, store } = await serve(t, new Map([[objectPath(want.object), wrong]]));
  await t.rejects(store.fetch(want), { code: 'OBJECT_HASH_MISMATCH' }, 'what used the bound up');
  t.equal(server.requests.length, 2, 'the second may have what is left, and would be larger');
});

void t.test('a cache that is too small for what nobody promised says so', async (t) => {
  const want = wantFor(Buffer.from('history'), { kind: 'limit', bytes: 64 * mebibyte });
  const server = await startBadServer(new Map());
  t.teardown(() => server.close());
  server.behave(objectPath(want.object), 'endless');
  const source = httpSource(server.url);
  const store = openStore({ directory: t.testdir(), limit: 2 * mebibyte, source });
  await t.rejects(store.fetch(want), { code: 'CACHE_FULL', advice: /cache-limit/ });
  await store.close();
  await source.close();
});
