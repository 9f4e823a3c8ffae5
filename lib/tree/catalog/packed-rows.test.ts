import Database from 'better-sqlite3';
import fc from 'fast-check';
import t from 'tap';
import { checkChunks } from './chunk-list.js';
import { digestOfKey, locatedRow } from './located-row.js';
import { Cursor, packedRow, rowAt, spanAt } from './packed-rows.js';

const columns = [
  'md5path_1',
  'md5path_2',
  'parent_1',
  'parent_2',
  'hardlinks',
  'hash',
  'size',
  'mode',
  'mtime',
  'mtimens',
  'flags',
  'name',
  'symlink',
  'uid',
  'gid',
  'xattr',
];

/** One row of any values, packed by SQLite. */
function pack(values: Readonly<Record<string, unknown>>, careful = false): Buffer {
  const database = new Database(':memory:');
  database.exec(`CREATE TABLE catalog (${columns.join()})`);
  const row = columns.map((name) => values[name] ?? null);
  database.prepare(`INSERT INTO catalog VALUES (${columns.map(() => '?').join()})`).run(row);
  const sql = `SELECT CAST(${packedRow(new Set(columns), careful, true)} AS BLOB) FROM catalog`;
  const packed = database.prepare(sql).pluck().get() as Buffer;
  database.close();
  return packed;
}

const sound = {
  md5path_1: -2822516800166431715n,
  md5path_2: 9048809318629099454n,
  parent_1: 0n,
  parent_2: -1n,
  hardlinks: (5n << 32n) | 3n,
  hash: Buffer.alloc(20, 0xab),
  size: 2n ** 53n - 1n,
  mode: 33188n,
  mtime: -1000n,
  mtimens: null,
  flags: 4n,
  name: Buffer.from('a\n"[,\xff', 'latin1'),
  symlink: 'to\nwhere',
  uid: 4294967295n,
  gid: 0n,
  xattr: Buffer.from([1, 0, 10, 0]),
};

void t.test('a row comes out of SQLite as it went in', (t) => {
  for (const careful of [false, true]) {
    const located = locatedRow(pack(sound, careful));
    if (located === undefined) throw new Error('no row');
    const { row, parent } = located;
    t.equal(digestOfKey(row.key)?.readBigInt64LE(0), sound.md5path_1);
    t.equal(digestOfKey(row.key)?.readBigInt64LE(8), sound.md5path_2);
    t.equal(parent.readBigInt64LE(0), 0n);
    t.equal(parent.readBigInt64LE(8), -1n);
    t.match(row, {
      rowid: 1,
      name: 'a\n"[,\xff',
      symlink: 'to\nwhere',
      flags: 4,
      mode: 33188,
      size: 2 ** 53 - 1,
      mtime: -1000,
      uid: 4294967295,
      gid: 0,
      linkGroup: 5,
      linkCount: 3,
      hash: 'AB'.repeat(20),
    });
    t.ok(Number.isNaN(row.mtimeNs));
    t.strictSame(Buffer.from(row.xattr ?? []), sound.xattr);
  }
  t.end();
});

void t.test('values of a wrong type are no numbers, and break nothing beside them', (t) => {
  const blob = Buffer.from('not JSON');
  const wrong = [null, 'text', '5', '"],[1\n\\"', 1.5, 2 ** 80, 'x'.repeat(1000), blob];
  for (const value of wrong) {
    const values = { ...sound, size: value };
    t.throws(() => pack(values), /JSON/, 'the quick form has numbers only');
    const row = locatedRow(pack(values, true))?.row;
    t.ok(Number.isNaN(row?.size), String(value).slice(0, 20));
    t.match(row, {
      mode: 33188,
      flags: 4,
      linkCount: 3,
      hash: 'AB'.repeat(20),
      name: 'a\n"[,\xff',
    });
  }
  t.throws(() => pack({ ...sound, parent_2: 'x' }), /JSON/, 'in any column');
  t.throws(() => pack({ ...sound, mtimens: 'x' }), /JSON/);
  t.end();
});

void t.test('columns beyond their limits are left out', (t) => {
  const values = {
    ...sound,
    name: 'n'.repeat(256),
    symlink: 's'.repeat(16385),
    hash: Buffer.alloc(33),
    xattr: Buffer.alloc(200_000),
  };
  t.throws(() => pack(values), /JSON/);
  const long = locatedRow(pack(values, true));
  t.match(long?.row, { name: '', symlink: undefined, xattr: undefined, hash: 'x', mode: 33188 });
  const none = { ...sound, name: null, symlink: null, hash: null, xattr: null };
  const row = locatedRow(pack(none, true))?.row;
  t.match(row, { name: '', symlink: '', xattr: undefined, hash: '', mode: 33188 });
  const allowed = { ...sound, symlink: 's'.repeat(16384), xattr: Buffer.alloc(100_000, 1) };
  t.match(locatedRow(pack(allowed, true))?.row, { symlink: allowed.symlink, mode: 33188 });
  t.end();
});

void t.test('of a row that is too heavy to be sound only its number is read', (t) => {
  const heavy = { ...sound, uid: 'x'.repeat(1_000_000) };
  t.throws(() => pack(heavy), /JSON/);
  const packed = pack(heavy, true);
  t.ok(packed.length < 100);
  t.equal(rowAt(packed, packed.indexOf('[0,0,0'))?.rowid, 1);
  t.equal(spanAt(packed, packed.indexOf('[0,0,0'))?.name, undefined);
  t.equal(locatedRow(packed), undefined);
  t.end();
});

void t.test('columns that nobody knows are looked at, and do no harm', (t) => {
  const database = new Database(':memory:');
  const further = `a"'),b`;
  const names = [...columns, further];
  database.exec(`CREATE TABLE catalog (${columns.join()},"a""'),b")`);
  const insert = `INSERT INTO catalog VALUES (${names.map(() => '?').join()})`;
  const values: Readonly<Record<string, unknown>> = sound;
  const ask = (value: unknown, careful: boolean): Buffer => {
    database.exec('DELETE FROM catalog');
    database.prepare(insert).run([...columns.map((name) => values[name] ?? null), value]);
    const sql = `SELECT CAST(${packedRow(new Set(names), careful)} AS BLOB) FROM catalog`;
    return database.prepare(sql).pluck().get() as Buffer;
  };
  for (const value of [null, 7n])
    t.match(rowAt(ask(value, false), 0), { mode: 33188, hash: 'AB'.repeat(20) });
  t.throws(() => ask('x', false), /JSON/);
  t.match(rowAt(ask('x', true), 0), { mode: 33188 });
  t.match(rowAt(ask('x'.repeat(1_000_000), true), 0), { rowid: 1, name: '', hash: '' });
  database.close();
  t.end();
});

const digits = (value: bigint): number => String(value).replace('-', '').length;

void t.test('integers keep their 64 bits in two words', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.maxSafeInteger().map(BigInt),
      ),
      (value) => {
        const cursor = new Cursor(Buffer.from(`${value}]`), 0);
        const number = cursor.number();
        const bits = BigInt.asUintN(64, value);
        return (
          BigInt(cursor.low) === (bits & 0xffff_ffffn) &&
          BigInt(cursor.high) === bits >> 32n &&
          Math.abs(number - Number(value)) <= Math.abs(number) * 2 ** -50 &&
          (digits(value) > 15 || number === Number(value))
        );
      },
    ),
  );
  t.pass('held');
  t.end();
});

void t.test('any bytes are read without an exception and without leaving them', (t) => {
  const token = fc.constantFrom(
    '[',
    ']',
    ',',
    '"',
    '\\',
    '\n',
    '-',
    'null',
    '1',
    '255',
    '99999999999999999999',
    'x',
    '\0',
    '[1,0,0,5]a[1,2,3,4,5,6,7,8,9,10]\n',
  );
  fc.assert(
    fc.property(fc.array(token, { maxLength: 60 }), fc.nat(40), (tokens, position) => {
      const bytes = Buffer.from(tokens.join(''), 'latin1');
      rowAt(bytes, position);
      locatedRow(bytes);
      checkChunks(bytes, 100, 'sha1');
      // Walking from row to row ends, since each row lies behind the one before.
      for (let at = 0, span = spanAt(bytes, at); span !== undefined; span = spanAt(bytes, at)) {
        if (span.end <= at || span.end > bytes.length) return false;
        at = span.end;
      }
      return true;
    }),
    { numRuns: 500 },
  );
  t.pass('held');
  t.end();
});

const hashDigits = 'AB'.repeat(20);

void t.test('a chunk list has no gap, overlap, empty chunk or missing hash', (t) => {
  const list = (...chunks: [number | string, number | string, string?][]) =>
    Buffer.from(
      chunks.map(([offset, size, hash]) => `[${offset},${size}]${hash ?? hashDigits}\n`).join(''),
    );
  t.match(checkChunks(list([0, 10], [10, 5]), 15, 'rmd160'), [
    { offset: 0, size: 10, object: { hash: { text: `${'ab'.repeat(20)}-rmd160` }, kind: 'chunk' } },
    { offset: 10, size: 5 },
  ]);
  const wrong: [Buffer | null, RegExp][] = [
    [null, /no chunks/],
    [list([1, 14]), /gap or overlap at 0/],
    [list([0, 10], [11, 4]), /gap or overlap at 10/],
    [list([0, 10], [9, 6]), /gap or overlap at 10/],
    [list([0, 10]), /end before/],
    [list([0, 10], [10, 5], [15, 1]), /impossible size/],
    [list([0, 10], [10, 0], [10, 5]), /impossible size/],
    [list([0, 2 ** 62]), /impossible size/],
    [list([0, -15]), /impossible size/],
    [list(['null', 15]), /gap or overlap/],
    [list([0, '"15"']), /impossible size/],
    [list([0, 15, 'x']), /no valid hash/],
    [list([0, 15, '']), /no valid hash/],
    [Buffer.from('[0,15]'), /malformed/],
    [Buffer.from('0,15\n'), /malformed/],
  ];
  for (const [packed, reason] of wrong)
    t.match(checkChunks(packed, 15, 'sha1'), reason, String(packed));
  t.end();
});
