import Database from 'better-sqlite3';
import t from 'tap';
import { databaseOf } from './database-rows.js';
import { openTable } from './database-tables.js';

const edges = [0, 7, 8, 15, 16, 23, 24, 31, 32, 33, 47, 48, 52, 53, 62, 63].flatMap((bits) => {
  const edge = 2n ** BigInt(bits);
  return [edge - 1n, edge, edge + 1n, -edge, -edge - 1n, 1n - edge];
});
const values = [...new Set(edges)].filter((value) => BigInt.asIntN(64, value) === value);

/** A table of one indexed column, as SQLite stores it. */
function tableOf(column: readonly (bigint | string | null)[]) {
  const database = new Database(':memory:');
  database.exec('CREATE TABLE t(a); CREATE INDEX i ON t(a)');
  const insert = database.prepare('INSERT INTO t VALUES (?)');
  for (const value of column) insert.run(value);
  const roots = new Map(
    database.prepare('SELECT name, rootpage FROM sqlite_master').raw().all() as [string, number][],
  );
  const order = database.prepare('SELECT rowid FROM t ORDER BY a, rowid').pluck().all() as number[];
  const bytes = database.serialize();
  database.close();
  const layout = { columns: ['a'], indexes: new Map([['i', ['a']]]), isPlain: true };
  const open = (change: (bytes: Buffer) => void = () => undefined) => {
    const changed = Buffer.from(bytes);
    change(changed);
    return openTable(databaseOf(changed, 4096), layout, roots.get('t') ?? 0, roots);
  };
  return { open, order, index: ((roots.get('i') ?? 0) - 1) * 4096 };
}

void t.test('integers of each length are in the order of SQLite, and are found', (t) => {
  const twice = [...values].reverse().concat(values);
  const { open, order: expected } = tableOf(twice);
  const table = open();
  const order = table.ordered(['a']);
  const { rows } = order;
  t.same(
    [...rows].map((row) => table.rowids[row]),
    expected,
  );
  for (const value of values) {
    const [from, to] = order.range([value]);
    t.equal(to - from, 2, `${value}`);
    for (const place of [from, to - 1]) t.equal(twice[rows[place] ?? -1], value);
  }
  const [from, to] = order.range([12345n]);
  t.equal(from, to, 'one that is not there');
  t.end();
});

void t.test('a column that has more than integers is in order, and is not searched', (t) => {
  const { open } = tableOf([3n, 'text', null, 1n]);
  t.throws(() => open().ordered(['a']), { message: 'no index' });
  t.end();
});

void t.test('an index that is not what the rows say is unusual', (t) => {
  const { open, index } = tableOf([1000n, 2000n, 3000n]);
  t.same([...open().ordered(['a']).rows], [0, 1, 2]);
  const pointers = index + 8;
  for (const [what, change] of Object.entries<(bytes: Buffer) => void>({
    'another value': (bytes) => {
      const cell = index + bytes.readUInt16BE(pointers);
      bytes.writeUInt16BE(1001, cell + 4);
    },
    'the other order': (bytes) => {
      const [one, two] = [bytes.readUInt16BE(pointers), bytes.readUInt16BE(pointers + 2)];
      bytes.writeUInt16BE(two, pointers);
      bytes.writeUInt16BE(one, pointers + 2);
    },
    'one entry twice': (bytes) => {
      bytes.writeUInt16BE(bytes.readUInt16BE(pointers), pointers + 2);
    },
    'one too few': (bytes) => bytes.writeUInt16BE(2, index + 3),
  }))
    t.throws(() => open(change), { message: /^an index/ }, what);
  t.end();
});
