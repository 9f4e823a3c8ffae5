import {
  readIndex,
  readTable,
  RecordReader,
  UnusualDatabase,
  type DatabaseBytes,
  type StoredRecords,
} from './database-rows.js';
import type { TableLayout } from './guarded-sqlite.js';
import { firstAfter } from './row-ids.js';

/** A table whose indexes were held against its rows. */
export interface Table {
  /** Row ids, ascending; a row is known by its place in them. */
  readonly rowids: readonly number[];
  /** Places of columns in a row, by name; -1: there is no such column. */
  column(name: string): number;
  /** Goes to a row; good until the next call. */
  row(index: number): RecordReader;
  /** Rows in the order of an index that begins with these columns. */
  ordered(columns: readonly string[]): Order;
}

/** Rows in the order of some columns. */
export interface Order {
  readonly rows: Uint32Array;
  /** The place in `rows` of the first one whose columns are not below these integers. */
  first(key: readonly bigint[]): number;
  /** Whether the row there has these integers. */
  fits(place: number, key: readonly bigint[]): boolean;
}

const rowsMax = 2 ** 17;

/**
 * @param root page of the table. @param indexRoots page of each index, by name.
 * @throws UnusualDatabase, also where an index is not what the rows say: what SQLite would give then is up to the index.
 */
export function openTable(
  database: DatabaseBytes,
  layout: TableLayout,
  root: number,
  indexRoots: ReadonlyMap<string, number>,
): Table {
  const records = readTable(database, root, rowsMax);
  const reader = new RecordReader(database);
  const column = (name: string): number => layout.columns.indexOf(name);
  const orders: { readonly columns: readonly string[]; readonly rows: Uint32Array }[] = [];
  for (const [name, columns] of layout.indexes) {
    const places = columns.map(column);
    const rows = orderOf(database, records, places, indexRoots.get(name) ?? 0);
    orders.push({ columns, rows });
  }
  const row = (index: number): RecordReader => {
    reader.open(records, index);
    return reader;
  };
  return {
    rowids: records.rowids,
    column,
    row,
    ordered(columns) {
      const found = orders.find((order) => columns.every((name, at) => order.columns[at] === name));
      if (found === undefined) throw new UnusualDatabase('no index');
      return makeOrder(found.rows, columns.map(column), row);
    },
  };
}

function makeOrder(
  rows: Uint32Array,
  places: readonly number[],
  row: (index: number) => RecordReader,
): Order {
  /** Below 0: the row there comes before the key. */
  const compare = (place: number, key: readonly bigint[]): number => {
    const record = row(rows[place] ?? 0);
    for (const [at, value] of key.entries()) {
      const found = record.integer(places[at] ?? 0);
      if (found !== value) return found < value ? -1 : 1;
    }
    return 0;
  };
  return {
    rows,
    first(key) {
      let low = 0;
      let high = rows.length;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (compare(middle, key) < 0) low = middle + 1;
        else high = middle;
      }
      return low;
    },
    fits: (place, key) => place < rows.length && compare(place, key) === 0,
  };
}

/** The rows in the order of an index, which has to have one entry for each of them, each behind the one before. */
function orderOf(
  database: DatabaseBytes,
  table: StoredRecords,
  columns: readonly number[],
  root: number,
): Uint32Array {
  const entries = readIndex(database, root, table.rowids.length);
  if (entries.from.length !== table.rowids.length)
    throw new UnusualDatabase('an index that lacks rows');
  const rows = new Uint32Array(entries.from.length);
  const [entry, before, row] = [0, 1, 2].map(() => new RecordReader(database)) as [
    RecordReader,
    RecordReader,
    RecordReader,
  ];
  const own = columns.map((_, at) => at);
  for (let index = 0; index < rows.length; index++) {
    entry.open(entries, index);
    if (entry.count !== columns.length + 1 || entry.type(columns.length) !== 'integer')
      throw new UnusualDatabase('an index of other columns');
    const found = placeOf(table.rowids, Number(entry.integer(columns.length)));
    row.open(table, found);
    if (compareRecords(entry, own, row, columns) !== 0)
      throw new UnusualDatabase('an index that is not of its table');
    rows[index] = found;
    if (index === 0) continue;
    before.open(entries, index - 1);
    const order = compareRecords(before, own, entry, own);
    if (order > 0 || (order === 0 && !((rows[index - 1] ?? 0) < found)))
      throw new UnusualDatabase('an index in disorder');
  }
  return rows;
}

function placeOf(rowids: readonly number[], rowid: number): number {
  const place = firstAfter(rowids, rowid - 1);
  if (rowids[place] !== rowid) throw new UnusualDatabase('an entry of no row');
  return place;
}

const ranks = { none: 0, integer: 1, text: 2, blob: 3 } as const;

/** As SQLite compares values (its collation is BINARY: guarded-sqlite.ts). */
function compareRecords(
  one: RecordReader,
  ofOne: readonly number[],
  other: RecordReader,
  ofOther: readonly number[],
): number {
  for (const [at, a] of ofOne.entries()) {
    const b = ofOther[at] ?? 0;
    const type = one.type(a);
    const rank = ranks[type] - ranks[other.type(b)];
    if (rank !== 0) return rank;
    if (type === 'none') continue;
    const order =
      type === 'integer'
        ? compareIntegers(one.integer(a), other.integer(b))
        : Buffer.compare(one.bytes(a), other.bytes(b));
    if (order !== 0) return order;
  }
  return 0;
}

function compareIntegers(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
