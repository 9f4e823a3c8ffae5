import type { ByteString } from '../format/bytes.js';
import { isName, type RawRow } from '../format/catalog-row.js';
import { xattrBlobLimit } from '../format/xattr.js';

/**
 * Rows of a catalog as one packed column, since handing columns to JavaScript is what costs
 * (design, 4.2). A row is
 *
 *     [nameLength,linkLength,xattrLength,rowid]<name><link><xattr>[number,…]<hash in hex>\n
 *
 * with the raw bytes of the three. The arrays are JSON: short to write, which matters because
 * preparing a long query costs more than running it, and clear about what is no integer. Bytes above
 * the limit of their column are left out; their length stays.
 */
const nameLimit = 255;
const linkLimit = 16384;

const integerColumns = [
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

/**
 * SQL for the packed row of a table `catalog` with these columns (they differ by schema).
 * @param careful for the rare catalog with blobs in integer columns, which JSON can't hold: the plain
 *   form throws there.
 */
export function packedRow(columns: ReadonlySet<string>, careful: boolean): string {
  const integer = (name: string): string => {
    if (!columns.has(name)) return 'NULL';
    return careful ? `iif(typeof(${name})='blob',NULL,${name})` : name;
  };
  const length = (name: string): string => (columns.has(name) ? `octet_length(${name})` : '0');
  const bytes = (name: string, limit: number): string =>
    columns.has(name) ? `iif(octet_length(${name})>${limit},NULL,${name})` : 'NULL';
  return `concat(
    json_array(${length('name')},${length('symlink')},${length('xattr')},rowid),
    ${bytes('name', nameLimit)},${bytes('symlink', linkLimit)},${bytes('xattr', xattrBlobLimit)},
    json_array(${integerColumns.map(integer).join()}),
    iif(octet_length(hash)>32,'x',hex(hash)),char(10))`;
}

/** SQL for the hash of the parent's path, to be put before a row. */
export function packedParent(careful: boolean): string {
  const integer = (name: string): string =>
    careful ? `iif(typeof(${name})='blob',NULL,${name})` : name;
  return `json_array(${integer('parent_1')},${integer('parent_2')})`;
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
    let value = 0;
    for (let digit = digitAt(bytes, at); digit >= 0; digit = digitAt(bytes, ++at))
      value = value * 10 + digit;
    const digits = at - first;
    if (digits === 0 || digits > 19 || !this.#ends(at)) {
      this.position = this.#skip(this.position);
      return (this.low = this.high = NaN);
    }
    this.position = at + 1;
    if (digits < 16) {
      this.low = value % 2 ** 32;
      this.high = (value - this.low) / 2 ** 32;
    } else this.#words(first, at);
    if (!negative) return value;
    const borrow = this.low === 0 ? 0 : 1;
    this.low = borrow === 0 ? 0 : 2 ** 32 - this.low;
    this.high = (2 ** 32 - this.high - borrow) % 2 ** 32;
    return -value;
  }

  /**
   * The words of a number with more digits than a number of JavaScript holds: its last nine digits, and
   * those before them (at most 10) in two parts, so that every product stays exact.
   */
  #words(first: number, end: number): void {
    const front = digitsOf(this.bytes, first, end - 9);
    const back = digitsOf(this.bytes, end - 9, end);
    const high = Math.floor(front / 2 ** 17) * 1e9;
    const low = (front % 2 ** 17) * 1e9 + back;
    const carried = (high % 2 ** 15) * 2 ** 17 + (low % 2 ** 32);
    this.low = carried % 2 ** 32;
    this.high =
      (Math.floor(high / 2 ** 15) + Math.floor(low / 2 ** 32) + Math.floor(carried / 2 ** 32)) %
      2 ** 32;
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

  /** The position behind a value that is no integer. */
  #skip(from: number): number {
    const { bytes } = this;
    let at = from;
    if (bytes[at] === quote) {
      for (at++; at < bytes.length && bytes[at] !== quote; at++) if (bytes[at] === backslash) at++;
    }
    while (at < bytes.length && !this.#ends(at) && bytes[at] !== newline) at++;
    return at + 1;
  }
}

/** The digit at a position, -1 for anything else. */
function digitAt(bytes: Buffer, at: number): number {
  const digit = (bytes[at] ?? 0) - 48;
  return digit <= 9 ? digit : -1;
}

function digitsOf(bytes: Buffer, first: number, end: number): number {
  let value = 0;
  for (let at = first; at < end; at++) value = value * 10 + digitAt(bytes, at);
  return value;
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
  const end = bytes.indexOf(newline, head.numbers);
  const cursor = new Cursor(bytes, head.numbers);
  if (end === -1 || !cursor.open()) return undefined;
  const key = cursor.key();
  const flags = cursor.number();
  const mode = cursor.number();
  const size = cursor.number();
  const mtime = cursor.number();
  const mtimeNs = cursor.number();
  const uid = cursor.number();
  const gid = cursor.number();
  cursor.number();
  // A number that is cut off would otherwise be read from the row behind this one.
  if (cursor.position > end) return undefined;
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
  const nameEnd = nameStart + (nameLength <= nameLimit ? nameLength : 0);
  const linkFits = linkLength <= linkLimit;
  const linkEnd = nameEnd + (linkFits ? linkLength : 0);
  const numbers = linkEnd + (xattrLength <= xattrBlobLimit ? xattrLength : 0);
  const sound = nameLength >= 0 && linkLength >= 0 && xattrLength >= 0 && numbers <= bytes.length;
  return sound ? { rowid, nameStart, nameEnd, linkEnd, linkFits, numbers } : undefined;
}
