import { errno } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';
import { objectText } from '../format/hash.js';
import type { Shelf } from '../store/shelf.js';
import { done, type Outcome, type Want, andThen, failure } from '../store/want.js';
import { chunksBehind, wantsForRange, type Piece } from '../tree/content.js';
import type { Entry, NodeId } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';

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
        const ahead = [
          ...pieces.slice(index + 1).map((it) => it.want),
          ...chunksBehind(tree, entry, offset + length, aheadCount(piece, offset)).map(
            (it) => it.want,
          ),
        ];
        shelf.expect?.(ahead);
        return { kind: 'miss', want: piece.want, ahead };
      }
      read += got;
      if (got < piece.length) return failure(errno.EIO, tooShort(piece));
    }
    return done(read);
  });
}

// Opening an object may mean to read all of it (it is hashed again after a restart of the machine): that
// is done ahead only where it takes no longer than a client waits anyway.
const preparedBytes = 4 * 1024 * 1024;

/** Opens the object in which a file begins, if it is here, so that the first read finds it open. */
export function prepareContent(tree: Tree, shelf: Shelf, node: NodeId): void {
  const entry = tree.entry(node);
  if (entry.kind !== 'done' || entry.value.type !== 'file') return;
  const first = firstWant(tree, entry.value);
  if (first !== undefined && first.size.bytes <= preparedBytes) shelf.prepare?.(first);
}

/** The object in which a file begins; undefined: it is empty, or its rows are damaged or not here. */
export function firstWant(tree: Tree, entry: Entry): Want | undefined {
  const pieces = wantsForRange(tree, entry, 0, 1);
  return pieces.kind === 'done' ? pieces.value[0]?.want : undefined;
}

/** What is on the shelf has its promised size; were it not so, the rest would land at the wrong place. */
function tooShort({ want }: Piece): PinfsError {
  const object = objectText(want.object);
  return new PinfsError('OBJECT_SIZE_MISMATCH', `${object} in the cache is shorter than promised`);
}

/** Chunks behind the range to fetch with it, for a reader who goes on in order. */
const chunksAhead = 4;

/**
 * Who reads in order comes to a chunk at its begin; who jumps about seldom does. The begin of the
 * file is often all that is looked at.
 */
function aheadCount(first: Piece, offset: number): number {
  if (first.position !== 0) return 0;
  return offset === 0 ? 1 : chunksAhead;
}
