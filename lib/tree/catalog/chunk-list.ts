import { createHash } from 'node:crypto';
import { flagBits, hashOfDigits, isLinked, type RawRow } from '../../format/catalog-row.js';
import type { HashAlgorithm } from '../../format/hash.js';
import type { Chunk } from '../entry.js';
import type { CatalogFile } from './catalog-file.js';
import { digestOfKey } from './located-row.js';
import { Cursor } from './packed-rows.js';

/** The most chunks of one file: with chunks of 4 MiB a file of one TiB. */
export const chunksMax = 2 ** 18;

/**
 * Decodes and checks the chunk rows of a file (docs/format.md, 6): sorted by offset, without
 * gap or overlap, from 0 to the file's size. Gives a sentence on what is wrong instead.
 */
export function checkChunks(
  packed: Buffer | null,
  size: number,
  algorithm: HashAlgorithm,
): readonly Chunk[] | string {
  if (packed === null) return 'it has no chunks';
  const chunks: Chunk[] = [];
  let expected = 0;
  for (let position = 0; position < packed.length;) {
    if (chunks.length >= chunksMax) return 'it has too many chunks';
    const cursor = new Cursor(packed, position);
    if (!cursor.open()) return 'its chunk list is malformed';
    const offset = cursor.number();
    const length = cursor.number();
    const end = packed.indexOf(10, cursor.position);
    if (end === -1) return 'its chunk list is malformed';
    if (offset !== expected) return `its chunks have a gap or overlap at ${expected}`;
    if (!(length >= 1 && length <= size - offset))
      return `its chunk at ${offset} has an impossible size`;
    const hash = hashOfDigits(algorithm, packed.toString('latin1', cursor.position, end));
    if (hash === undefined) return `its chunk at ${offset} has no valid hash`;
    chunks.push({ offset, size: length, object: { hash, kind: 'chunk' } });
    expected = offset + length;
    position = end + 1;
  }
  return expected === size ? chunks : 'its chunks end before the file does';
}

// The most chunks that are compared: all rows of a directory may ask for it, so it has to be cheap (0.4 ms).
// With the reference's smallest chunks, of 4 MiB, a file of 4 GiB has as many.
const comparedChunksMax = 1024;

/**
 * What tells apart the contents of chunked rows that claim to be one file and have no hash of the whole:
 * a digest of their chunk list. Empty for all other rows. A list too long to be compared is like no other.
 */
export function linkedChunks(file: CatalogFile, row: RawRow): string {
  const chunked = (row.flags & flagBits.chunked) !== 0;
  if (!isLinked(row) || !chunked || row.hash !== '' || file.schema.legacy) return '';
  const path = digestOfKey(row.key);
  const packed = path && file.chunkRows(path, comparedChunksMax + 1);
  if (packed === undefined || packed === null) return '';
  let chunks = 0;
  for (let at = packed.indexOf(10); at !== -1; at = packed.indexOf(10, at + 1)) chunks++;
  return chunks > comparedChunksMax
    ? `of ${row.key.join()}`
    : createHash('sha256').update(packed).digest('hex');
}
