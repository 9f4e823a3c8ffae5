import { idle } from './always-miss.js';
import type { Shelf } from '../shelf.js';
import { wantKey, type Want } from '../want.js';

/** Objects that were found, and that had to be fetched. */
export interface Lookups {
  readonly hits: number;
  readonly misses: number;
}

/** The share of lookups that were hits, 0 to 1; undefined before the first lookup. */
export function hitRate({ hits, misses }: Lookups): number | undefined {
  const all = hits + misses;
  return all === 0 ? undefined : hits / all;
}

// Objects of which is known where they were read last, and which of them were fetched, or asked for ahead.
const keysKept = 4096;

/** `begin`: a read of its first byte. `within`: a read behind it, or a look at what is open anyway. */
type How = 'begin' | 'within' | 'whole';

/**
 * A shelf that counts what is found, by what clients do: one operation looks up an object once, however
 * often it is run again; what had to be fetched, or is being fetched ahead, is no hit for whom it came; and
 * a file that is read in pieces is looked up when it is begun, not at each piece. What is not found is
 * counted by who fetches it.
 */
export function countedShelf(shelf: Shelf): Shelf {
  const expected = new Set<string>();
  const isUse = openUses();
  const lookedUp = new WeakMap<object, Set<string>>();
  let operation: object = idle;
  let inThis: Set<string> | undefined;
  let hits = 0;
  let catalogHits = 0;

  function isFirst(key: string): boolean {
    if (operation === idle) return true;
    if (inThis?.has(key) === true) return false;
    inThis = (inThis ?? new Set()).add(key);
    return true;
  }

  function count<T>(want: Want, how: How, found: T | undefined): T | undefined {
    const key = wantKey(want);
    const isNew = isFirst(key);
    const cameAhead = expected.size > 0 && expected.delete(key);
    if (found === undefined) {
      if (inThis === undefined) return undefined;
      lookedUp.set(operation, inThis);
      // Another operation may find what is fetched for this one, before this one is run again.
      addBounded(expected, key);
      return undefined;
    }
    if (isUse(key, how) && isNew && !cameAhead) {
      hits++;
      if (want.object.kind === 'catalog') catalogHits++;
    }
    return found;
  }

  return {
    get hits() {
      return hits;
    },
    get catalogHits() {
      return catalogHits;
    },
    read: (want, position, length, target, targetOffset) =>
      count(
        want,
        position === 0 ? 'begin' : 'within',
        shelf.read(want, position, length, target, targetOffset),
      ),
    path: (want) => count(want, 'whole', shelf.path(want)),
    stillThere: () => shelf.stillThere?.() ?? true,
    descriptor: (want) => count(want, 'within', shelf.descriptor(want)),
    has: (want) => count(want, 'whole', shelf.has(want) || undefined) === true,
    isRecorded: (want) => shelf.isRecorded?.(want) ?? false,
    prepare: (want) => shelf.prepare?.(want),
    letGo: (keys) => shelf.letGo?.(keys),
    recentUses: () => shelf.recentUses?.() ?? new Map<number, number>(),
    leaveCache: () => shelf.leaveCache?.(),
    expect(wants, isHere) {
      for (const want of wants) {
        if (isHere === undefined && shelf.isRecorded?.(want) === true) continue;
        addBounded(expected, wantKey(want));
      }
    },
    beginRun(begins) {
      operation = begins;
      inThis = begins === idle ? undefined : lookedUp.get(begins);
      shelf.beginRun(begins);
    },
    close: () => shelf.close(),
  };
}

/** Tells the uses of objects apart: a file that is read in pieces is used when it is begun. */
function openUses(): (key: string, how: How) => boolean {
  // Whether an object was read from its begin since it was first used.
  const begun = new Map<string, boolean>();
  return (key, how) => {
    const before = begun.get(key);
    const isNew = how === 'whole' || before === undefined || (how === 'begin' && before);
    const after = how === 'begin' || before === true;
    if (before === after) return isNew;
    if (before === undefined && begun.size >= keysKept) forgetOldest(begun);
    begun.set(key, after);
    return isNew;
  };
}

function addBounded(kept: Set<string>, key: string): void {
  if (kept.size >= keysKept) forgetOldest(kept);
  kept.add(key);
}

function forgetOldest(kept: { keys(): Iterator<string>; delete(key: string): boolean }): void {
  const first = kept.keys().next();
  if (first.done !== true) kept.delete(first.value);
}
