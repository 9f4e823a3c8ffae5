import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openRepository } from '../../repository/open.js';
import { list, walk } from '../../repository/use/path.js';
import type { Repository } from '../../repository/repository.js';
import { genuine, needsGenuine } from '../../testing/genuine.js';
import { genuineRepository } from '../../testing/suites/oracle.js';
import type { Entry } from '../../tree/entry.js';
import { defaultChunkSizes, type ContentOptions, type ObjectStorage } from '../objects/content.js';
import { makeObjectWriter } from '../objects/writer.js';
import type { InputEntry } from './entry.js';
import { readInput } from './read.js';

// What the reference made of the same trees.

const environment = { variables: {}, now: () => new Date('2030-06-01T00:00:00Z') };

function scratch(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-genuine-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const nowhere: ObjectStorage = {
  has: () => Promise.resolve(true),
  write: () => Promise.resolve('refused'),
};

async function inputOf(t: Test, from: string, options: ContentOptions): Promise<InputEntry[]> {
  const writer = makeObjectWriter(nowhere, options);
  t.teardown(() => writer.close());
  const entries: InputEntry[] = [];
  for await (const entry of readInput(from, { writer, xattrs: true })) entries.push(entry);
  await writer.close();
  return entries;
}

async function opened(t: Test, folder: string, tag: string): Promise<Repository> {
  const { directory, fqrn, key } = genuineRepository(folder);
  const options = { source: `${directory}@${tag}`, cache: scratch(t), fqrn, keys: [key] };
  const repository = await openRepository(options, environment);
  t.teardown(() => repository.close());
  return repository;
}

async function* allBelow(repository: Repository, directory: Entry): AsyncGenerator<Entry> {
  yield directory;
  for await (const entry of list(repository, directory)) {
    if (entry.type === 'directory') yield* allBelow(repository, entry);
    else yield entry;
  }
}

type Row = Readonly<Record<string, unknown>>;

/** What a catalog says of one entry: names of chunks, or of the whole where there are none. */
function rowOfEntry(repository: Repository, entry: Entry): Row {
  const { content } = entry;
  const isChunked = content?.chunked === true;
  const chunks = isChunked ? repository.tree.chunks(entry.node) : undefined;
  return {
    ...attributesOf({ ...entry, target: entry.rawTarget }),
    chunks:
      chunks?.kind === 'done'
        ? chunks.value.map(({ offset, size, object }) => [offset, size, object.hash.text])
        : [],
    // That of the whole is made for all of them, and published with some.
    hash:
      content === undefined || (isChunked && content.hash === undefined) ? '' : content.hash?.text,
  };
}

/** The same of what is to be published. A file whose like was published as a whole is compared as a whole. */
function rowOfInput(entry: InputEntry, like: Row): Row {
  const { stored } = entry;
  const isChunked = Array.isArray(like['chunks']) && like['chunks'].length > 0;
  return {
    ...attributesOf({ ...entry, target: entry.target ?? '' }),
    chunks: isChunked
      ? stored?.chunks.map(({ offset, size, hash }) => [offset, size, hash.text])
      : [],
    hash: stored === undefined || like['hash'] === '' ? '' : stored.hash?.text,
  };
}

function attributesOf(
  entry: Omit<InputEntry, 'xattrs'> & { readonly xattrs?: Entry['xattrs'] },
): Row {
  const { type, mode, uid, gid, mtime, rdev, target, xattrs } = entry;
  return {
    type,
    mode: mode & 0o7777,
    uid,
    gid,
    mtime,
    size: type === 'file' ? entry.size : 0,
    rdev,
    target,
    // The reference writes a value of 256 bytes as one of none; here it is left out.
    xattrs: [...(xattrs ?? [])]
      .filter(([name]) => name !== 'user.len256')
      .map(([name, value]) => [name, value.toString('hex')])
      .sort(),
  };
}

const chunkSizes = { min: 16384, average: 32768, max: 65536 };
const tags = ['v1-base', 'v2-chunks', 'v3-uncompressed', 'v4-external', 'v5-bulk'];

for (const algorithm of ['sha1', 'rmd160', 'shake128'] as const) {
  const name = `a tar of the five trees has the entries and objects of features-${algorithm}`;
  void t.test(name, needsGenuine, async (t) => {
    const archive = genuine('features-sha1', 'source-trees', 'features-r1-to-r5.tar.xz');
    const settings = { algorithm, chunkSizes, wholeFileHash: true };
    const packed = await inputOf(t, archive, { ...settings, compression: 'zlib' });
    // All five trees for one of them: the others have the same content.
    const isWhole = algorithm === 'sha1';
    const plain = isWhole ? await inputOf(t, archive, { ...settings, compression: 'none' }) : [];
    const byPath = (entries: InputEntry[]) => new Map(entries.map((one) => [one.path, one]));
    const inputs = { zlib: byPath(packed), none: byPath(plain) };
    for (const [index, tag] of tags.entries()) {
      if (!isWhole && index < 4) continue;
      const repository = await opened(t, `features-${algorithm}`, tag);
      const different: unknown[] = [];
      let compared = 0;
      for await (const entry of allBelow(repository, await walk(repository, '', false))) {
        const input = inputs[entry.content?.compression ?? 'zlib'].get(
          `/r${index + 1}${entry.path}`,
        );
        // A tar can't hold sockets.
        if (input === undefined && entry.type === 'socket') continue;
        if (!isWhole && entry.content?.compression === 'none') continue;
        // The root's row is as old as the repository.
        if (entry.path === '') continue;
        compared++;
        const expected = rowOfEntry(repository, entry);
        const got = input && rowOfInput(input, expected);
        if (JSON.stringify(got) !== JSON.stringify(expected))
          different.push({ path: entry.path, got, expected });
      }
      t.same(different.slice(0, 5), [], tag);
      t.ok(compared > 900, `${compared} entries`);
      await repository.close();
    }
  });
}

void t.test('large files are cut and named as the reference did', needsGenuine, async (t) => {
  const directory = scratch(t);
  const script = genuine('default-chunks', 'generate.py');
  t.equal(spawnSync('python3', [script, directory], { stdio: 'inherit' }).status, 0);
  const records = readFileSync(join(directory, 'records-40m.txt'));
  writeFileSync(join(directory, 'first-4m.txt'), records.subarray(0, 2 ** 22));
  writeFileSync(join(directory, 'first-4m-plus-1.txt'), records.subarray(0, 2 ** 22 + 1));
  writeFileSync(join(directory, 'zeros-20m.bin'), Buffer.alloc(20 * 2 ** 20));
  const options = {
    algorithm: 'sha1',
    compression: 'zlib',
    chunkSizes: defaultChunkSizes,
  } as const;
  const input = await inputOf(t, directory, options);
  const repository = await opened(t, 'default-chunks', 'v1');
  let chunked = 0;
  for (const { path, stored } of input.filter(({ type }) => type === 'file')) {
    const entry = await walk(repository, path, false);
    const expected = rowOfEntry(repository, entry);
    t.same(
      { chunks: stored?.chunks.map(({ offset, size, hash }) => [offset, size, hash.text]) ?? [] },
      { chunks: expected['chunks'] },
      path,
    );
    t.equal(stored?.hash?.text ?? '', expected['hash'], path);
    if (stored !== undefined && stored.chunks.length > 0) chunked++;
  }
  t.ok(chunked >= 3, `${chunked} in chunks`);
});
