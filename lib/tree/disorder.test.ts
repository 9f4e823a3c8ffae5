import Database from 'better-sqlite3';
import t from 'tap';
import { openMade } from '../testing/fakes/opened-tree.js';
import { file, makeRepository } from '../publish/write-repository.js';
import { catalogSchema } from '../publish/catalogs/catalog-schema.js';
import { checkPlans } from './catalog/guarded-sqlite.js';

// Indexes whose rows don't come in the order that they should: how many of them are read must not be up to
// who made the file.

const pageSize = 4096;
const files = 6000;

function rootOf(bytes: Buffer, index: string): number {
  const database = new Database(bytes);
  const find = database.prepare('SELECT rootpage FROM sqlite_master WHERE name = ?').pluck();
  const page = find.get(index) as number;
  database.close();
  return (page - 1) * pageSize;
}

/** Lets all ways that begin in this inner page of an index lead to one page. */
function leadTo(page: Buffer, target: number): void {
  const cells = page.readUInt16BE(3);
  for (let number = 0; number < cells; number++)
    page.writeUInt32BE(target, page.readUInt16BE(12 + 2 * number));
  page.writeUInt32BE(target, 8);
}

/**
 * Changes the index on parents so that nearly all that is in it is the row with the largest id, again and
 * again: each of the levels that are added makes it 42 times as often.
 */
function repeatLast(bytes: Buffer, levels: number): Buffer {
  const start = rootOf(bytes, 'idx_catalog_parent');
  const root = bytes.subarray(start, start + pageSize);
  let target = root.readUInt32BE(8);
  const leaf = bytes.subarray((target - 1) * pageSize, target * pageSize);
  const rows = leaf.readUInt16BE(3);
  const last = leaf.readUInt16BE(8 + 2 * (rows - 1));
  for (let number = 0; number < rows; number++) leaf.writeUInt16BE(last, 8 + 2 * number);
  const added: Buffer[] = [];
  for (let level = 0; level < levels; level++) {
    const page = Buffer.from(root);
    leadTo(page, target);
    added.push(page);
    target = bytes.length / pageSize + added.length;
  }
  leadTo(root, target);
  const all = Buffer.concat([bytes, ...added]);
  all.writeUInt32BE(all.length / pageSize, 28);
  return all;
}

void t.test('a page of a listing is bounded by its rows, in whatever order they come', (t) => {
  const empty = file('');
  const tree = Object.fromEntries(
    Array.from({ length: files }, (_, index) => [`name-${index}`, empty]),
  );
  for (const levels of [0, 2]) {
    const patch = (bytes: Buffer): Buffer => repeatLast(bytes, levels);
    const opened = openMade(t, makeRepository({ revisions: [{ tree, patch }] }));
    const started = performance.now();
    t.match(
      opened.shelf.run(() => opened.tree.list(opened.tree.root, 0, 100)),
      { kind: 'failure', errno: 5, error: { code: 'CATALOG_NOT_SQLITE' } },
    );
    t.ok(performance.now() - started < 2000, 'soon');
  }
  t.end();
});

void t.test('a bound that was found in one index does not hold in another', (t) => {
  const database = new Database(':memory:');
  t.teardown(() => database.close());
  database.exec(`${catalogSchema} CREATE INDEX another ON catalog (parent_1, parent_2);`);
  const rules = {
    subject: 'catalog of a test',
    notSqlite: 'CATALOG_NOT_SQLITE',
    badSchema: 'CATALOG_SCHEMA',
  } as const;
  const search = (index: string) => `FROM catalog INDEXED BY ${index} WHERE parent_1=?`;
  const check = (first: string, second: string) => {
    const sql = `SELECT name ${search(first)} AND name<(SELECT rowid ${search(second)} LIMIT 1)`;
    const lookup = { sql, by: ['parent_1=?'] };
    checkPlans(database, [lookup], { ...rules, tables: {}, indexed: {}, queries: [] });
  };
  t.doesNotThrow(() => check('another', 'another'));
  t.throws(() => check('another', 'idx_catalog_parent'), { code: 'CATALOG_SCHEMA' });
  t.end();
});
