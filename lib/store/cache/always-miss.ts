import type { Shelf } from '../shelf.js';
import type { Want } from '../want.js';
import { wantKey } from '../want.js';

/** Given to `beginRun` when no operation runs: what is asked for then is not denied. */
export const idle: object = Object.freeze({});

/**
 * A shelf that pretends, once for each object and operation, that an object isn't here. The runs of
 * one operation are those begun with the same object. Makes whatever depends on luck show.
 */
export function alwaysMiss(shelf: Shelf): Shelf {
  const denied = new WeakMap<object, Set<string>>();
  let current: Set<string> | undefined;

  function denies(want: Want): boolean {
    if (current === undefined) return false;
    const key = wantKey(want);
    if (current.has(key)) return false;
    current.add(key);
    return true;
  }

  return {
    get hits() {
      return shelf.hits ?? 0;
    },
    get catalogHits() {
      return shelf.catalogHits ?? 0;
    },
    read: (want, position, length, target, targetOffset) =>
      denies(want) ? undefined : shelf.read(want, position, length, target, targetOffset),
    path: (want) => (denies(want) ? undefined : shelf.path(want)),
    stillThere: () => shelf.stillThere?.() ?? true,
    descriptor: (want) => (denies(want) ? undefined : shelf.descriptor(want)),
    has: (want) => !denies(want) && shelf.has(want),
    isRecorded: (want) => shelf.isRecorded?.(want) ?? false,
    expect: (wants, isHere) => shelf.expect?.(wants, isHere),
    prepare: (want) => shelf.prepare?.(want),
    letGo: (keys) => shelf.letGo?.(keys),
    recentUses: () => shelf.recentUses?.() ?? new Map<number, number>(),
    leaveCache: () => shelf.leaveCache?.(),
    beginRun(operation) {
      if (operation === idle) {
        current = undefined;
      } else {
        current = denied.get(operation) ?? new Set();
        denied.set(operation, current);
      }
      shelf.beginRun(operation);
    },
    close: () => shelf.close(),
  };
}
