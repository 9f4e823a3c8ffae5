import type { Way } from '../failover/failover.js';
import type { Traffic, WayTraffic } from '../source.js';

/** Upper ends of the classes in which times to the first byte are counted (ms); above the last one there is one more. */
export const firstByteMsBounds = [
  5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000,
] as const;

/** Counts begin where a way is first asked. @param mirror without credentials. */
export function addWayTraffic(traffic: Traffic, mirror: string, proxy: string): WayTraffic {
  const way: WayTraffic = {
    mirror,
    proxy,
    requests: 0,
    bytes: 0,
    errors: {},
    firstBytes: [...firstByteMsBounds, Infinity].map(() => 0),
    firstByteMs: 0,
  };
  (traffic.ways ??= []).push(way);
  return way;
}

export function countFirstByte(way: WayTraffic, milliseconds: number): void {
  const above = firstByteMsBounds.findIndex((bound) => milliseconds <= bound);
  const index = above < 0 ? firstByteMsBounds.length : above;
  way.firstBytes[index] = (way.firstBytes[index] ?? 0) + 1;
  way.firstByteMs += milliseconds;
}

export function countWayError(way: WayTraffic, code: string): void {
  way.errors[code] = (way.errors[code] ?? 0) + 1;
}

/** The counts of each way, by its numbers. @param names the mirror and the proxy of a way */
export function openWayCounts(
  traffic: Traffic,
  names: (way: Way) => readonly [mirror: string, proxy: string],
): (way: Way) => WayTraffic {
  const known = new Map<string, WayTraffic>();
  return (way) => {
    const key = `${way.mirror} ${way.hop}`;
    const counts = known.get(key) ?? addWayTraffic(traffic, ...names(way));
    known.set(key, counts);
    return counts;
  };
}
