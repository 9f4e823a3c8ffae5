import type { ByteString } from '../../format/bytes.js';
import { isName, type RawRow } from '../../format/catalog-row.js';
import { xattrBlobLimit } from '../../format/xattr.js';

/**
 * Rows of a catalog as one packed column, since handing columns to JavaScript is what costs
 * (lib/README.md). A row is
 *
 *     [nameLength,linkLength,xattrLength,rowid]<name><link><xattr>[number,…]<hash in hex>\n
 *
 * with the raw bytes of the three. The arrays are JSON: short to write, which matters because
 * preparing a long query costs more than running it, and clear about what is no integer. Bytes above
 * the limit of their column are left out; their length stays.
 */
export const nameBytesMax = 255;
const linkBytesMax = 16384;
export const hashBytesMax = 32;

export const integerColumns = [
  'md5path_1',
  'md5path_2',
  'flags',
  'mode',
  'size',
  'mtime',
  'mtimens',
  'uid',
  'gid',
  'hardlinks',
];
export const parentColumns = ['parent_1', 'parent_2'];
export const byteColumns = ['name', 'symlink', 'xattr', 'hash'];

/** The most bytes of a target, and of extended attributes, in a row that is packed in the quick way. */
export const quickBytesMax = 4096;
// What the limits of the columns allow, and room for more: rows above can't be sound.
const weightBytesMax = 2 * (linkBytesMax + xattrBlobLimit);
/** Rows of a catalog that are packed at once: however many there are, they weigh less than 5 MiB. */
export const rowsAtOnce = { quick: 512, careful: 16 } as const;

/**
 * SQL for the packed row of a table `catalog` with these columns (they differ by schema).
 *
 * SQLite takes any value in any column, also a text of hundreds of megabytes that many rows share. It
 * reads such a value as soon as it is named, and goes through it to come to the columns behind; but not for
 * `typeof`, nor for `octet_length` of a text or blob. So all columns are asked for these before one is
 * read. A row that is not as rows usually are makes the quick form throw ("malformed JSON").
 * @param careful for the rare catalog that has such a row.
 * @param located with the hash of the parent's path before it.
 */
export function packedRow(columns: ReadonlySet<string>, careful: boolean, located = false): string {
  return careful ? carefulRow(columns, located) : quickRow(columns, located);
}

function quickRow(columns: ReadonlySet<string>, located: boolean): string {
  const usual = [...columns].filter((name) => !byteColumns.includes(name)).map(usualNumber);
  usual.push(`octet_length(name)<=${nameBytesMax}`, `octet_length(symlink)<=${quickBytesMax}`);
  usual.push(`(hash IS NULL OR octet_length(hash)<=${hashBytesMax})`);
  if (columns.has('xattr')) usual.push(`(xattr IS NULL OR octet_length(xattr)<=${quickBytesMax})`);
  const value = (name: string): string => (columns.has(name) ? name : 'NULL');
  const parts = packed(columns, located, value, value, 'hex(hash)');
  return `iif(${usual.join(' AND ')},${parts},json('x'))`;
}

/** What a column has in nearly all rows. */
function usualNumber(column: string): string {
  // Few publishers write nanoseconds.
  if (column === 'mtimens') return `(mtimens IS NULL OR ${isInteger(column)})`;
  const known = integerColumns.includes(column) || parentColumns.includes(column);
  return known ? isInteger(column) : `typeof(${quotedName(column)}) IN ('integer','null')`;
}

/** The name of a column that somebody else chose. */
function quotedName(column: string): string {
  return `catalog."${column.replaceAll('"', '""')}"`;
}

function carefulRow(columns: ReadonlySet<string>, located: boolean): string {
  const weights = [...columns]
    .map(quotedName)
    .map((name) => `iif(typeof(${name}) IN ('text','blob'),octet_length(${name}),0)`);
  const limits = { name: nameBytesMax, symlink: linkBytesMax, xattr: xattrBlobLimit };
  const bytes = (name: keyof typeof limits): string =>
    columns.has(name) ? `iif(octet_length(${name})>${limits[name]},NULL,${name})` : 'NULL';
  const integer = (name: string): string =>
    columns.has(name) ? `iif(${isInteger(name)},${name},NULL)` : 'NULL';
  const hash = `iif(octet_length(hash)>${hashBytesMax},'x',hex(hash))`;
  const parts = packed(columns, located, integer, bytes, hash);
  const none = (count: number): string => `json_array(${Array(count).fill('NULL').join()})`;
  const parent = located ? `${none(parentColumns.length)},` : '';
  const nothing = `concat(${parent}json_array(0,0,0,rowid),${none(integerColumns.length)},char(10))`;
  return `iif(${weights.join('+')}<=${weightBytesMax},${parts},${nothing})`;
}

function packed(
  columns: ReadonlySet<string>,
  located: boolean,
  integer: (name: string) => string,
  bytes: (name: 'name' | 'symlink' | 'xattr') => string,
  hash: string,
): string {
  const length = (name: string): string => (columns.has(name) ? `octet_length(${name})` : '0');
  const parent = located ? `json_array(${parentColumns.map(integer).join()}),` : '';
  return `concat(${parent}
    json_array(${length('name')},${length('symlink')},${length('xattr')},rowid),
    ${bytes('name')},${bytes('symlink')},${bytes('xattr')},
    json_array(${integerColumns.map(integer).join()}),${hash},char(10))`;
}

function isInteger(name: string): string {
  return `typeof(${name})='integer'`;
}

/** SQL for a packed chunk, `[offset,size]<hash in hex>\n`; `careful` as for rows. */
export function packedChunk(careful: boolean): string {
  const integer = (name: string): string =>
    careful ? `iif(${isInteger(name)},${name},NULL)` : name;
  const hash = careful ? `iif(octet_length(hash)>${hashBytesMax},'x',hex(hash))` : 'hex(hash)';
  const parts = `concat(json_array(${integer('offset')},${integer('size')}),${hash},char(10))`;
  if (careful) return parts;
  const usual = `${isInteger('offset')} AND ${isInteger('size')} AND octet_length(hash)<=${hashBytesMax}`;
  return `iif(${usual},${parts},json('x'))`;
}

/** Row ids that a node id can carry. */
export function isRowid(rowid: number): boolean {
  return rowid >= 1 && rowid <= 0xffff_ffff;
}

/** Where the parts of a row lie, found without decoding it. */
export interface RowSpan {
  readonly rowid: number;
  /** Undefined: no name that may stand in a directory. */
  readonly name: ByteString | undefined;
  /** Position behind the row. */
  readonly end: number;
}

const newline = 10;
const quote = 34;
const comma = 44;
const minus = 45;
const openBracket = 91;
const backslash = 92;
const closeBracket = 93;

// A number is read as its first digits and those behind them, each part exact. More than 19 can't be.
const frontDigits = 10;
const backScale = 1e9;

/** Reads arrays of integers as they stand in packed rows, with no text made for a number. */
export class Cursor {
  readonly bytes: Buffer;
  position: number;
  /** The 64 bits of the integer that was read last, as two words. */
  low = NaN;
  high = NaN;

  constructor(bytes: Buffer, position: number) {
    this.bytes = bytes;
    this.position = position;
  }

  /** Steps into an array; false if there is none here. */
  open(): boolean {
    return this.bytes[this.position++] === openBracket;
  }

  /**
   * The integer here, and the position behind it and its comma or bracket; NaN for any other value.
   * Imprecise above 2^53, where `low` and `high` are not.
   */
  number(): number {
    const { bytes } = this;
    let at = this.position;
    const negative = bytes[at] === minus;
    if (negative) at++;
    const first = at;
    let front = 0;
    let digit = digitAt(bytes, at);
    for (; digit >= 0 && at < first + frontDigits; digit = digitAt(bytes, ++at))
      front = front * 10 + digit;
    let back = 0;
    let scale = 1;
    for (; digit >= 0 && scale < backScale; digit = digitAt(bytes, ++at)) {
      back = back * 10 + digit;
      scale *= 10;
    }
    if (at === first || !this.#ends(at)) {
      this.position = this.#skip(this.position);
      return (this.low = this.high = NaN);
    }
    this.position = at + 1;
    if (front < 2 ** 32 && scale === 1) {
      this.low = front;
      this.high = 0;
    } else this.#words(front, scale, back);
    const value = front * scale + back;
    if (!negative) return value;
    const borrow = this.low === 0 ? 0 : 1;
    this.low = borrow === 0 ? 0 : 2 ** 32 - this.low;
    this.high = (2 ** 32 - this.high - borrow) % 2 ** 32;
    return -value;
  }

  /** The words of `front * scale + back`, in two parts, so that every product stays exact. */
  #words(front: number, scale: number, back: number): void {
    const frontHigh = Math.floor(front / 2 ** 17);
    const high = frontHigh * scale;
    const low = (front - frontHigh * 2 ** 17) * scale + back;
    const highHigh = Math.floor(high / 2 ** 15);
    const lowHigh = Math.floor(low / 2 ** 32);
    const carried = (high - highHigh * 2 ** 15) * 2 ** 17 + (low - lowHigh * 2 ** 32);
    const carry = Math.floor(carried / 2 ** 32);
    this.low = carried - carry * 2 ** 32;
    const sum = highHigh + lowHigh + carry;
    this.high = sum < 2 ** 32 ? sum : sum - 2 ** 32;
  }

  /** The four words of a path hash, kept as two integers. */
  key(): readonly [number, number, number, number] {
    this.number();
    const { low, high } = this;
    this.number();
    return [low, high, this.low, this.high];
  }

  #ends(at: number): boolean {
    return this.bytes[at] === comma || this.bytes[at] === closeBracket;
  }

  /** The position behind a value that is no integer; never in another line. */
  #skip(from: number): number {
    const { bytes } = this;
    let at = from;
    if (bytes[at] === quote) {
      for (at++; at < bytes.length && bytes[at] !== quote; at++) if (bytes[at] === backslash) at++;
    }
    while (at < bytes.length && !this.#ends(at) && bytes[at] !== newline) at++;
    return bytes[at] === newline ? at : at + 1;
  }
}

/** The digit at a position, -1 for anything else. */
function digitAt(bytes: Buffer, at: number): number {
  const digit = (bytes[at] ?? 0) - 48;
  return digit <= 9 ? digit : -1;
}

/** Finds the row at a position: its id, its name, its end. Undefined: there is no whole row. */
export function spanAt(bytes: Buffer, position: number): RowSpan | undefined {
  const head = headAt(bytes, position);
  if (head === undefined) return undefined;
  const end = bytes.indexOf(newline, head.numbers);
  if (end === -1) return undefined;
  const name =
    head.nameEnd > head.nameStart ? bytes.toString('latin1', head.nameStart, head.nameEnd) : '';
  return { rowid: head.rowid, name: isName(name) ? name : undefined, end: end + 1 };
}

/**
 * Whether the row that ends here may be one of a hard-link group with no content hash: its last number
 * has the ten digits that a group above 0 brings, and nothing follows. It costs next to nothing to see.
 */
export function looksLinkedWithoutHash(bytes: Buffer, end: number): boolean {
  const bracket = end - 2;
  if (bytes[bracket] !== closeBracket) return false;
  for (let at = bracket - 1; at >= bracket - 10; at--) if (digitAt(bytes, at) < 0) return false;
  return true;
}

/** A row, and the position behind it. */
export interface PackedRow extends RawRow {
  readonly end: number;
}

/** Decodes the row at a position. Undefined: there is no whole row. */
export function rowAt(bytes: Buffer, position: number): PackedRow | undefined {
  const head = headAt(bytes, position);
  if (head === undefined) return undefined;
  const cursor = new Cursor(bytes, head.numbers);
  if (!cursor.open()) return undefined;
  const key = cursor.key();
  const flags = cursor.number();
  const mode = cursor.number();
  const size = cursor.number();
  const mtime = cursor.number();
  const mtimeNs = cursor.number();
  const uid = cursor.number();
  const gid = cursor.number();
  const last = cursor.position;
  cursor.number();
  if (cursor.position === last || bytes[cursor.position - 1] !== closeBracket) return undefined;
  let end = cursor.position;
  // A hash is so short that looking for its end here costs less than a call.
  while (bytes[end] !== newline) if (++end >= bytes.length) return undefined;
  const { nameStart, nameEnd, linkEnd, numbers } = head;
  return {
    rowid: head.rowid,
    key,
    name: bytes.toString('latin1', nameStart, nameEnd),
    flags,
    mode,
    size,
    mtime,
    mtimeNs,
    uid,
    gid,
    linkGroup: cursor.high,
    linkCount: cursor.low,
    hash: bytes.toString('latin1', cursor.position, end),
    symlink: !head.linkFits
      ? undefined
      : linkEnd === nameEnd
        ? ''
        : bytes.toString('latin1', nameEnd, linkEnd),
    xattr: numbers > linkEnd ? bytes.subarray(linkEnd, numbers) : undefined,
    end: end + 1,
  };
}

interface RowHead {
  readonly rowid: number;
  readonly nameStart: number;
  readonly nameEnd: number;
  readonly linkEnd: number;
  readonly linkFits: boolean;
  /** Where the numbers begin. */
  readonly numbers: number;
}

function headAt(bytes: Buffer, position: number): RowHead | undefined {
  const cursor = new Cursor(bytes, position);
  if (!cursor.open()) return undefined;
  // The length of NULL is NULL.
  const nameLength = cursor.number() || 0;
  const linkLength = cursor.number() || 0;
  const xattrLength = cursor.number() || 0;
  const rowid = cursor.number();
  const nameStart = cursor.position;
  const nameEnd = nameStart + (nameLength <= nameBytesMax ? nameLength : 0);
  const linkFits = linkLength <= linkBytesMax;
  const linkEnd = nameEnd + (linkFits ? linkLength : 0);
  const numbers = linkEnd + (xattrLength <= xattrBlobLimit ? xattrLength : 0);
  const sound = nameLength >= 0 && linkLength >= 0 && xattrLength >= 0 && numbers <= bytes.length;
  return sound ? { rowid, nameStart, nameEnd, linkEnd, linkFits, numbers } : undefined;
}
