import { buildFilesystem, type BuiltFilesystem } from '../../filesystem/build.js';
import type { LiveFacts } from '../../filesystem/live-facts.js';
import type { Recipe } from '../../filesystem/recipe.js';
import { openShelf } from '../../store/disk-shelf.js';
import type { Outcome } from '../../store/want.js';

/**
 * Makes filesystems in the worker thread. A module of its own, named by the main thread, so that a
 * test can serve another one.
 */
export interface FilesystemMaker {
  readonly make: (
    recipe: Recipe,
    facts: () => LiveFacts,
    run: object,
  ) => Outcome<Pick<BuiltFilesystem, 'filesystem' | 'close'>>;
  readonly beginRun: (run: object) => void;
}

/** The maker over the cache directory that recipes name. */
export function openMaker(): FilesystemMaker {
  const shelves = new Map<string, ReturnType<typeof openShelf>>();
  return {
    make(recipe, facts, run) {
      const shelf = shelves.get(recipe.cacheDirectory) ?? openShelf(recipe.cacheDirectory);
      shelves.set(recipe.cacheDirectory, shelf);
      shelf.beginRun(run);
      return buildFilesystem(recipe, shelf, facts);
    },
    beginRun(run) {
      for (const shelf of shelves.values()) shelf.beginRun(run);
    },
  };
}
