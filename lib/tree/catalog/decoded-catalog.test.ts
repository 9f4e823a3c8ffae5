import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { PinfsError } from '../../format/errors.js';
import { pathDigest } from '../../format/path-hash.js';
import { bind, directory, file, nested, special, symlink } from '../../publish/spec.js';
import {
  makeRepository,
  makeSmallRepository,
  type TreeSpec,
} from '../../publish/write-repository.js';
import { openMade } from '../../testing/fakes/opened-tree.js';
import { genuineDirectory, needsGenuine } from '../../testing/genuine.js';
import { seededRandom } from '../../testing/trees.js';
import { openCatalogFile, type CatalogFile } from './catalog-file.js';
import { UnusualDatabase } from './database-rows.js';
import { decodeCatalog, decodedBytesMax } from './decoded-catalog.js';

const manyFiles = Object.fromEntries(
  Array.from({ length: 600 }, (_, index) => [`file-${index}`, file(`${index}`)]),
);

const tree: TreeSpec = {
  a: file('one', { xattrs: { 'user.name': 'value' } }),
  same: file('one', { linkGroup: 7 }),
  other: file('one', { linkGroup: 7 }),
  chunked: file('AAAABBBBCC', { chunks: [4, 4, 2] }),
  link: symlink('a/$(VARIABLE)/b'),
  pipe: special('fifo'),
  'n\xe4me \xff"[]': file('odd'),
  d: directory({ e: directory({ f: file('deep') }), empty: directory({}) }),
  many: directory(manyFiles),
  n: nested({ x: file('inside'), m: nested({ y: file('further inside') }) }),
};

/** Plain bytes of all catalogs of a repository, each with the path of its root. */
function catalogsOf(made: ReturnType<typeof makeRepository>): Buffer[] {
  return [...made.files]
    .filter(([path]) => path.endsWith('C'))
    .map(([, bytes]) => inflateSync(bytes));
}

function prefixOf(bytes: Buffer): Buffer {
  const database = new Database(bytes, { readonly: true });
  try {
    const sql = "SELECT CAST(value AS BLOB) FROM properties WHERE key='root_prefix'";
    const prefix = database.prepare(sql).pluck().get() as Buffer | undefined;
    return pathDigest(prefix?.toString('latin1') ?? '');
  } finally {
    database.close();
  }
}

const work = mkdtempSync(join(tmpdir(), 'pinfs-decoded-'));
t.teardown(() => rmSync(work, { recursive: true, force: true }));

function openBySqlite(bytes: Buffer, root: Buffer): CatalogFile {
  const path = join(work, 'catalog');
  rmSync(path, { force: true });
  writeFileSync(path, bytes);
  return openCatalogFile(path, 'catalog of a test', root);
}

/** All that a catalog can be asked, with all that there is to ask for. */
function answersOf(catalog: CatalogFile, digests: readonly Buffer[], rowids: number): unknown[] {
  const ask = (question: () => unknown): unknown => {
    try {
      return question();
    } catch (thrown) {
      // What shows late is for SQLite as well.
      if (thrown instanceof UnusualDatabase) throw thrown;
      return thrown instanceof PinfsError ? thrown.code : thrown;
    }
  };
  const answers: unknown[] = [catalog.schema, catalog.prefix, catalog.rootRow];
  for (const key of ['schema', 'revision', 'root_prefix', 'TTL', 'last_modified', 'nothing'])
    answers.push(ask(() => catalog.property(key)));
  for (const digest of digests) {
    answers.push(ask(() => catalog.rowByPath(digest)));
    answers.push(
      ask(() => catalog.chunkRows(digest, 2)),
      ask(() => catalog.chunkRows(digest, 99)),
    );
    for (const [after, limit] of [
      [0, 512],
      [0, 3],
      [4, 2],
    ] as const)
      answers.push(ask(() => catalog.children(digest, after, limit)));
  }
  for (let rowid = -1; rowid <= rowids; rowid++) answers.push(ask(() => catalog.rowById(rowid)));
  answers.push(
    ask(() => catalog.allRows(0, 512)),
    ask(() => catalog.allRows(3, 5)),
  );
  for (const isBind of [false, true]) {
    const rows = ask(() => catalog.nestedRows(isBind, 0, 1000));
    answers.push(
      rows,
      ask(() => catalog.nestedRows(isBind, 1, 1)),
    );
    for (const path of ['/n', '/n/m', '/d', '/b'])
      answers.push(ask(() => catalog.nestedRow(Buffer.from(path), isBind)));
  }
  answers.push(ask(() => catalog.counters()));
  return answers;
}

/** Hashes of all paths that rows have, and of their parents. */
function digestsOf(catalog: CatalogFile): Buffer[] {
  const text = catalog.allRows(0, 512).packed?.toString('latin1') ?? '';
  const found = new Map<string, Buffer>();
  for (const [, ...words] of text.matchAll(/\[(-?\d+),(-?\d+)\]\[[^\n]*?\[(-?\d+),(-?\d+),/g)) {
    for (const at of [0, 2]) {
      const digest = Buffer.alloc(16);
      digest.writeBigInt64LE(BigInt(words[at] ?? '0'), 0);
      digest.writeBigInt64LE(BigInt(words[at + 1] ?? '0'), 8);
      found.set(digest.toString('hex'), digest);
    }
  }
  return [...found.values()].slice(0, 400);
}

/** Whether a catalog is decoded; holds that it then says what SQLite says. */
function compare(t: Test, bytes: Buffer, what: string): boolean {
  const root = prefixOf(bytes);
  const opened = openBySqlite(bytes, root);
  try {
    const decoded = decodeCatalog(bytes, 'catalog of a test', root);
    if (decoded === undefined) return false;
    const digests = digestsOf(opened);
    const wanted = answersOf(opened, digests, 30);
    t.strictSame(answersOf(decoded, digests, 30), wanted, what);
    return true;
  } finally {
    opened.close();
  }
}

void t.test('a decoded catalog says what SQLite says', (t) => {
  const made = makeRepository({
    revisions: [{ tree: { old: file('old') } }, { tree: { ...tree, b: bind(1) } }],
  });
  const catalogs = catalogsOf(made);
  t.ok(catalogs.length >= 4);
  for (const bytes of catalogs) t.ok(compare(t, bytes, 'the same'), 'it is decoded');
  t.end();
});

void t.test('so do those that the reference made', needsGenuine, (t) => {
  const stored = (folder: string): string[] =>
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\/[0-9a-f]{38}(-[a-z0-9]+)?C$/.test(name))
      .map((name) => join(folder, name));
  for (const folder of [
    'features-sha1',
    'features-rmd160',
    'features-shake128',
    'ships-with-project',
  ]) {
    const found = stored(join(genuineDirectory, folder));
    t.ok(found.length > 0);
    for (const path of found.slice(0, 30)) {
      const bytes = inflateSync(readFileSync(path));
      if (bytes.length > decodedBytesMax) continue;
      t.ok(compare(t, bytes, path.slice(-40)), 'it is decoded');
    }
  }
  t.end();
});

const small: TreeSpec = {
  a: file('one'),
  chunked: file('AAAABBBBCC', { chunks: [4, 3, 3] }),
  link: symlink('target'),
  d: directory({ f: file('two') }),
  n: nested({ x: file('inside') }),
};

function rootCatalog(sql: string, spec = small): Buffer {
  const made = makeRepository({ revisions: [{ tree: spec, sql }] });
  const found = catalogsOf(made).find((bytes) => prefixOf(bytes).equals(pathDigest('')));
  if (found === undefined) throw new Error('no root catalog');
  return found;
}

void t.test('what is not as usual is left to SQLite', (t) => {
  // SQLite has to know the schema first.
  t.ok(compare(t, rootCatalog(''), 'as usual'));
  for (const sql of [
    "UPDATE catalog SET size=1.5 WHERE name='a'",
    "UPDATE catalog SET symlink=NULL WHERE name='a'",
    "UPDATE catalog SET name=x'61' WHERE name='a'",
    "UPDATE catalog SET mtime='long ago' WHERE name='a'",
    "UPDATE catalog SET hash='text' WHERE name='a'",
    "UPDATE catalog SET md5path_1=NULL WHERE name='a'",
    "UPDATE catalog SET xattr=zeroblob(5000) WHERE name='a'",
    "UPDATE catalog SET rowid=1099511627776000 WHERE name='a'",
    "UPDATE properties SET key=x'00' WHERE key='revision'",
  ]) {
    const bytes = rootCatalog(sql);
    t.notOk(compare(t, bytes, sql), sql);
  }
  t.end();
});

void t.test('what shows later is given to SQLite then', (t) => {
  for (const sql of [
    "UPDATE chunks SET size='many' WHERE offset=4",
    'UPDATE chunks SET offset=0 WHERE offset=4',
    "UPDATE nested_catalogs SET path=x'2f6e'",
    "UPDATE statistics SET counter=x'00' WHERE counter='self_dir'",
  ]) {
    const bytes = rootCatalog(sql);
    openBySqlite(bytes, pathDigest('')).close();
    const decoded = decodeCatalog(bytes, 'catalog of a test', pathDigest(''));
    if (decoded === undefined) throw new Error(sql);
    t.ok(
      isUnusual(() => answersOf(decoded, digestsOf(decoded), 9)),
      sql,
    );
  }
  const sql = "UPDATE statistics SET counter=x'00' WHERE counter='self_dir'";
  const made = makeRepository({
    revisions: [{ tree: { m: nested({}), n: nested({ f: file('x') }, { sql }) } }],
  });
  const { tree: opened, shelf } = openMade(t, made);
  shelf.must(() => opened.resolve('/m'));
  const { node } = shelf.must(() => opened.resolve('/n'));
  t.equal(shelf.must(() => opened.resolve('/n/f')).size, 1);
  const { counters } = shelf.must(() => opened.catalogOf(node));
  t.equal(counters.get('regular')?.self, 2n);
  t.end();
});

function isUnusual(ask: () => unknown): boolean {
  try {
    ask();
    return false;
  } catch (thrown) {
    return thrown instanceof UnusualDatabase;
  }
}

void t.test('an index that is not what the rows say', (t) => {
  const bytes = rootCatalog('');
  t.ok(compare(t, bytes, 'as usual'));
  const database = new Database(bytes, { readonly: true });
  const roots = database
    .prepare("SELECT rootpage FROM sqlite_master WHERE tbl_name='catalog'")
    .pluck()
    .all() as number[];
  database.close();
  for (const page of roots) {
    const changed = Buffer.from(bytes);
    const at = (page - 1) * 4096;
    const cells = changed.readUInt16BE(at + 3);
    // Two entries change places.
    const first = changed.readUInt16BE(at + 8);
    const second = changed.readUInt16BE(at + 10);
    changed.writeUInt16BE(second, at + 8);
    changed.writeUInt16BE(first, at + 10);
    t.equal(decodeCatalog(changed, 'it', pathDigest('')), undefined, 'in disorder');
    const fewer = Buffer.from(bytes);
    fewer.writeUInt16BE(cells - 1, at + 3);
    t.equal(decodeCatalog(fewer, 'it', pathDigest('')), undefined, 'one is lacking');
    const loop = Buffer.from(bytes);
    loop[at] = loop[at] === 13 ? 5 : 2;
    loop.writeUInt32BE(page, at + 8);
    t.equal(decodeCatalog(loop, 'it', pathDigest('')), undefined, 'a page that leads to itself');
  }
  t.end();
});

void t.test('changed bytes: what SQLite says, or nothing', (t) => {
  const bytes = rootCatalog('');
  const root = pathDigest('');
  t.ok(compare(t, bytes, 'as usual'));
  const random = seededRandom(11);
  // Most of a small catalog is empty.
  const used = [...bytes.keys()].filter((at) => bytes[at] !== 0);
  let decodedCount = 0;
  for (let round = 0; round < 1500; round++) {
    const changed = Buffer.from(bytes);
    const at = used[Math.floor(random() * used.length)] ?? 0;
    changed[at] = Math.floor(random() * 256);
    const decoded = decodeCatalog(changed, 'it', root);
    if (decoded === undefined) continue;
    let opened: CatalogFile;
    try {
      opened = openBySqlite(changed, root);
    } catch {
      // A part that is not used here.
      continue;
    }
    try {
      const digests = digestsOf(decoded);
      const found = answersOf(decoded, digests, 9);
      const wanted = answersOf(opened, digests, 9);
      decodedCount++;
      for (const [index, answer] of found.entries())
        if (!isSame(answer, wanted[index])) t.strictSame(answer, wanted[index], `byte ${at}`);
    } catch (thrown) {
      if (!(thrown instanceof UnusualDatabase)) throw thrown;
    } finally {
      opened.close();
    }
  }
  t.ok(decodedCount > 100, 'of those that were decoded');
  t.end();
});

function isSame(one: unknown, other: unknown): boolean {
  // SQLite found damage in what is not read here.
  if (typeof other === 'string' && other.startsWith('CATALOG_')) return true;
  const text = (value: unknown): string =>
    JSON.stringify(value, (_, inner: unknown) =>
      typeof inner === 'bigint' ? String(inner) : inner instanceof Map ? [...inner] : inner,
    );
  return text(one) === text(other);
}

void t.test('a walk through small nested catalogs leaves no descriptor open', (t) => {
  const many: Record<string, ReturnType<typeof nested>> = {};
  for (let index = 0; index < 40; index++) many[`n${index}`] = nested({ f: file(String(index)) });
  const opened = openMade(t, makeSmallRepository(many));
  opened.shelf.must(() => opened.tree.resolve('/n0/f'));
  const before = readdirSync('/proc/self/fd').length;
  for (const name of Object.keys(many)) opened.shelf.must(() => opened.tree.resolve(`/${name}/f`));
  t.ok(opened.tree.statistics.catalogsOpened >= 40);
  t.ok(readdirSync('/proc/self/fd').length <= before);
  t.end();
});
