/**
 * Which mirror is asked through which proxy. No clock, no network and no chance of its own: times are milliseconds
 * of whoever calls, chance is handed in.
 */

/** One mirror through one proxy (or directly), by their places in the lists of the plan. */
export interface Way {
  readonly mirror: number;
  readonly hop: number;
}

export interface Plan {
  readonly mirrors: number;
  /** The groups of hops that each mirror may be reached by, in the order of preference. */
  readonly groups: readonly (readonly (readonly number[])[])[];
  /** Spread the objects over a group, each always through the same proxy; else one of it, drawn at random. */
  readonly shard: boolean;
  /** Milliseconds after which what failed is preferred again; 0: as soon as it has answered. */
  readonly hopResetAfter: number;
  readonly mirrorResetAfter: number;
}

/** Who may be at fault when a way fails. */
export type Fault = 'mirror' | 'hop' | 'either';

/** What one request has met so far. */
export interface Met {
  /** Ways that failed, each time they did. */
  readonly failed: readonly Way[];
  /** Mirrors that said that it isn't there. */
  readonly missing: ReadonlySet<number>;
  /** Ways on which something else came than was asked for. */
  readonly damaged: readonly Way[];
}

export const nothingMet: Met = { failed: [], missing: new Set(), damaged: [] };

/** What is asked from now on, unless a request has met something. */
export interface Change {
  readonly from: Way;
  readonly to: Way;
  /** Everything else fails as well: what failed longest ago is tried again. */
  readonly isLast: boolean;
}

export interface Failover {
  /** Every way that is allowed. */
  readonly ways: readonly Way[];
  /** Which way is next for an object; undefined: everywhere it is missing, or something else. */
  pick(key: string, met: Met, now: number): Way | undefined;
  /** A way failed. @returns the change of what is asked first, if that is one. */
  failed(way: Way, fault: Fault, now: number): Change | undefined;
  /** One part of a way is well: it answered. */
  answered(way: Way, part: Fault, now: number): Change | undefined;
  /** A mirror answered through whatever is between, so many milliseconds after it was asked. */
  measured(mirror: number, milliseconds: number, now: number): Change | undefined;
  current(now: number): Way;
  /** The order in which mirrors are asked now. */
  order(now: number): readonly number[];
}

interface Part {
  /** When it failed last, unless it has answered since. */
  failedAt: number | undefined;
}

// A mirror that answers this much sooner goes before the others (factor, milliseconds).
const soonerFactor = 2;
const soonerMsMin = 10;
const smoothing = 0.3;

/** @param random from 0 to 1 */
export function openFailover(plan: Plan, random: () => number): Failover {
  const mirrors: Part[] = Array.from({ length: plan.mirrors }, () => ({ failedAt: undefined }));
  const hopCount = Math.max(-1, ...plan.groups.flat(2)) + 1;
  const hops: Part[] = Array.from({ length: hopCount }, () => ({ failedAt: undefined }));
  // Drawn once: the same proxy serves all that one process asks for.
  const draws = hops.map(() => random());
  const times = new Map<number, number>();
  let first: number | undefined;
  const ways = plan.groups.flatMap((groups, mirror) =>
    groups.flat().map((hop): Way => ({ mirror, hop })),
  );
  let known = ways[0] ?? { mirror: 0, hop: 0 };

  const isOut = (part: Part | undefined, resetAfter: number, now: number): boolean => {
    if (part?.failedAt === undefined) return false;
    // A clock that was set back must not lengthen it.
    const ago = now - part.failedAt;
    return resetAfter === 0 || (ago >= 0 && ago < resetAfter);
  };
  const mirrorOut = (mirror: number, now: number): boolean =>
    isOut(mirrors[mirror], plan.mirrorResetAfter, now);
  const hopOut = (hop: number, now: number): boolean => isOut(hops[hop], plan.hopResetAfter, now);
  const failedAt = (way: Way, now: number): number =>
    Math.max(
      mirrorOut(way.mirror, now) ? (mirrors[way.mirror]?.failedAt ?? 0) : -Infinity,
      hopOut(way.hop, now) ? (hops[way.hop]?.failedAt ?? 0) : -Infinity,
    );
  const draw = (hop: number, key: string): number =>
    plan.shard ? spread(`${key} ${hop}`) : (draws[hop] ?? 0);
  const mirrorPlace = (mirror: number): number => (mirror === first ? -1 : mirror);

  /** Smaller is better, from left to right. */
  const rank = (way: Way, key: string, met: Met, now: number): number[] => {
    const groups = plan.groups[way.mirror] ?? [];
    const last = met.damaged.at(-1);
    return [
      met.failed.filter((one) => isSame(one, way)).length,
      // Another proxy first, then another mirror.
      last !== undefined && last.mirror !== way.mirror ? 1 : 0,
      Number(mirrorOut(way.mirror, now)) + Number(hopOut(way.hop, now)),
      failedAt(way, now),
      groups.findIndex((group) => group.includes(way.hop)),
      mirrorPlace(way.mirror),
      draw(way.hop, key),
    ];
  };
  const pick = (key: string, met: Met, now: number): Way | undefined => {
    let best: { way: Way; rank: number[] } | undefined;
    for (const way of ways) {
      if (met.missing.has(way.mirror) || met.damaged.some((one) => isSame(one, way))) continue;
      const ranked = rank(way, key, met, now);
      if (best === undefined || isLess(ranked, best.rank)) best = { way, rank: ranked };
    }
    return best?.way;
  };
  const current = (now: number): Way => pick('', nothingMet, now) ?? known;
  /** What is asked first may have changed, also by the time. */
  const change = (now: number): Change | undefined => {
    const [from, to] = [known, current(now)];
    if (isSame(from, to)) return undefined;
    known = to;
    return { from, to, isLast: mirrorOut(to.mirror, now) || hopOut(to.hop, now) };
  };
  known = current(0);
  return {
    ways,
    pick,
    current,
    failed(way, fault, now) {
      if (fault !== 'hop') fail(mirrors[way.mirror], now);
      if (fault !== 'mirror') fail(hops[way.hop], now);
      return change(now);
    },
    answered(way, part, now) {
      if (part !== 'hop') clear(mirrors[way.mirror]);
      if (part !== 'mirror') clear(hops[way.hop]);
      return change(now);
    },
    measured(mirror, milliseconds, now) {
      const before = times.get(mirror) ?? milliseconds;
      times.set(mirror, before + (milliseconds - before) * smoothing);
      const holder = first ?? 0;
      const best = [...times].sort((a, b) => a[1] - b[1])[0];
      const held = times.get(holder);
      if (best !== undefined && held !== undefined && best[0] !== holder) {
        const isSooner = best[1] * soonerFactor < held && held - best[1] >= soonerMsMin;
        if (isSooner) first = best[0];
      }
      return change(now);
    },
    order(now) {
      return mirrors
        .map((_, mirror) => mirror)
        .sort(
          (a, b) =>
            Number(mirrorOut(a, now)) - Number(mirrorOut(b, now)) ||
            mirrorPlace(a) - mirrorPlace(b),
        );
    },
  };
}

function fail(part: Part | undefined, now: number): void {
  if (part !== undefined) part.failedAt = now;
}

function clear(part: Part | undefined): void {
  if (part !== undefined) part.failedAt = undefined;
}

export function isSame(a: Way, b: Way): boolean {
  return a.mirror === b.mirror && a.hop === b.hop;
}

function isLess(a: readonly number[], b: readonly number[]): boolean {
  for (const [at, value] of a.entries()) {
    const other = b[at] ?? 0;
    if (value !== other) return value < other;
  }
  return false;
}

/** The same number for the same text on every machine, evenly spread (FNV-1a, mixed). */
function spread(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at++) {
    hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return (hash ^ (hash >>> 15)) >>> 0;
}
