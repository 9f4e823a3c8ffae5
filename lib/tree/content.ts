import { errno } from '../format/errno.js';
import { damage } from './catalog/damage.js';
import { done, type Outcome, type Want, failure } from '../store/want.js';
import type { Content } from '../format/catalog-row.js';
import type { Chunk, Entry } from './entry.js';
import { printable } from '../format/bytes.js';
import type { Tree } from './tree.js';

/** A part of a range: `length` bytes at `position` of an object. The parts follow each other without a gap. */
export interface Piece {
  readonly want: Want;
  readonly position: number;
  readonly length: number;
}

/**
 * The objects in which a range of a regular file lies, in order, clipped at the file's end. Nothing
 * for an empty range: an empty file needs no object.
 * Failure: EISDIR or EINVAL for what is no regular file, EIO for a damaged row or chunk list.
 */
export function wantsForRange(
  tree: Tree,
  entry: Entry,
  offset: number,
  length: number,
): Outcome<readonly Piece[]> {
  if (entry.broken !== undefined) return failure(errno.EIO, entry.broken);
  if (entry.type !== 'file')
    return failure(entry.type === 'directory' ? errno.EISDIR : errno.EINVAL);
  const { content } = entry;
  const end = Math.min(offset + length, entry.size);
  if (content === undefined)
    return damage('CATALOG_SCHEMA', `${printable(entry.path)} has no content`);
  if (offset < 0 || !(offset < end)) return done([]);
  if (!content.chunked) {
    const want = wholeWant(entry, content);
    if (want === undefined)
      return damage('CATALOG_SCHEMA', `${printable(entry.path)} has no content hash`);
    return done([{ want, position: offset, length: end - offset }]);
  }
  const list = tree.chunks(entry.node);
  if (list.kind !== 'done') return list;
  const pieces: Piece[] = [];
  for (let index = chunkAt(list.value, offset); index < list.value.length; index++) {
    const chunk = list.value[index];
    if (chunk === undefined || chunk.offset >= end) break;
    const from = Math.max(offset, chunk.offset);
    const until = Math.min(end, chunk.offset + chunk.size);
    pieces.push({
      want: chunkWant(entry, content, chunk),
      position: from - chunk.offset,
      length: until - from,
    });
  }
  return done(pieces);
}

/** Up to `count` chunks behind a range that ends at `offset`, in order: what a sequential reader needs next. */
export function chunksBehind(
  tree: Tree,
  entry: Entry,
  offset: number,
  count: number,
): readonly { readonly offset: number; readonly want: Want }[] {
  const { content } = entry;
  if (content?.chunked !== true || entry.broken !== undefined || offset >= entry.size) return [];
  const list = tree.chunks(entry.node);
  if (list.kind !== 'done') return [];
  const index = chunkAt(list.value, offset);
  const first = list.value[index]?.offset === offset ? index : index + 1;
  return list.value
    .slice(first, first + count)
    .map((chunk) => ({ offset: chunk.offset, want: chunkWant(entry, content, chunk) }));
}

/** The object of a file that is stored whole; undefined: it has none. */
export function wholeWant(entry: Pick<Entry, 'path' | 'size'>, content: Content): Want | undefined {
  if (content.hash === undefined) return undefined;
  return {
    object: { hash: content.hash, kind: 'data' },
    compression: content.compression,
    size: { kind: 'exact', bytes: entry.size },
    path: entry.path,
    ...(content.external && { external: { path: content.externalPath ?? entry.path } }),
  };
}

/** The object of one chunk; of an external file a range of the whole (docs/format.md, 2.5). */
export function chunkWant(entry: Pick<Entry, 'path'>, content: Content, chunk: Chunk): Want {
  const range = { offset: chunk.offset, length: chunk.size };
  return {
    object: chunk.object,
    compression: content.compression,
    size: { kind: 'exact', bytes: chunk.size },
    path: entry.path,
    ...(content.external && { external: { path: content.externalPath ?? entry.path, range } }),
  };
}

/** Index of the last chunk that begins at or before an offset. The list begins at 0. */
function chunkAt(chunks: readonly Chunk[], offset: number): number {
  let low = 0;
  let high = chunks.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if ((chunks[middle]?.offset ?? Infinity) <= offset) low = middle;
    else high = middle - 1;
  }
  return low;
}
