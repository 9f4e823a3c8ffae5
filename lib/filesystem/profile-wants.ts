import type { FirstUse } from '../profile/profile.js';
import { andThen, done, type Outcome, type Want } from '../store/want.js';
import { wantsForRange } from '../tree/content.js';
import type { Chunk, Entry } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';

/** An object that a use of a profile means in a tree. */
export interface MetUse {
  readonly entry: Entry;
  readonly want: Want;
  /** Where in the file it begins (bytes). */
  readonly offset: number;
  /** It is not the content that was learned. */
  readonly isChanged: boolean;
}

/**
 * Looks a use up in the tree: what is not there, or has no such object, is undefined. A Miss names the catalog that is
 * lacking, which is also what is to be fetched for a use that is a catalog. Nothing but what the tree names comes out.
 */
export function meetUse(tree: Tree, use: FirstUse): Outcome<MetUse | undefined> {
  return andThen(tree.resolve(use.path), (entry) => {
    if (use.kind === 'catalog') {
      if (entry.type !== 'directory') return done(undefined);
      // Its rows are what a catalog is for: with them comes a Miss that names it.
      return andThen(tree.list(entry.node, 0, 1), () => done(undefined));
    }
    if (entry.type !== 'file' || entry.size === 0) return done(undefined);
    if (entry.content?.chunked !== true) return metAt(tree, entry, 0, use);
    return andThen(tree.chunks(entry.node), (chunks) => {
      const chunk = chunkOf(chunks, use);
      return chunk === undefined ? done(undefined) : metAt(tree, entry, chunk.offset, use);
    });
  });
}

/** The chunk that was learned; where the file has changed, the one at its place. */
function chunkOf(chunks: readonly Chunk[], { chunk, fingerprint }: FirstUse): Chunk | undefined {
  const same = chunks.find(({ object }) => object.hash.text.startsWith(fingerprint));
  return same ?? chunks[Math.max(0, chunk - 1)];
}

function metAt(
  tree: Tree,
  entry: Entry,
  offset: number,
  { fingerprint }: FirstUse,
): Outcome<MetUse | undefined> {
  return andThen(wantsForRange(tree, entry, offset, 1), ([piece]) => {
    if (piece === undefined) return done(undefined);
    const { want } = piece;
    return done({ entry, want, offset, isChanged: !want.object.hash.text.startsWith(fingerprint) });
  });
}
