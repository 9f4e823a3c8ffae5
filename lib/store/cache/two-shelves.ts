import type { Shelf } from '../shelf.js';

/**
 * A shelf over two, each of which may come to be at any time: what the cache lacks is looked for in the spare, which has
 * what could not be put into the cache.
 */
export function withSpare(
  findCache: () => Shelf | undefined,
  findSpare: () => Shelf | undefined,
): Shelf {
  let [cache, spare]: (Shelf | undefined)[] = [];
  let giver: Shelf | undefined;

  function either<T>(ask: (shelf: Shelf) => T | undefined): T | undefined {
    cache = findCache();
    const found = cache && ask((giver = cache));
    if (found !== undefined) return found;
    spare = findSpare();
    return spare && ask((giver = spare));
  }

  return {
    read: (want, position, length, target, targetOffset) =>
      either((shelf) => shelf.read(want, position, length, target, targetOffset)),
    path: (want) => either((shelf) => shelf.path(want)),
    // Asked behind `path`, about what that gave.
    stillThere: () => giver?.stillThere?.() ?? true,
    descriptor: (want) => either((shelf) => shelf.descriptor(want)),
    has: (want) => either((shelf) => shelf.has(want) || undefined) === true,
    // Where nothing passed through the spare so far, it isn't looked for: this is asked for many at once.
    isRecorded: (want) =>
      findCache()?.isRecorded?.(want) === true || spare?.isRecorded?.(want) === true,
    prepare: (want) => findCache()?.prepare?.(want),
    letGo: (keys) => findCache()?.letGo?.(keys),
    recentUses: () => findCache()?.recentUses?.() ?? new Map<number, number>(),
    beginRun: (operation) => findCache()?.beginRun(operation),
    close() {
      try {
        findCache()?.close();
      } finally {
        spare?.close();
      }
    },
  };
}
