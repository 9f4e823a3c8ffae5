import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { pathDigest } from '../format/path-hash.js';
import { openMade } from '../testing/fakes/opened-tree.js';
import { catalogSchema } from '../publish/catalogs/catalog-schema.js';
import { file, makeRepository, nested, type EntrySpec } from '../publish/write-repository.js';
import { openCatalogFile } from './catalog/catalog-file.js';
import { openHistory } from './history.js';

// Catalogs of a few pages that lead to each other, so that whoever reads on never comes to an end.
// Were one of these followed, the test would never end either: no query can be interrupted.

const pageSize = 4096;
const good = `${catalogSchema} INSERT INTO properties VALUES ('schema','2.5');
  INSERT INTO catalog VALUES (338333539836370388,9098107892288553193,0,0,1,NULL,0,16877,0,NULL,1,'','',0,0,NULL);`;

function databaseOf(sql: string): Buffer {
  const database = new Database(':memory:');
  database.exec(sql);
  const bytes = database.serialize();
  database.close();
  return bytes;
}

function open(t: Test, bytes: Buffer): void {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-endless-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'catalog');
  writeFileSync(path, bytes);
  openCatalogFile(path, 'catalog of a test', pathDigest('')).close();
}

/** An inner page of a table, all of whose cells lead to these pages; its header begins at `at`. */
function innerPage(children: readonly number[], at = 0): Buffer {
  const page = Buffer.alloc(pageSize);
  const cells = children.slice(0, -1);
  page[at] = 5;
  page.writeUInt16BE(cells.length, at + 3);
  page.writeUInt32BE(children.at(-1) ?? 0, at + 8);
  let end = pageSize;
  for (const [index, child] of cells.entries()) {
    end -= 5;
    page.writeUInt32BE(child, end);
    page[end + 4] = 100;
    page.writeUInt16BE(end, at + 12 + 2 * index);
  }
  page.writeUInt16BE(end, at + 5);
  return page;
}

/**
 * A catalog whose schema is a tree of pages: the true one first, then `levels` of pages each of which
 * leads `width` times to the next, and at their end a row that may be repeated as often as one likes.
 */
function endlessSchema(levels: number, width: number): Buffer {
  const bytes = databaseOf(good);
  const first = bytes.subarray(0, pageSize);
  const count = first.readUInt16BE(103);
  const cells = Array.from({ length: count }, (_, index) => first.readUInt16BE(108 + 2 * index));
  const start = cells.find((at) =>
    first.toString('latin1', at, at + 50).includes('sqlite_autoindex_properties_1'),
  );
  if (start === undefined) throw new Error('there is no such index');
  const row = first.subarray(start, start + 2 + (first[start] ?? 0));
  const pages = bytes.length / pageSize;
  const trueSchema = Buffer.from(first);
  first.copy(trueSchema, 0, 100, 108 + 2 * count);
  const repeated = Buffer.alloc(pageSize);
  repeated[0] = 13;
  repeated.writeUInt16BE(1, 3);
  repeated.writeUInt16BE(pageSize - row.length, 5);
  repeated.writeUInt16BE(pageSize - row.length, 8);
  row.copy(repeated, pageSize - row.length);
  const inner = Array.from({ length: levels }, (_, level) =>
    innerPage(Array<number>(width).fill(level === levels - 1 ? pages + 2 : pages + 4 + level)),
  );
  const root = innerPage([pages + 1, pages + 3], 100);
  first.copy(root, 0, 0, 100);
  root.writeUInt32BE(pages + 2 + levels, 28);
  return Buffer.concat([root, bytes.subarray(pageSize), trueSchema, repeated, ...inner]);
}

void t.test('a schema of pages that lead to each other is refused before it is read', (t) => {
  t.throws(() => open(t, endlessSchema(16, 60)), { code: 'CATALOG_SCHEMA' });
  t.throws(() => open(t, endlessSchema(1, 60)), { code: 'CATALOG_SCHEMA' }, 'one page many times');
  t.doesNotThrow(() => open(t, databaseOf(good)));
  const small = databaseOf(`PRAGMA page_size=512; ${good}`);
  t.equal(small[100], 5, 'a schema of several pages');
  t.doesNotThrow(() => open(t, small));
  t.end();
});

void t.test('damage in the first pages is told from a database', (t) => {
  for (const [position, bytes] of [
    [103, [0xff, 0xff]],
    [103, [0, 64]],
    [108, [0xff, 0xff]],
    [100, [2]],
  ] as const) {
    const database = databaseOf(good);
    Buffer.from(bytes).copy(database, position);
    t.throws(() => open(t, database), { code: /^CATALOG_/ }, `${position}`);
  }
  const several = databaseOf(`PRAGMA page_size=512; ${good}`);
  const child = several.readUInt16BE(112);
  for (const number of [0, 1, 100_000]) {
    several.writeUInt32BE(number, child);
    t.throws(() => open(t, several), { code: 'CATALOG_NOT_SQLITE' }, `child ${number}`);
  }
  t.end();
});

void t.test('what can only be found by looking at everything is refused', (t) => {
  const nocase = (table: string, column: string): string =>
    good.replace(
      new RegExp(`(CREATE TABLE ${table} \\([^;]*?${column} TEXT)`),
      '$1 COLLATE NOCASE',
    );
  const plain = (sql: string): string =>
    sql.replace(/,\s*CONSTRAINT pk_nested_catalogs PRIMARY KEY \(path\)/, '');
  const hostile: Readonly<Record<string, string>> = {
    'an index on parents that has to be sorted': good.replace(
      '(parent_1, parent_2)',
      '(parent_1, parent_2, name)',
    ),
    'an index on paths that has to be sorted': `${plain(good)}
      CREATE INDEX i ON nested_catalogs (path, sha1);`,
    'chunks that have to be sorted': good.replace(
      'PRIMARY KEY (md5path_1, md5path_2, offset, size)',
      'PRIMARY KEY (md5path_1, md5path_2, size)',
    ),
    'keys without case': nocase('properties', 'key'),
    'paths without case': nocase('nested_catalogs', 'path'),
  };
  for (const [what, sql] of Object.entries(hostile)) {
    t.not(sql, good, what);
    t.throws(() => open(t, databaseOf(sql)), { code: 'CATALOG_SCHEMA' }, what);
  }
  const further = `${plain(good)} CREATE INDEX i ON nested_catalogs (path);`;
  t.doesNotThrow(() => open(t, databaseOf(further)), 'an index of another name will do');
  t.end();
});

void t.test('the same holds for tag databases', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-endless-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'history');
  const tags = 'name TEXT, hash TEXT, revision INTEGER, timestamp INTEGER, channel INTEGER';
  writeFileSync(
    path,
    databaseOf(`CREATE TABLE properties (key TEXT COLLATE NOCASE, value TEXT, PRIMARY KEY (key));
      CREATE INDEX plain ON properties (key COLLATE BINARY);
      CREATE TABLE tags (${tags}, description TEXT);`),
  );
  t.throws(() => openHistory(path, 'made.example.org'), { code: 'HISTORY_MALFORMED' });
  t.end();
});

const names = 6000;

/** Changes an inner page of an index so that all of its ways lead to its first leaf. */
function roundIndex(database: Buffer, index: string): Buffer {
  const page = rootPage(database, index);
  const start = (page - 1) * pageSize;
  if (database[start] !== 2) throw new Error('the index has one page only');
  const cells = database.readUInt16BE(start + 3);
  const cell = (number: number): number => start + database.readUInt16BE(start + 12 + 2 * number);
  const leaf = database.readUInt32BE(cell(0));
  for (let number = 1; number < cells; number++) database.writeUInt32BE(leaf, cell(number));
  database.writeUInt32BE(leaf, start + 8);
  return database;
}

/** The same for a table. */
function roundTable(database: Buffer, table: string): Buffer {
  const page = rootPage(database, table);
  const start = (page - 1) * pageSize;
  if (database[start] !== 5) throw new Error('the table has one page only');
  const cells = database.readUInt16BE(start + 3);
  const cell = (number: number): number => start + database.readUInt16BE(start + 12 + 2 * number);
  const leaf = database.readUInt32BE(cell(1));
  for (let number = 2; number < cells; number++) database.writeUInt32BE(leaf, cell(number));
  database.writeUInt32BE(leaf, start + 8);
  return database;
}

function rootPage(bytes: Buffer, name: string): number {
  const database = new Database(bytes);
  const page = database
    .prepare('SELECT rootpage FROM sqlite_master WHERE name = ?')
    .pluck()
    .get(name) as number;
  database.close();
  return page;
}

function manyFiles(): Record<string, EntrySpec> {
  const empty = file('');
  return Object.fromEntries(Array.from({ length: names }, (_, index) => [`name-${index}`, empty]));
}

void t.test('a directory whose rows come round again ends with EIO', (t) => {
  const patch = (bytes: Buffer): Buffer => roundIndex(bytes, 'idx_catalog_parent');
  const made = makeRepository({ revisions: [{ tree: manyFiles(), patch }] });
  const { tree, shelf } = openMade(t, made);
  let after = 0;
  let pages = 0;
  for (; pages < 2 * names; pages++) {
    const page = shelf.run(() => tree.list(tree.root, after, 500));
    if (page.kind === 'failure') {
      t.equal(page.errno, 5);
      t.equal(page.error?.code, 'CATALOG_NOT_SQLITE');
      break;
    }
    if (page.value.end) break;
    after = page.value.cookies.at(-1) ?? after;
  }
  t.ok(pages < names, 'the listing comes to an end');
  t.end();
});

void t.test(
  'a directory of rows that are not shown ends with EIO, not with a long silence',
  (t) => {
    const hidden = (count: number): Record<string, EntrySpec> =>
      Object.fromEntries(
        Array.from({ length: count }, (_, index) => [`h${index}`, file('', { hidden: true })]),
      );
    const list = (count: number) => {
      const tree = { ...hidden(count), last: file('') };
      const opened = openMade(t, makeRepository({ revisions: [{ tree }] }));
      return opened.shelf.run(() => opened.tree.list(opened.tree.root, 0, 100));
    };
    const few = list(10_000);
    t.match(few, { kind: 'done', value: { end: true } });
    t.same(few.kind === 'done' && few.value.entries.map(({ name }) => name), ['last']);
    t.match(list(40_000), { kind: 'failure', errno: 5, error: { code: 'CATALOG_SCHEMA' } });
    t.end();
  },
);

void t.test('a check of a catalog whose rows come round again ends', (t) => {
  const patch = (bytes: Buffer): Buffer => roundTable(bytes, 'catalog');
  const made = makeRepository({ revisions: [{ tree: manyFiles(), patch }] });
  const { tree, shelf } = openMade(t, made);
  const info = shelf.must(() => tree.catalogOf(tree.root));
  let after: number | undefined = 0;
  let pages = 0;
  for (; after !== undefined && pages < names; pages++) {
    const from: number = after;
    const page = shelf.run(() => tree.objects(info, from, 512));
    after = page.kind === 'done' ? page.value.next : undefined;
    if (page.kind === 'failure') t.equal(page.error?.code, 'CATALOG_NOT_SQLITE');
  }
  t.ok(pages < names);
  t.end();
});

void t.test('a list of nested catalogs that comes round again ends', (t) => {
  const patch = (bytes: Buffer): Buffer => roundTable(bytes, 'nested_catalogs');
  const more = Array.from(
    { length: 3000 },
    (_, index) => `INSERT INTO nested_catalogs VALUES ('/elsewhere/${index}', 'x', 1);`,
  );
  const made = makeRepository({
    revisions: [{ tree: { one: nested({}) }, sql: more.join('\n'), patch }],
  });
  const { tree, shelf } = openMade(t, made);
  const info = shelf.must(() => tree.catalogOf(tree.root));
  const outcome = shelf.run(() => tree.nested(info));
  if (outcome.kind === 'failure') t.equal(outcome.error?.code, 'CATALOG_NOT_SQLITE');
  t.pass('it ended');
  t.end();
});
