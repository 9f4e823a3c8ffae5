import type { ByteString } from '../../format/bytes.js';
import { UnusualDatabase, type RecordReader } from './database-rows.js';
import type { ColumnPlaces } from './database-tables.js';
import {
  byteColumns,
  hashBytesMax,
  integerColumns,
  nameBytesMax,
  parentColumns,
  quickBytesMax,
} from './packed-rows.js';

/* Rows as packed-rows.ts has SQLite pack them, of those that the quick way takes. */

export interface RowPacker {
  /** @throws UnusualDatabase for a row that the quick way does not take. */
  readonly check: (row: RecordReader) => void;
  /** @param located with the hash of the parent's path before it. */
  pack(row: RecordReader, rowid: number, located: boolean): ByteString;
}

/** What a column may hold. */
type Kind = 'integer' | 'optional' | 'text' | 'blob';

export function rowPacker(place: ColumnPlaces, columns: Iterable<string>): RowPacker {
  const kinds: [column: number, kind: Kind, bytesMax: number][] = [...columns].map((name) => [
    place(name),
    kindOf(name),
    bytesMaxOf(name),
  ]);
  const integers = integerColumns.map(place);
  const parents = parentColumns.map(place);
  const [name = -1, symlink = -1, xattr = -1, hash = -1] = byteColumns.map(place);
  const text = (row: RecordReader, column: number): ByteString =>
    column === -1 || row.type(column) === 'none' ? '' : row.latin1(column);
  const length = (row: RecordReader, column: number): string =>
    column === -1 ? '0' : row.type(column) === 'none' ? 'null' : String(row.length(column));
  return {
    check: (row) => {
      for (const [column, kind, bytesMax] of kinds) {
        const type = row.type(column);
        const isNone = type === 'none' && (kind === 'optional' || kind === 'blob');
        const isIt = type === (kind === 'optional' ? 'integer' : kind);
        const isLong = (type === 'text' || type === 'blob') && row.length(column) > bytesMax;
        if (!(isNone || isIt) || isLong) throw new UnusualDatabase('a row of other types');
      }
    },
    pack(row, rowid, located) {
      const before = located ? numbers(row, parents) : '';
      const lengths = `${length(row, name)},${length(row, symlink)},${length(row, xattr)},${rowid}`;
      const bytes = text(row, name) + text(row, symlink) + text(row, xattr);
      return `${before}[${lengths}]${bytes}${numbers(row, integers)}${hexOf(row, hash)}\n`;
    },
  };
}

function kindOf(name: string): Kind {
  if (name === 'hash' || name === 'xattr') return 'blob';
  if (name === 'name' || name === 'symlink') return 'text';
  const isNeeded = integerColumns.includes(name) || parentColumns.includes(name);
  return isNeeded && name !== 'mtimens' ? 'integer' : 'optional';
}

function bytesMaxOf(name: string): number {
  if (name === 'hash') return hashBytesMax;
  return name === 'name' ? nameBytesMax : quickBytesMax;
}

function numbers(row: RecordReader, columns: readonly number[]): string {
  let text = '';
  for (const column of columns) {
    const isThere = column !== -1 && row.type(column) === 'integer';
    text += `${text === '' ? '[' : ','}${isThere ? row.integer(column) : 'null'}`;
  }
  return `${text}]`;
}

/** As SQLite's hex(). */
export function hexOf(row: RecordReader, column: number): string {
  if (row.type(column) === 'none') return '';
  return row.bytes(column).toString('hex').toUpperCase();
}
