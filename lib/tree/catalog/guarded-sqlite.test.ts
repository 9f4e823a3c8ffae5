import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import t, { type Test } from 'tap';
import { pathDigest } from '../../format/path-hash.js';
import { rootWant, testShelf } from '../../testing/fakes/memory-shelf.js';
import { openMade, treeOptions } from '../../testing/fakes/opened-tree.js';
import { file, makeRepository } from '../../publish/write-repository.js';
import { catalogSchema } from '../../publish/catalogs/catalog-schema.js';
import { openCatalogFile } from './catalog-file.js';
import { openTree } from '../open-tree.js';

const rootRow = `INSERT INTO catalog (md5path_1,md5path_2,parent_1,parent_2,hardlinks,size,mode,mtime,flags,name,symlink,uid,gid)
  VALUES (338333539836370388,9098107892288553193,0,0,1,0,16877,0,1,'','',0,0);`;
const good = `${catalogSchema} INSERT INTO properties VALUES ('schema','2.5'); ${rootRow}`;

/** Makes a database and opens it as a root catalog: 'opened', or the code with which it is refused. */
function attempt(t: Test, sql: string, change: (path: string) => void = () => undefined): string {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-guard-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'catalog');
  const database = new Database(path);
  // Else the file of a schema that was tampered with could not be made.
  database.unsafeMode(true);
  database.exec(sql);
  database.close();
  change(path);
  const before = readdirSync(directory);
  try {
    openCatalogFile(path, 'catalog of a test', pathDigest('')).close();
    return 'opened';
  } catch (error) {
    return (error as { code: string }).code;
  } finally {
    t.strictSame(readdirSync(directory), before, 'no file appears beside it');
  }
}

function patch(position: number, bytes: readonly number[]): (path: string) => void {
  return (path) => {
    const database = new Database(path);
    const content = database.serialize();
    database.close();
    Buffer.from(bytes).copy(content, position);
    writeFileSync(path, content);
  };
}

void t.test('a sound catalog opens, with columns in any order and columns nobody knows', (t) => {
  t.equal(attempt(t, good), 'opened');
  t.equal(
    attempt(
      t,
      `${good} ALTER TABLE catalog ADD COLUMN future TEXT; INSERT INTO properties VALUES ('schema_revision','99')`,
    ),
    'opened',
  );
  t.equal(attempt(t, `${good} CREATE INDEX further ON catalog (name)`), 'opened');
  t.equal(
    attempt(t, `${good} DROP TABLE nested_catalogs`),
    'CATALOG_SCHEMA',
    'but not without what it needs',
  );
  t.end();
});

void t.test('a schema that could run, write or compute is refused', (t) => {
  const hostile: Readonly<Record<string, string>> = {
    view: `${good} CREATE VIEW v AS SELECT 1`,
    trigger: `${good} CREATE TRIGGER x AFTER INSERT ON catalog BEGIN SELECT 1; END`,
    'virtual table': `${good} CREATE VIRTUAL TABLE ft USING fts5(a)`,
    'another table': `${good} CREATE TABLE other (a)`,
    'generated column': `${good} ALTER TABLE catalog ADD COLUMN g AS (zeroblob(500000000))`,
    'index on an expression': `${good} CREATE INDEX e ON catalog (abs(size))`,
    'partial index': `${good} CREATE INDEX p ON catalog (size) WHERE size > 5`,
    'index with a collation': `${good} CREATE INDEX c ON catalog (name COLLATE NOCASE)`,
    'column that hides the row id': `${good} ALTER TABLE catalog ADD COLUMN RowId INTEGER`,
    'table without row ids': good
      .replace('CREATE INDEX idx', 'CREATE INDEX idx')
      .replace(/(CONSTRAINT pk_nested_catalogs PRIMARY KEY \(path\)\))/, '$1 WITHOUT ROWID'),
    'no index on parents': `${good} DROP INDEX idx_catalog_parent`,
    'view that calls itself a table': `${good} PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql='CREATE VIEW chunks AS SELECT 1' WHERE name='chunks'`,
    'table under another name': `${good} PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql=replace(sql,'chunks','chunky') WHERE name='chunks'`,
    'schema that is no SQL': `${good} PRAGMA writable_schema=ON; UPDATE sqlite_master SET sql='CREATE TABLE chunks (' WHERE name='chunks'`,
    'very long definition': `${good} ALTER TABLE catalog ADD COLUMN ${'x'.repeat(9000)} TEXT`,
    'many indexes':
      good + Array.from({ length: 70 }, (_, i) => `CREATE INDEX i${i} ON catalog (name);`).join(''),
    'missing column': good
      .replace(/gid INTEGER,/, '')
      .replace(/,gid\)/, ')')
      .replace(/0,0\);$/, '0);'),
    'UTF-16': `PRAGMA encoding='UTF-16'; ${good}`,
  };
  for (const [what, sql] of Object.entries(hostile))
    t.equal(attempt(t, sql), 'CATALOG_SCHEMA', what);
  t.end();
});

void t.test('files that are damaged or marked as what they may not be are refused', (t) => {
  t.equal(attempt(t, good, patch(0, [0x58])), 'CATALOG_NOT_SQLITE', 'magic');
  t.equal(attempt(t, good, patch(16, [3, 5])), 'CATALOG_NOT_SQLITE', 'page size');
  t.equal(attempt(t, good, patch(18, [2, 2])), 'CATALOG_SCHEMA', 'write-ahead log');
  t.equal(attempt(t, good, patch(100, [0xff])), 'CATALOG_NOT_SQLITE', 'first page');
  for (const size of [0, 50, 100, 4096, 5000])
    t.equal(
      attempt(t, good, (path) => truncateSync(path, size)),
      'CATALOG_NOT_SQLITE',
      `${size} bytes`,
    );
  t.end();
});

void t.test(
  'a journal that lies beside a file is no damage of the file, and is not played back',
  (t) => {
    const beside = (path: string): void => writeFileSync(`${path}-journal`, Buffer.alloc(600, 1));
    t.equal(attempt(t, good, beside), 'CACHE_UNUSABLE');
    t.end();
  },
);

void t.test('schemas that were never released, or come later, are refused by name', (t) => {
  for (const version of ['0.8', '2.0', '2.1', '2.3', '2.6', '3.0', 'x', '', '2.5x', '25'])
    t.equal(attempt(t, good.replace("'2.5'", `'${version}'`)), 'CATALOG_UNSUPPORTED', version);
  for (const version of ['2.4', '2.5', '2.50', '0.9', '1.0', '1.2', '1'])
    t.equal(attempt(t, good.replace("'2.5'", `'${version}'`)), 'opened', version);
  t.end();
});

void t.test('the root entry has to be there, and a directory', (t) => {
  const opened = (sql: string): string => {
    const made = makeRepository({ revisions: [{ tree: { f: file('x') }, sql }] });
    const shelf = testShelf((path) => made.files.get(path));
    t.teardown(() => shelf.close());
    const outcome = shelf.run(() => openTree(rootWant(made.head.rootHash), shelf, treeOptions));
    if (outcome.kind === 'failure') return outcome.error?.code ?? '';
    outcome.value.close();
    return 'opened';
  };
  t.equal(opened(`DELETE FROM catalog WHERE name=''`), 'CATALOG_ROOT_ENTRY');
  t.equal(opened(`UPDATE catalog SET mode=33188 WHERE name=''`), 'CATALOG_ROOT_ENTRY');
  t.equal(opened(`UPDATE catalog SET rowid=5000000000 WHERE name=''`), 'CATALOG_ROOT_ENTRY');
  t.equal(opened(`INSERT INTO properties VALUES ('root_prefix','/elsewhere')`), 'CATALOG_SCHEMA');
  t.equal(opened(`UPDATE catalog SET size=x'00' WHERE name='f'`), 'opened');
  t.end();
});

void t.test('a blob where a number belongs breaks that row only', (t) => {
  const made = makeRepository({
    revisions: [
      {
        tree: { bad: file('x'), good: file('y', { chunks: [1] }) },
        sql: `UPDATE catalog SET size=x'00ff' WHERE name='bad'`,
      },
    ],
  });
  const { tree, shelf } = openMade(t, made);
  t.match(shelf.must(() => tree.resolve('/bad')).broken?.message, /size/);
  t.equal(shelf.must(() => tree.resolve('/good')).broken, undefined);
  t.equal(shelf.must(() => tree.list(tree.root, 0, 10)).entries.length, 2);
  t.end();
});

void t.test('damage inside a catalog is EIO, and the process lives on', (t) => {
  const names = Object.fromEntries(
    Array.from({ length: 200 }, (_, i) => [`n${i}`, file(String(i))]),
  );
  const made = makeRepository({
    revisions: [
      {
        tree: names,
        // The last pages hold rows and indexes; the first ones, which opening looks at, stay.
        patch: (database) => database.fill(0x77, database.length - 8192),
      },
    ],
  });
  const { tree, shelf } = openMade(t, made);
  const outcomes = Object.keys(names).map((name) => shelf.run(() => tree.resolve(`/${name}`)));
  t.ok(
    outcomes.some(
      (outcome) => outcome.kind === 'failure' && outcome.error?.code === 'CATALOG_NOT_SQLITE',
    ),
  );
  t.equal(
    outcomes.some((outcome) => outcome.kind === 'failure' && outcome.errno !== 5),
    false,
  );
  t.end();
});

void t.test('a file that somebody has locked is not waited for, nor called damaged', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-guard-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, 'catalog');
  const database = new Database(path);
  database.exec(good);
  const open = () => openCatalogFile(path, 'catalog of a test', pathDigest('')).close();
  database.exec('BEGIN EXCLUSIVE');
  t.throws(open, { code: 'CACHE_UNUSABLE', message: /locked/ });
  database.exec('ROLLBACK');
  database.close();
  t.doesNotThrow(open);
  t.end();
});
