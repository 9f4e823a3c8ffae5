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
  readonly column: ColumnPlaces;
  /** Goes to a row; good until the next call. */
  row(index: number): RecordReader;
  /** Rows in the order of an index that begins with these columns. @throws UnusualDatabase where they are no integers. */
  ordered(columns: readonly string[]): Order;
}

export type ColumnPlaces = (name: string) => number;

/** Rows in the order of some columns. */
export interface Order {
  readonly rows: Uint32Array;
  /** The places in `rows` of those whose columns have these integers: the first one, and the one behind the last. */
  range(key: readonly bigint[]): readonly [from: number, to: number];
}

const rowsMax = 2 ** 17;

/** A column of integers, each as two words: what indexes are about is compared without taking rows apart again. */
interface Integers {
  readonly high: Int32Array;
  readonly low: Uint32Array;
}

/**
 * @param root page of the table. @param indexRoots page of each index, by name.
 * @param checkOf makes what looks at each row.
 * @throws UnusualDatabase, also where an index is not what the rows say: what SQLite would give then is up to the index.
 */
export function openTable(
  database: DatabaseBytes,
  layout: TableLayout,
  root: number,
  indexRoots: ReadonlyMap<string, number>,
  checkOf?: (column: ColumnPlaces) => (row: RecordReader) => void,
): Table {
  const records = readTable(database, root, rowsMax);
  const reader = new RecordReader(database);
  const column = (name: string): number => layout.columns.indexOf(name);
  const integers = readIntegers(reader, records, layout, checkOf?.(column));
  const orders: { readonly columns: readonly string[]; readonly rows: Uint32Array }[] = [];
  for (const [name, columns] of layout.indexes) {
    const keys = allOf(columns.map((each) => integers.get(each)));
    const entries = readIndex(database, indexRoots.get(name) ?? 0, records.rowids.length);
    if (entries.from.length !== records.rowids.length)
      throw new UnusualDatabase('an index that lacks rows');
    const rows =
      keys === undefined
        ? orderOf(database, records, columns.map(column), entries)
        : orderOfIntegers(database, records, keys, entries);
    orders.push({ columns, rows });
  }
  return {
    rowids: records.rowids,
    column,
    row(index) {
      reader.open(records, index);
      return reader;
    },
    ordered(columns) {
      const found = orders.find((order) => columns.every((name, at) => order.columns[at] === name));
      const keys = allOf(columns.map((each) => integers.get(each)));
      if (found === undefined || keys === undefined) throw new UnusualDatabase('no index');
      return makeOrder(found.rows, keys);
    },
  };
}

function allOf<T>(values: readonly (T | undefined)[]): readonly T[] | undefined {
  const there = values.filter((value) => value !== undefined);
  return there.length === values.length ? there : undefined;
}

/** The columns of indexes that have an integer in each row. */
function readIntegers(
  reader: RecordReader,
  records: StoredRecords,
  { columns, indexes }: TableLayout,
  check: ((row: RecordReader) => void) | undefined,
): ReadonlyMap<string, Integers> {
  const { length } = records.rowids;
  const kept = new Map<string, Integers>();
  const places: number[] = [];
  const values: Integers[] = [];
  for (const name of new Set([...indexes.values()].flat())) {
    const made = { high: new Int32Array(length), low: new Uint32Array(length) };
    kept.set(name, made);
    places.push(columns.indexOf(name));
    values.push(made);
  }
  const others = new Set<Integers>();
  for (let index = 0; index < length; index++) {
    reader.open(records, index);
    check?.(reader);
    for (let at = 0; at < values.length; at++) {
      const column = values[at];
      if (column === undefined) continue;
      if (!reader.words(places[at] ?? -1)) others.add(column);
      column.high[index] = reader.high;
      column.low[index] = reader.low;
    }
  }
  for (const [name, column] of kept) if (others.has(column)) kept.delete(name);
  return kept;
}

function makeOrder(rows: Uint32Array, keys: readonly Integers[]): Order {
  /** Below 0: the row there comes before the key. */
  const compare = (place: number, words: readonly number[]): number => {
    const row = rows[place] ?? 0;
    for (let at = 0; at < keys.length; at++) {
      const high = (keys[at]?.high[row] ?? 0) - (words[2 * at] ?? 0);
      if (high !== 0) return high;
      const low = (keys[at]?.low[row] ?? 0) - (words[2 * at + 1] ?? 0);
      if (low !== 0) return low;
    }
    return 0;
  };
  /** The first place whose row isn't before the key, or (`behind`) is behind it. */
  const search = (words: readonly number[], behind: boolean): number => {
    let low = 0;
    let high = rows.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const order = compare(middle, words);
      if (order < 0 || (behind && order === 0)) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    rows,
    range(key) {
      const words = key.flatMap((value) => [
        Number(BigInt.asIntN(32, value >> 32n)),
        Number(BigInt.asUintN(32, value)),
      ]);
      return [search(words, false), search(words, true)];
    },
  };
}

/** The rows in the order of an index of integers, which has to have one entry for each of them, each behind the one before. */
function orderOfIntegers(
  database: DatabaseBytes,
  table: StoredRecords,
  keys: readonly Integers[],
  entries: StoredRecords,
): Uint32Array {
  const rows = new Uint32Array(entries.from.length);
  const entry = new RecordReader(database);
  for (let index = 0; index < rows.length; index++) {
    entry.open(entries, index);
    if (entry.count !== keys.length + 1 || !entry.words(keys.length))
      throw new UnusualDatabase('an index of other columns');
    const found = placeOf(table.rowids, entry.high * 2 ** 32 + entry.low);
    const before = index === 0 ? -1 : (rows[index - 1] ?? 0);
    // What lies in the entry is what lies in the row, so that rows tell the order of entries.
    let order = index === 0 ? -1 : 0;
    for (let at = 0; at < keys.length; at++) {
      const { high, low } = keys[at] ?? noIntegers;
      if (!entry.words(at) || entry.high !== high[found] || entry.low !== low[found])
        throw new UnusualDatabase('an index that is not of its table');
      if (order === 0) order = (high[before] ?? 0) - (high[found] ?? 0);
      if (order === 0) order = (low[before] ?? 0) - (low[found] ?? 0);
    }
    if (order > 0 || (order === 0 && !(before < found)))
      throw new UnusualDatabase('an index in disorder');
    rows[index] = found;
  }
  return rows;
}

const noIntegers: Integers = { high: new Int32Array(0), low: new Uint32Array(0) };

/** As `orderOfIntegers`, of any columns. */
function orderOf(
  database: DatabaseBytes,
  table: StoredRecords,
  columns: readonly number[],
  entries: StoredRecords,
): Uint32Array {
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
