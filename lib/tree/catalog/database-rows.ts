import { headerBytes } from './database-pages.js';

/**
 * Tables and indexes of a SQLite file that is in memory, read as they lie there (SQLite file format, 1.5 to 2.2): opening
 * a small one with SQLite takes three times as long or more (docs/decisions/012). Only what is as it usually is gets read: for
 * everything else, damage included, UnusualDatabase is thrown, and SQLite is asked behind its guard (guarded-sqlite.ts).
 * Each page is read once at most, so that the work is bounded by the size of the file.
 */
export class UnusualDatabase extends Error {}

export interface DatabaseBytes {
  readonly bytes: Buffer;
  readonly pageSize: number;
  /** Pages that were read. */
  readonly seen: Uint8Array;
}

// No tree of a file that fits into memory is deeper.
const depthMax = 12;

// Types of pages.
const indexInterior = 2;
const tableInterior = 5;
const indexLeaf = 10;
const tableLeaf = 13;

/** @param pageSize as the header says, which was checked (database-pages.ts). @throws UnusualDatabase */
export function databaseOf(bytes: Buffer, pageSize: number): DatabaseBytes {
  // Bytes at the end of each page that are not SQLite's own.
  if (bytes[20] !== 0) throw new UnusualDatabase('reserved bytes');
  return { bytes, pageSize, seen: new Uint8Array(bytes.length / pageSize + 1) };
}

/** Rows of a table in the order of their ids, or the records of an index in its order: where each record lies. */
export interface StoredRecords {
  /** Of a table alone. */
  readonly rowids: number[];
  readonly from: number[];
  readonly to: number[];
}

/** @param root the page that the schema names. @param countMax more are unusual. @throws UnusualDatabase */
export function readTable(database: DatabaseBytes, root: number, countMax: number): StoredRecords {
  const records: StoredRecords = { rowids: [], from: [], to: [] };
  const { bytes, pageSize } = database;
  const localMax = pageSize - 35;
  const number = new Varint(bytes);
  walk(database, root, tableInterior, tableLeaf, 0, (cell, isLeaf) => {
    if (!isLeaf) return;
    const length = number.read(cell);
    const rowid = number.read(number.end);
    const last = records.rowids.at(-1);
    if (length > localMax || records.rowids.length >= countMax)
      throw new UnusualDatabase('a large row');
    if (last !== undefined && !(rowid > last)) throw new UnusualDatabase('rows in disorder');
    records.rowids.push(rowid);
    keep(records, number.end, length, bytes);
  });
  return records;
}

/** The records of an index, each with the row id behind its columns. */
export function readIndex(database: DatabaseBytes, root: number, countMax: number): StoredRecords {
  const records: StoredRecords = { rowids: [], from: [], to: [] };
  const { bytes, pageSize } = database;
  const localMax = Math.floor(((pageSize - 12) * 64) / 255) - 23;
  const number = new Varint(bytes);
  walk(database, root, indexInterior, indexLeaf, 0, (cell, isLeaf) => {
    const length = number.read(isLeaf ? cell : cell + 4);
    if (length > localMax || records.from.length >= countMax)
      throw new UnusualDatabase('a large key');
    keep(records, number.end, length, bytes);
  });
  return records;
}

function keep(records: StoredRecords, from: number, length: number, { length: end }: Buffer): void {
  if (from + length > end) throw new UnusualDatabase('a row behind the end');
  records.from.push(from);
  records.to.push(from + length);
}

/** Goes through the cells of a tree of pages, in order. */
function walk(
  database: DatabaseBytes,
  page: number,
  interior: number,
  leaf: number,
  depth: number,
  visit: (cell: number, isLeaf: boolean) => void,
): void {
  const { bytes, pageSize, seen } = database;
  const start = (page - 1) * pageSize;
  if (page < 1 || start + pageSize > bytes.length || seen[page] === 1 || depth > depthMax)
    throw new UnusualDatabase('pages that lead nowhere');
  seen[page] = 1;
  const at = page === 1 ? headerBytes : start;
  const type = bytes[at];
  if (type !== interior && type !== leaf) throw new UnusualDatabase('a page of another type');
  const isLeaf = type === leaf;
  const count = bytes.readUInt16BE(at + 3);
  const pointers = at + (isLeaf ? 8 : 12);
  if (pointers + 2 * count > start + pageSize) throw new UnusualDatabase('too many cells');
  for (let index = 0; index < count; index++) {
    const cell = start + bytes.readUInt16BE(pointers + 2 * index);
    // The smallest cell has four bytes.
    if (cell < pointers + 2 * count || cell + 4 > start + pageSize)
      throw new UnusualDatabase('a cell out of its page');
    if (!isLeaf) walk(database, bytes.readUInt32BE(cell), interior, leaf, depth + 1, visit);
    visit(cell, isLeaf);
  }
  if (!isLeaf) walk(database, bytes.readUInt32BE(at + 8), interior, leaf, depth + 1, visit);
}

/** Numbers in groups of seven bits. */
class Varint {
  readonly #bytes: Buffer;
  /** Behind what was read last. */
  end = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** @throws UnusualDatabase for one above 2^49, or behind the end. */
  read(at: number): number {
    let value = 0;
    for (let position = at; position < at + 7; position++) {
      const byte = this.#bytes[position];
      if (byte === undefined) break;
      value = value * 128 + (byte & 127);
      if (byte < 128) {
        this.end = position + 1;
        return value;
      }
    }
    throw new UnusualDatabase('a number that is too large');
  }
}

/** What a value is, as far as it is usual; `none` is NULL. */
export type ValueType = 'none' | 'integer' | 'text' | 'blob';

// A row of a catalog has sixteen.
const columnsMax = 64;
const integerBytes = [0, 1, 2, 3, 4, 6, 8, 0, 0, 0] as const;

/** Takes one record after the other apart; what it says is of the last one. */
export class RecordReader {
  readonly #bytes: Buffer;
  readonly #number: Varint;
  readonly #types: number[] = [];
  readonly #starts: number[] = [];
  /** Values that the record has. */
  count = 0;
  /** The integer that `words` found, as two words of 32 bits, the first with its sign. */
  high = 0;
  low = 0;

  constructor({ bytes }: Pick<DatabaseBytes, 'bytes'>) {
    this.#bytes = bytes;
    this.#number = new Varint(bytes);
  }

  /** @throws UnusualDatabase */
  open({ from, to }: StoredRecords, index: number): void {
    const start = from[index] ?? 0;
    const end = to[index] ?? 0;
    const number = this.#number;
    const values = start + number.read(start);
    let type = number.end;
    let value = values;
    this.count = 0;
    while (type < values) {
      const serial = number.read(type);
      type = number.end;
      if (this.count >= columnsMax) throw new UnusualDatabase('too many columns');
      this.#types[this.count] = serial;
      this.#starts[this.count++] = value;
      value += lengthOf(serial);
    }
    if (type !== values || value !== end) throw new UnusualDatabase('a row that has no end');
  }

  /** NULL for columns that came later than the row. @throws UnusualDatabase for a number with a fraction. */
  type(column: number): ValueType {
    const serial = this.#serial(column);
    if (serial === 0) return 'none';
    if (serial === 7) throw new UnusualDatabase('a number with a fraction');
    if (serial < 12) return 'integer';
    return serial % 2 === 0 ? 'blob' : 'text';
  }

  /** Bytes of a text or blob. */
  length(column: number): number {
    return lengthOf(this.#serial(column));
  }

  bytes(column: number): Buffer {
    const start = this.#starts[column] ?? 0;
    return this.#bytes.subarray(start, start + this.length(column));
  }

  /** A text or blob, as a string of its bytes. */
  latin1(column: number): string {
    const start = this.#starts[column] ?? 0;
    return this.#bytes.toString('latin1', start, start + this.length(column));
  }

  integer(column: number): bigint {
    const serial = this.#serial(column);
    if (serial === 8) return 0n;
    if (serial === 9) return 1n;
    const start = this.#starts[column] ?? 0;
    if (serial === 6) return this.#bytes.readBigInt64BE(start);
    return BigInt(this.#bytes.readIntBE(start, integerBytes[serial] ?? 1));
  }

  /** Reads an integer into `high` and `low`; false: there is none. */
  words(column: number): boolean {
    const serial = this.#serial(column);
    const start = this.#starts[column] ?? 0;
    if (serial === 6) {
      this.high = this.#bytes.readInt32BE(start);
      this.low = this.#bytes.readUInt32BE(start + 4);
      return true;
    }
    if (serial === 0 || serial === 7 || serial > 9) return false;
    const length = integerBytes[serial] ?? 0;
    const value = length === 0 ? serial - 8 : this.#bytes.readIntBE(start, length);
    this.high = Math.floor(value / 2 ** 32);
    this.low = value >>> 0;
    return true;
  }

  #serial(column: number): number {
    return column < this.count ? (this.#types[column] ?? 0) : 0;
  }
}

function lengthOf(serial: number): number {
  if (serial >= 12) return serial % 2 === 0 ? (serial - 12) / 2 : (serial - 13) / 2;
  if (serial >= 10) throw new UnusualDatabase('a value of no type');
  return serial === 7 ? 8 : (integerBytes[serial] ?? 0);
}
