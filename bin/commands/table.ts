import { headed } from './look.js';

/*
 * Tables for people. Columns stand apart by two blanks at least. The heads are shown on a terminal only: to who reads
 * line by line (cut, awk, a script of yesterday) each line is a row.
 */

export interface Column {
  readonly head: string;
  /** Numbers stand to the right. */
  readonly right?: true;
  /** Where rows come one by one, and nobody knows the widest cell: what it takes at the least. */
  readonly width?: number;
}

/** A cell that is wider moves what is behind it, in its own row alone. */
const widthMax = 44;

/** The heads, for a table whose rows come one by one; nothing where they are not to be seen. */
export function headLines(columns: readonly Column[], heads = headed()): string[] {
  return heads ? [rowLine(columns, headsOf(columns))] : [];
}

/** One row, in columns that have their `width`. */
export function rowLine(columns: readonly Column[], cells: readonly string[]): string {
  const padded = columns.map(({ right, width = 0 }, at) => {
    const cell = cells[at] ?? '';
    return right === true ? cell.padStart(width) : cell.padEnd(width);
  });
  return padded.join('  ').trimEnd();
}

/** All rows, each column as wide as its widest cell. No row: no line, not even the heads. */
export function tableLines(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  heads = headed(),
): string[] {
  if (rows.length === 0) return [];
  const all = heads ? [headsOf(columns), ...rows] : rows;
  const fitted = columns.map((column, at) => {
    const lengths = all.map((row) => row[at]?.length ?? 0).filter((length) => length <= widthMax);
    return { ...column, width: Math.max(0, ...lengths) };
  });
  return all.map((row) => rowLine(fitted, row));
}

function headsOf(columns: readonly Column[]): string[] {
  return columns.map(({ head }) => head.toUpperCase());
}

/** Of `tags` and `repo tag list`. */
export const tagColumns: readonly Column[] = [
  { head: 'tag' },
  { head: 'revision', right: true },
  { head: 'published' },
  { head: 'root hash' },
  { head: 'description' },
];
