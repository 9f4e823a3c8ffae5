import type { Shelf } from '../store/shelf.js';
import { done, type Outcome, andThen } from '../store/want.js';
import { openTree } from '../tree/open-tree.js';
import type { Tree } from '../tree/tree.js';
import type { Filesystem } from './filesystem.js';
import type { LiveFacts } from './live-facts.js';
import { openFilesystem } from './open-filesystem.js';
import type { Recipe } from './recipe.js';

export interface BuiltFilesystem {
  readonly filesystem: Filesystem;
  readonly tree: Tree;
  readonly close: () => void;
}

/**
 * Builds the filesystem of a snapshot over a shelf, in whatever thread this runs.
 * A Miss if the root catalog isn't on the shelf; a Failure if it can't be used.
 */
export function buildFilesystem(
  recipe: Recipe,
  shelf: Shelf,
  live: () => LiveFacts,
): Outcome<BuiltFilesystem> {
  return andThen(openTree(recipe.root, shelf, recipe.tree), (tree) =>
    done({
      filesystem: openFilesystem(tree, shelf, recipe.identity, live),
      tree,
      close: () => tree.close(),
    }),
  );
}
