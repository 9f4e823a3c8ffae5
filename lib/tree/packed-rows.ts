import { fromBytes, type ByteString } from '../format/bytes.js';
import { isName, type RawRow } from '../format/catalog-row.js';
import { xattrBlobLimit } from '../format/xattr.js';

/**
 * Rows of a catalog as one packed column, since handing columns to JavaScript is what costs
 * (design, 4.2). A row is
 *
 *     nameLength,linkLength,xattrLength,rowid,<name><link><xattr>number,…,number,hash\n
 *
 * with the raw bytes of the three. A number is `x` where the column holds no integer. Bytes above
 * the limit of their column are left out; their length stays.
 */
const nameLimit = 255;
const linkLimit = 16384;

function integer(column: string | undefined): string {
  return column === undefined ? `'x'` : `iif(typeof(${column})='integer',${column},'x')`;
}

function word(column: string, shift: number): string {
  const shifted = shift === 0 ? column : `(${column}>>${shift})`;
  return `coalesce(${shifted}&4294967295,'x')`;
}

function bytesLength(column: string | undefined): string {
  return column === undefined ? '0' : `coalesce(octet_length(${column}),0)`;
}

function bytes(column: string | undefined, limit: number): string {
  return column === undefined ? `''` : `iif(octet_length(${column})<=${limit},${column},'')`;
}

/** SQL for the packed row of a table `catalog` with these columns (they differ by schema). */
export function packedRow(columns: ReadonlySet<string>): string {
  const have = (name: string): string | undefined => (columns.has(name) ? name : undefined);
  const links = have('hardlinks');
  const numbers = [
    word('md5path_1', 0),
    word('md5path_1', 32),
    word('md5path_2', 0),
    word('md5path_2', 32),
    ...['flags', 'mode', 'size', 'mtime', 'mtimens', 'uid', 'gid'].map((name) =>
      integer(have(name)),
    ),
    integer(links === undefined ? undefined : `${links}>>32`),
    integer(links === undefined ? undefined : `${links}&4294967295`),
    `iif(octet_length(hash)<=32,hex(hash),iif(hash IS NULL,'','x'))`,
  ];
  return [
    [bytesLength('name'), bytesLength('symlink'), bytesLength(have('xattr')), 'rowid', `''`].join(
      `||','||`,
    ),
    bytes('name', nameLimit),
    bytes('symlink', linkLimit),
    bytes(have('xattr'), xattrBlobLimit),
    numbers.join(`||','||`),
    'char(10)',
  ].join('||');
}

/** SQL for the four words of the parent's path hash, each with a comma behind it. */
export const packedParent = ['parent_1', 'parent_2']
  .flatMap((column) => [word(column, 0), word(column, 32)])
  .join(`||','||`)
  .concat(`||','`);

/** Where the parts of a row lie, found without decoding it. */
export interface RowSpan {
  readonly rowid: number;
  /** Undefined: no name that may stand in a directory. */
  readonly name: ByteString | undefined;
  /** Position behind the row. */
  readonly end: number;
}

const newline = 10;
const comma = 44;
const minus = 45;

/** Reads numbers and commas; kept apart from the rows so that no string is made for a number. */
export class Cursor {
  readonly bytes: Buffer;
  position: number;

  constructor(bytes: Buffer, position: number) {
    this.bytes = bytes;
    this.position = position;
  }

  /** The number here and the position behind its comma; NaN for what is none. Imprecise above 2^53. */
  number(): number {
    const { bytes } = this;
    let at = this.position;
    const negative = bytes[at] === minus;
    if (negative) at++;
    let value = 0;
    let digits = 0;
    for (; ; at++, digits++) {
      const digit = (bytes[at] ?? 0) - 48;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
    }
    const good = digits > 0 && digits < 20 && bytes[at] === comma;
    if (!good) {
      const end = bytes.indexOf(comma, at);
      at = end === -1 ? bytes.length : end;
    }
    this.position = at + 1;
    return good ? (negative ? -value : value) : NaN;
  }

  /** The four words of a path hash. */
  key(): readonly [number, number, number, number] {
    return [this.number(), this.number(), this.number(), this.number()];
  }
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

/** Decodes the row at a position. Undefined: there is no whole row. */
export function rowAt(bytes: Buffer, position: number): RawRow | undefined {
  const head = headAt(bytes, position);
  if (head === undefined) return undefined;
  const end = bytes.indexOf(newline, head.numbers);
  if (end === -1) return undefined;
  const cursor = new Cursor(bytes, head.numbers);
  const key = cursor.key();
  const row = {
    rowid: head.rowid,
    key,
    name: fromBytes(bytes.subarray(head.nameStart, head.nameEnd)),
    flags: cursor.number(),
    mode: cursor.number(),
    size: cursor.number(),
    mtime: cursor.number(),
    mtimeNs: cursor.number(),
    uid: cursor.number(),
    gid: cursor.number(),
    linkGroup: cursor.number(),
    linkCount: cursor.number(),
    symlink: head.linkFits ? fromBytes(bytes.subarray(head.nameEnd, head.linkEnd)) : undefined,
    xattr: head.numbers > head.linkEnd ? bytes.subarray(head.linkEnd, head.numbers) : undefined,
  };
  // A number that is cut off would otherwise be read from the row behind this one.
  if (cursor.position > end) return undefined;
  return { ...row, hash: bytes.toString('latin1', cursor.position, end) };
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
  const nameLength = cursor.number();
  const linkLength = cursor.number();
  const xattrLength = cursor.number();
  const rowid = cursor.number();
  const nameStart = cursor.position;
  const nameEnd = nameStart + (nameLength <= nameLimit ? nameLength : 0);
  const linkFits = linkLength <= linkLimit;
  const linkEnd = nameEnd + (linkFits ? linkLength : 0);
  const numbers = linkEnd + (xattrLength <= xattrBlobLimit ? xattrLength : 0);
  // A NaN among the lengths makes this comparison false as well.
  const sound = nameLength >= 0 && linkLength >= 0 && xattrLength >= 0 && numbers <= bytes.length;
  return sound ? { rowid, nameStart, nameEnd, linkEnd, linkFits, numbers } : undefined;
}
