import { hashOfDigits } from '../format/catalog-row.js';
import type { HashAlgorithm } from '../format/hash.js';
import type { Chunk } from './entry.js';
import { Cursor } from './packed-rows.js';

/** The most chunks of one file: with chunks of 4 MiB a file of one TiB. */
export const chunksLimit = 2 ** 18;

/**
 * Decodes and checks the chunk rows of a file (format document, section 6): sorted by offset, without
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
    if (chunks.length >= chunksLimit) return 'it has too many chunks';
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
