import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { inflateSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { objectPath, type HashAlgorithm } from '../../format/hash.js';
import { cutsOf } from './chunker.js';
import { defaultChunkSizes, type ObjectStorage, type StoredContent } from './content.js';
import { makeObjectWriter, type WriterOptions } from './writer.js';

const sizes = { min: 16384, average: 32768, max: 65536 };

/** A storage in memory. */
function memory(): ObjectStorage & { readonly files: Map<string, Buffer>; writes: number } {
  const files = new Map<string, Buffer>();
  return {
    files,
    writes: 0,
    has: (path) => Promise.resolve(files.has(path)),
    write(path, content) {
      this.writes++;
      if (files.has(path)) return Promise.resolve('refused');
      files.set(path, Buffer.isBuffer(content) ? content : readFileSync(content.file));
      return Promise.resolve('written');
    },
  };
}

function writerOf(t: Test, options: Partial<WriterOptions> = {}) {
  const storage = memory();
  const writer = makeObjectWriter(storage, {
    algorithm: 'sha1',
    compression: 'zlib',
    chunkSizes: sizes,
    threads: 2,
    ...options,
  });
  t.teardown(() => writer.close());
  return { writer, storage };
}

/** Bytes in which content cuts, and which compress a little. */
function content(length: number, seed = 1): Buffer {
  let state = seed;
  const bytes = Buffer.alloc(length);
  for (let at = 0; at < length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[at] = (state >>> 24) & 0x7f;
  }
  return bytes;
}

t.test('objects have the names of the format document, in each algorithm', async (t) => {
  const expected: Record<HashAlgorithm, readonly [packed: string, plain: string]> = {
    sha1: ['058dca2f4afaa08a135dc62af2ed255947a89634', '35a53a39df705d19bd9402123ddde8dc85307c3b'],
    rmd160: [
      '32d233bc0f3b4f31086d57912f46a9565364e2a9-rmd160',
      '0d17bbb790af9e446c54fd292ab922da0317cadc-rmd160',
    ],
    shake128: [
      '7d03dfbf74c0fe06e333ac06d945e55a5183c798-shake128',
      '72f911f8b2ce73aa4589202fb293e78476c611cc-shake128',
    ],
  };
  const bytes = Buffer.from('Hello, CernVM-FS!\n');
  for (const algorithm of ['sha1', 'rmd160', 'shake128'] as const) {
    const packed = writerOf(t, { algorithm });
    t.equal((await packed.writer.store({ bytes })).hash?.text, expected[algorithm][0]);
    t.equal((await packed.writer.storeBytes('catalog', bytes)).text, expected[algorithm][0]);
    const text = expected[algorithm][0];
    const path = `data/${text.slice(0, 2)}/${text.slice(2)}`;
    t.same([...packed.storage.files.keys()], [path, `${path}C`]);
    const plain = writerOf(t, { algorithm, compression: 'none' });
    t.equal((await plain.writer.store({ bytes })).hash?.text, expected[algorithm][1]);
    t.equal((await plain.writer.storeBytes('metainfo', bytes)).text, expected[algorithm][0]);
  }
});

/** The plain bytes of a content, put together from what was stored. */
function plainOf(files: ReadonlyMap<string, Buffer>, stored: StoredContent): Buffer {
  const object = (path: string): Buffer => {
    const bytes = files.get(path);
    if (bytes === undefined) throw new Error(`there is no ${path}`);
    return stored.compression === 'zlib' ? inflateSync(bytes) : bytes;
  };
  const { hash, chunks } = stored;
  if (chunks.length > 0)
    return Buffer.concat(
      chunks.map((one) => object(objectPath({ hash: one.hash, kind: 'chunk' }))),
    );
  if (hash === undefined) throw new Error('neither hash nor chunks');
  return object(objectPath({ hash, kind: 'data' }));
}

t.test('a file, a stream and bytes become the same objects', async (t) => {
  const directory = t.testdir();
  for (const [index, length] of [0, 1, 16384, 16385, 300_000, 2_500_000].entries()) {
    const bytes = content(length, length);
    const file = join(directory, String(index));
    writeFileSync(file, bytes);
    const { writer, storage } = writerOf(t);
    const stored = await writer.store({ file });
    t.ok(plainOf(storage.files, stored).equals(bytes), `${length} bytes`);
    const cuts = cutsOf(bytes, sizes);
    t.same(
      stored.chunks.slice(1).map(({ offset }) => offset),
      cuts,
    );
    t.equal(stored.hash === undefined, cuts.length > 0);
    const { writes } = storage;
    t.same(await writer.store({ bytes }), stored);
    const pieces = [bytes.subarray(0, 1000), bytes.subarray(1000)];
    t.same(await writer.store({ stream: Readable.from(pieces), size: length }), stored);
    t.same(await writer.store({ file, offset: 0, size: length }), stored);
    t.equal(storage.writes, writes, 'what is there is not written again');
    t.ok(await writer.holds(stored));
    storage.files.delete([...storage.files.keys()][0] ?? '');
    t.notOk(await writer.holds(stored));
    t.match(writer.counts, { files: 4, bytes: 4 * length, newObjects: writes });
  }
});

t.test('part of a file is stored as a file of that content', async (t) => {
  const file = join(t.testdir(), 'archive');
  const bytes = content(200_000);
  writeFileSync(file, bytes);
  const { writer, storage } = writerOf(t);
  const stored = await writer.store({ file, offset: 1000, size: 150_000 });
  t.ok(plainOf(storage.files, stored).equals(bytes.subarray(1000, 151_000)));
  await t.rejects(writer.store({ file, offset: 1000, size: 200_000 }), { code: 'INPUT_CHANGED' });
});

t.test('chunked files have a hash of the whole where it is asked for', async (t) => {
  const { writer, storage } = writerOf(t, { wholeFileHash: true });
  const bytes = content(200_000);
  const stored = await writer.store({ bytes });
  t.ok(stored.chunks.length > 1);
  t.ok(plainOf(storage.files, { ...stored, chunks: [] }).equals(bytes));
  t.ok(plainOf(storage.files, stored).equals(bytes));
});

t.test('external content is named by its plain bytes, and not stored', async (t) => {
  const { writer, storage } = writerOf(t, { external: true });
  const plain = writerOf(t, { compression: 'none' });
  for (const length of [100, 200_000]) {
    const bytes = content(length);
    const stored = await writer.store({ bytes });
    t.same({ ...stored, external: false }, await plain.writer.store({ bytes }));
    t.ok(await writer.holds(stored));
  }
  t.equal(storage.files.size, 0);
});

t.test(
  'an object that is too large for memory goes through a file, of which nothing is left',
  async (t) => {
    const temporary = t.testdir();
    const { writer, storage } = writerOf(t, {
      compression: 'none',
      chunkSizes: undefined,
      temporary,
    });
    const bytes = content(5_000_000);
    const stored = await writer.store({ bytes });
    t.ok(plainOf(storage.files, stored).equals(bytes));
    t.same(
      readdirSync(temporary).flatMap((name) => readdirSync(join(temporary, name))),
      [],
    );
    await writer.close();
    t.same(readdirSync(temporary), []);
  },
);

t.test('what can not be read, or changes, is told', async (t) => {
  const directory = t.testdir({ file: 'one', link: t.fixture('symlink', 'file') });
  const { writer } = writerOf(t);
  await t.rejects(writer.store({ file: join(directory, 'none') }), {
    code: 'INPUT_UNREADABLE',
    message: /none: .*(ENOENT)/,
  });
  await t.rejects(writer.store({ file: directory }), { code: 'INPUT_UNREADABLE' });
  await t.rejects(writer.store({ file: join(directory, 'link') }), { code: 'INPUT_UNREADABLE' });
  const file = join(directory, 'file');
  await t.rejects(writer.store({ file, identity: '1:2:3:4:5' }), { code: 'INPUT_CHANGED' });
  for (const size of [2, 4])
    await t.rejects(writer.store({ stream: Readable.from([Buffer.from('abc')]), size }), {
      code: 'INPUT_UNREADABLE',
    });
  if (process.getuid?.() === 0) return;
  chmodSync(file, 0);
  await t.rejects(writer.store({ file }), { code: 'INPUT_UNREADABLE', message: /EACCES/ });
});

t.test('what fails in the storage fails there, and a closed writer stores nothing', async (t) => {
  const full = Object.assign(new Error('no space'), { code: 'ENOSPC' });
  const storage: ObjectStorage = {
    has: () => Promise.resolve(false),
    write: () => Promise.reject(full),
  };
  const writer = makeObjectWriter(storage, {
    algorithm: 'sha1',
    compression: 'zlib',
    chunkSizes: sizes,
  });
  t.teardown(() => writer.close());
  await t.rejects(writer.store({ bytes: Buffer.from('x') }), full);
  await t.rejects(writer.store({ bytes: content(200_000) }), full);
  await writer.close();
  await t.rejects(writer.store({ bytes: Buffer.from('x') }), { code: 'INTERRUPTED' });
});

t.test('zeros are cut at the largest size, and the last cut is none', async (t) => {
  const { writer } = writerOf(t, { chunkSizes: defaultChunkSizes, threads: 1 });
  const { max } = defaultChunkSizes;
  const stored = await writer.store({ bytes: Buffer.alloc(2 * max) });
  t.match(stored.chunks, [
    { offset: 0, size: max },
    { offset: max, size: max },
  ]);
  t.equal(stored.chunks.length, 2);
  t.equal(stored.chunks[0]?.hash.text, '104c94bb1d8c4b07633373cdfe6ad3c45fea1abc');
});
