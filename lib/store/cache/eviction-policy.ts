/**
 * Which objects of a cache go first, which may go at all, and how a use is written down. Times are microseconds since
 * 1970. The parts in SQL are expressions over the columns of `objects`, and constants of this program.
 */
export interface EvictionPolicy {
  /** What stands in `used` for an object that is new at this time. */
  readonly firstUse: (key: string, now: number, isVolatile: boolean) => number;
  /** SQL: what stands in `used` after a use at `?`. */
  readonly nextUse: string;
  /** SQL: by what they go, the lowest first. */
  readonly rank: string;
  /** SQL: what may go. */
  readonly removable: string;
}

// Earlier than any other use (µs): what is volatile counts as used before 1970, and goes first.
const volatileShiftUs = 2 ** 51;

// Everything below catalogs and histories hangs on them: they count as used a week later (µs).
const catalogBonusUs = 7 * 24 * 3600 * 1_000_000;

/**
 * What was not used for longest goes first: of a volatile repository before all others (of it only content counts as
 * volatile), and content before catalogs (docs/decisions/004). What is held or kept stays.
 */
export const leastRecentlyUsed: EvictionPolicy = {
  firstUse: (key, now, isVolatile) =>
    now - (isVolatile && !/[CH]$/.test(key) ? volatileShiftUs : 0),
  nextUse: `max(used, ? - ${volatileShiftUs} * (used < 0))`,
  rank: `used + (key GLOB '*[CH]') * ${catalogBonusUs}`,
  removable: 'key NOT IN (SELECT key FROM holds) AND key NOT IN (SELECT key FROM kept)',
};
