/**
 * Which objects of a cache go first, and how a use is written down. Times are microseconds since any moment. Each rule
 * stands here twice, as a function and as an expression of SQL over the columns of `objects`, made of the same constants:
 * the cache keeps its records in SQLite, a replay of what it would do in memory.
 */
export interface EvictionPolicy {
  /** What stands in `used` for an object that is new at this time. */
  readonly firstUse: (isCatalog: boolean, now: number, isVolatile: boolean) => number;
  /** What stands in `used` after a use at this time. */
  readonly nextUse: (used: number, now: number) => number;
  /** By what they go, the lowest first. */
  readonly rank: (used: number, isCatalog: boolean) => number;
  /** `nextUse` has the time as `?`. */
  readonly sql: { readonly nextUse: string; readonly rank: string };
}

// Earlier than any other use (µs): what is volatile counts as used before 1970, and goes first.
const volatileShiftUs = 2 ** 51;

// Everything below catalogs and histories hangs on them: they count as used a week later (µs).
const catalogBonusUs = 7 * 24 * 3600 * 1_000_000;

/** Whether a key of the cache is one of a catalog or history. */
export function isCatalogKey(key: string): boolean {
  return /[CH]$/.test(key);
}

/**
 * What was not used for longest goes first: of a volatile repository before all others (of it only content counts as
 * volatile), and content before catalogs (docs/decisions/004).
 */
export const leastRecentlyUsed: EvictionPolicy = {
  firstUse: (isCatalog, now, isVolatile) => now - (isVolatile && !isCatalog ? volatileShiftUs : 0),
  nextUse: (used, now) => Math.max(used, now - (used < 0 ? volatileShiftUs : 0)),
  rank: (used, isCatalog) => used + (isCatalog ? catalogBonusUs : 0),
  sql: {
    nextUse: `max(used, ? - ${volatileShiftUs} * (used < 0))`,
    rank: `used + (key GLOB '*[CH]') * ${catalogBonusUs}`,
  },
};
