import { Cursor, rowAt, type PackedRow } from './packed-rows.js';

/** A row together with the hash of its parent's path, from which its place can be found again. */
export interface LocatedRow {
  readonly row: PackedRow;
  readonly parent: Buffer;
}

/** Decodes a row that has its parent's hash before it. */
export function locatedRow(packed: Buffer | null): LocatedRow | undefined {
  if (packed === null) return undefined;
  return locatedRowAt(packed, 0);
}

export function locatedRowAt(packed: Buffer, position: number): LocatedRow | undefined {
  const cursor = new Cursor(packed, position);
  if (!cursor.open()) return undefined;
  const parent = digestOfKey(cursor.key());
  const row = rowAt(packed, cursor.position);
  return row === undefined || parent === undefined ? undefined : { row, parent };
}

/** The digest whose four words these are; undefined if a word is none. */
export function digestOfKey(key: readonly number[]): Buffer | undefined {
  const digest = Buffer.allocUnsafe(16);
  for (let i = 0; i < 4; i++) {
    const word = key[i] ?? NaN;
    if (!(word >= 0 && word <= 0xffff_ffff)) return undefined;
    digest.writeUInt32LE(word, i * 4);
  }
  return digest;
}
