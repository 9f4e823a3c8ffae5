import type { Shelf } from '../store/shelf.js';
import { done, type Outcome } from '../store/want.js';
import { wantsForRange } from '../tree/content.js';
import type { Entry } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';
import { andThen } from './outcome.js';

interface Range {
  readonly offset: number;
  readonly length: number;
  readonly target: Buffer;
  readonly targetOffset: number;
}

/**
 * Reads a range of a file into a buffer; value: the bytes read, fewer only at the end of the file.
 * Touches only the objects that the range lies in. A Miss names the first that isn't here, and the
 * others of the range and their neighbours as `ahead`.
 */
export function readContent(
  tree: Tree,
  shelf: Shelf,
  entry: Entry,
  { offset, length, target, targetOffset }: Range,
): Outcome<number> {
  return andThen(wantsForRange(tree, entry, offset, length), (pieces) => {
    let read = 0;
    for (const [index, piece] of pieces.entries()) {
      const got = shelf.read(piece.want, piece.position, piece.length, target, targetOffset + read);
      if (got === undefined) {
        return {
          kind: 'miss',
          want: piece.want,
          ahead: pieces.slice(index + 1).map((it) => it.want),
        };
      }
      read += got;
    }
    return done(read);
  });
}
