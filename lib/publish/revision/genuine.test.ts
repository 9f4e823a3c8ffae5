import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fromBytes, type ByteString } from '../../format/bytes.js';
import { objectPath, hashFromDigest, parseHash } from '../../format/hash.js';
import { pathDigest, pathKey } from '../../format/path-hash.js';
import { genuine, needsGenuine } from '../../testing/genuine.js';
import { openPublishing, type PublishingScene } from '../../testing/publishing.js';
import { openRepository } from '../../repository/open.js';
import type { Repository } from '../../repository/repository.js';
import { list, readRange, walk } from '../../repository/use/path.js';
import type { Entry } from '../../tree/entry.js';
import type { InputEntry } from '../input/entry.js';
import type { ChunkSizes, ObjectWriter } from '../objects/content.js';
import { defaultChunkSizes } from '../objects/content.js';
import { makeObjectWriter } from '../objects/writer.js';
import { openStoredDatabase, rows, type Files, type Row } from '../read-back.js';
import { publishRevision } from './publish.js';

/*
 * Snapshots that the reference published are read and published again: what comes out has to be the same. These
 * differences are accepted, and no others:
 *  - the size of a directory, which is what the file system of the publisher said of it;
 *  - the numbers of hard-link groups, not who is in one;
 *  - properties and hashes of catalogs: they follow from time and revision, and so do the hashes in nested_catalogs;
 *  - the root row of a tree whose nanoseconds are kept may have none;
 *  - `miscounted`, to the number.
 */

// From v2-chunks on a file (of one byte) and a link of v1-base are directories. The reference kept the counters of what
// they had been, and the link counts of the directories without these; of the link also its type, in `flags`, which no
// reader looks at. This is what it should have said beyond what it says.
const miscounted = {
  entries: [
    { path: '/change', links: 2n, flags: 0n },
    { path: '/change/file-to-dir', links: 1n, flags: 0n },
    { path: '/change/symlink-to-dir', links: 1n, flags: 1n - 12n },
  ],
  counters: { self_dir: 2n, self_regular: -1n, self_file_size: -1n, self_symlink: -1n },
} as const;

const small: ChunkSizes = { min: 16_384, average: 32_768, max: 65_536 };

interface Case {
  readonly folder: string;
  readonly fqrn: string;
  readonly tag: string;
  readonly chunkSizes: ChunkSizes;
  readonly mtimeNs: boolean;
}

const features = ['sha1', 'rmd160', 'shake128'].flatMap((hash) =>
  // What the others add is in the last one as well.
  (hash === 'sha1'
    ? ['v1-base', 'v2-chunks', 'v3-uncompressed', 'v4-external', 'v5-bulk']
    : ['v5-bulk']
  ).map((tag): Case => ({
    folder: `features-${hash}`,
    fqrn: `features-${hash}.example.org`,
    tag,
    chunkSizes: small,
    mtimeNs: hash === 'shake128',
  })),
);
const allCases: readonly Case[] = [
  ...features,
  {
    folder: 'default-chunks',
    fqrn: 'default-chunks.example.org',
    tag: 'v1',
    chunkSizes: defaultChunkSizes,
    mtimeNs: false,
  },
];

// In the last one is all that the others have; `npm run soak` plays them too. Chunks of usual sizes: input/genuine.test.
const cases =
  process.env['PINFS_ALL_CASES'] === '1'
    ? allCases
    : allCases.filter(({ tag }) => tag === 'v5-bulk');

for (const one of cases) {
  void t.test(`${one.folder} ${one.tag}, published again`, needsGenuine, async (t) => {
    const { repository, source } = await openGenuine(t, one);
    const algorithm = parseHash(repository.verdict.rootHash ?? '')?.algorithm ?? 'sha1';
    const scene = await openPublishing(t, { algorithm });
    const report = await publishRevision({
      ...scene.publication,
      inputs: [snapshotEntries(t, repository, scene, one.chunkSizes)],
      at: '',
      deletes: [],
      mtimeNs: one.mtimeNs,
      crossDirectoryLinks: false,
      keepGoing: false,
    });
    const expected = readCatalogs(
      (path) => readFileSync(join(source, path)),
      repository.verdict.rootHash ?? '',
    );
    const made = readCatalogs(
      (path) => readFileSync(join(scene.directory, path)),
      report.rootHash.text,
    );
    t.same([...made.keys()].sort(), [...expected.keys()].sort(), 'catalogs');
    if (!one.tag.startsWith('v1')) correct(expected.get('') ?? {});
    for (const part of ['entries', 'chunks', 'counters', 'nested', 'prefix'])
      t.same(partOf(made, part), partOf(expected, part), part);
    t.equal(missingObjects(source, scene.directory, made), '', 'object names');
  });
}

/** Gives the root catalog of a snapshot of the reference the numbers that it should have. */
function correct({ entries = [], counters = [] }: Record<string, Row[]>): void {
  const add = (row: Row | undefined, column: string, more: bigint): void => {
    if (row === undefined) throw new Error(`no row for ${column}`);
    row[column] = BigInt(Number(row[column])) + more;
  };
  for (const { path, links, flags } of miscounted.entries) {
    const [first] = pathKey(pathDigest(path));
    const row = entries.find((one) => one['md5path_1'] === first);
    add(row, 'links', links);
    add(row, 'flags', flags);
  }
  for (const [name, more] of Object.entries(miscounted.counters))
    add(
      counters.find(({ counter }) => counter === name),
      'value',
      more,
    );
}

function partOf(
  catalogs: ReadonlyMap<ByteString, Record<string, Row[]>>,
  part: string,
): Record<string, Row[] | undefined> {
  const paths = [...catalogs.keys()].sort();
  return Object.fromEntries(paths.map((path) => [path, catalogs.get(path)?.[part]]));
}

async function openGenuine(
  t: Test,
  { folder, fqrn, tag }: Case,
): Promise<{ repository: Repository; source: string }> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-genuine-'));
  const source = genuine(folder, fqrn);
  const repository = await openRepository(
    {
      source: `${source}@${tag}`,
      keys: [genuine('keys', `${fqrn}.pub`)],
      cache: join(work, 'cache'),
      external: genuine(folder, 'external-data', fqrn),
    },
    { variables: { HOME: work }, now: () => new Date('2026-01-01') },
  );
  t.teardown(async () => {
    await repository.close();
    rmSync(work, { recursive: true, force: true });
  });
  return { repository, source };
}

/** The entries of a snapshot, each file stored as the snapshot has it. */
async function* snapshotEntries(
  t: Test,
  repository: Repository,
  scene: PublishingScene,
  chunkSizes: ChunkSizes,
): AsyncGenerator<InputEntry> {
  const writers = new Map<string, ObjectWriter>();
  t.teardown(async () => {
    for (const writer of writers.values()) await writer.close();
  });
  const writerFor = ({ content }: Entry): ObjectWriter => {
    const { algorithm = 'sha1', compression = 'zlib', external = false, chunked } = content ?? {};
    const wholeFileHash = chunked === true && content?.hash !== undefined;
    const key = [algorithm, compression, external, chunked, wholeFileHash].join();
    const chunks = chunked === true ? { chunkSizes } : {};
    const options = { algorithm, compression, external, wholeFileHash, threads: 1, ...chunks };
    const writer = writers.get(key) ?? makeObjectWriter(scene.storage, options);
    writers.set(key, writer);
    return writer;
  };
  const visit = async function* (path: ByteString): AsyncGenerator<InputEntry> {
    const entry = await walk(repository, path || '/', false);
    yield await inputEntry(repository, entry, path, writerFor(entry));
    if (entry.type !== 'directory') return;
    for await (const child of list(repository, entry)) yield* visit(child.path);
  };
  yield* visit('');
}

async function inputEntry(
  repository: Repository,
  entry: Entry,
  path: ByteString,
  writer: ObjectWriter,
): Promise<InputEntry> {
  const pieces: Buffer[] = [];
  if (entry.type === 'file')
    for await (const piece of readRange(repository, entry)) pieces.push(piece);
  const bytes = Buffer.concat(pieces);
  const { type, uid, gid, mtime, mtimeNs, size, rdev, rawTarget, xattrs } = entry;
  return {
    path,
    type,
    mode: entry.mode & 0o7777,
    uid,
    gid,
    mtime,
    mtimeNs,
    size,
    rdev,
    target: rawTarget,
    ...(xattrs === undefined ? {} : { xattrs }),
    ...(entry.linkGroup === 0 ? {} : { linkKey: String(entry.ino) }),
    ...(type === 'file' ? { stored: await writer.store({ bytes }) } : {}),
  };
}

/** All catalogs below a root, by mountpoint, as far as no difference is accepted. */
function readCatalogs(files: Files, root: string): Map<ByteString, Record<string, Row[]>> {
  const found = new Map<ByteString, Record<string, Row[]>>();
  const open = [{ path: '', sha1: root }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const db = openStoredDatabase(files, 'catalog', next.sha1);
    const links = 'SELECT CAST(path AS BLOB) AS path, sha1 FROM nested_catalogs';
    const children = (rows(db, links) as { path: Buffer; sha1: string }[]).map((child) => ({
      path: fromBytes(child.path),
      sha1: child.sha1,
    }));
    open.push(...children);
    found.set(next.path, {
      entries: rows(
        db,
        `SELECT hex(name) AS name, md5path_1, md5path_2, parent_1, parent_2, hex(hash) AS hash, mode,
           iif(mode & 61440 = 16384, NULL, size) AS size,
           hardlinks & 0xffffffff AS links,
           (SELECT group_concat(hex(name)) FROM (SELECT name FROM catalog AS other
              WHERE other.hardlinks >> 32 > 0 AND other.hardlinks = catalog.hardlinks ORDER BY md5path_1)) AS grouped,
           mtime, ifnull(mtimens, 0) AS ns, flags, hex(symlink) AS target, uid, gid, hex(xattr) AS xattrs
         FROM catalog ORDER BY md5path_1, md5path_2`,
      ),
      chunks: rows(
        db,
        'SELECT md5path_1, md5path_2, offset, size, hex(hash) AS hash FROM chunks ORDER BY 1, 2, 3',
      ),
      counters: rows(db, 'SELECT counter, value FROM statistics ORDER BY counter'),
      nested: children.map(({ path }) => ({ path })).sort((a, b) => (a.path < b.path ? -1 : 1)),
      prefix: rows(db, "SELECT value FROM properties WHERE key = 'root_prefix'"),
    });
    db.close();
  }
  return found;
}

/** Objects of files that are named, and that only one of two repositories has. */
function missingObjects(
  source: string,
  directory: string,
  catalogs: ReadonlyMap<ByteString, Record<string, Row[]>>,
): string {
  const names: string[] = [];
  const add = (kind: 'data' | 'chunk', digits: unknown, flags: number): void => {
    const algorithm = (['sha1', 'rmd160', 'shake128'] as const)[(flags >> 8) & 7] ?? 'sha1';
    const hash = hashFromDigest(algorithm, Buffer.from(String(digits), 'hex'));
    if (hash !== undefined && (flags & 128) === 0) names.push(objectPath({ hash, kind }));
  };
  for (const { entries = [], chunks = [] } of catalogs.values()) {
    const flagsOf = new Map(entries.map((row) => [String(row['md5path_1']), Number(row['flags'])]));
    for (const row of entries) add('data', row['hash'], Number(row['flags']));
    for (const row of chunks) add('chunk', row['hash'], flagsOf.get(String(row['md5path_1'])) ?? 0);
  }
  const isLacking = (name: string): boolean =>
    !existsSync(join(source, name)) || !existsSync(join(directory, name));
  return names.filter(isLacking).join(' ');
}
