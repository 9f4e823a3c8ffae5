import type { Shelf } from './shelf.js';

/** In the place of a cache that can't be opened. */
export const emptyShelf: Shelf = {
  read: () => undefined,
  path: () => undefined,
  descriptor: () => undefined,
  has: () => false,
  beginRun: () => undefined,
  close: () => undefined,
};

/** A shelf over two: what the first lacks is looked for on the spare one, which may come to be at any time. */
export function withSpare(first: Shelf, findSpare: () => Shelf | undefined): Shelf {
  let found: Shelf | undefined;
  const spare = (): Shelf | undefined => (found = findSpare());
  return {
    get hits() {
      return (first.hits ?? 0) + (found?.hits ?? 0);
    },
    read: (want, position, length, target, targetOffset) =>
      first.read(want, position, length, target, targetOffset) ??
      spare()?.read(want, position, length, target, targetOffset),
    path: (want) => first.path(want) ?? spare()?.path(want),
    stillThere: () => (first.stillThere?.() ?? true) && (found?.stillThere?.() ?? true),
    descriptor: (want) => first.descriptor(want) ?? spare()?.descriptor(want),
    has: (want) => first.has(want) || spare()?.has(want) === true,
    prepare: (want) => first.prepare?.(want),
    beginRun: (operation) => {
      first.beginRun(operation);
    },
    close() {
      first.close();
      found?.close();
    },
  };
}
