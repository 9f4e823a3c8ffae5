import { isSame, type Way } from '../failover/failover.js';

/** Who asked to be left alone for a while (Retry-After): that counts for all that would be asked of him. */
export interface Rests {
  /** @param until milliseconds, as `now` below */
  note(way: Way, until: number): void;
  /** He answered what was asked. */
  over(way: Way): void;
  /** Milliseconds that are left; 0: he may be asked. */
  left(way: Way, now: number): number;
  /** All that are to be left alone now. */
  ways(now: number): readonly Way[];
}

export function openRests(): Rests {
  let resting: readonly { readonly way: Way; readonly until: number }[] = [];
  const without = (way: Way) => resting.filter((one) => !isSame(one.way, way));
  return {
    note(way, until) {
      resting = [...without(way), { way, until }];
    },
    over(way) {
      if (resting.length > 0) resting = without(way);
    },
    left(way, now) {
      const one = resting.find((known) => isSame(known.way, way));
      return one === undefined ? 0 : Math.max(0, one.until - now);
    },
    ways(now) {
      if (resting.length > 0) resting = resting.filter(({ until }) => until > now);
      return resting.map(({ way }) => way);
    },
  };
}
