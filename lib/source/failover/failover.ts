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

/** In which order what a plan has is preferred. */
export interface Arrangement {
  /** The mirrors that are asked, by their numbers; one that is left out is not asked any more. */
  readonly order: readonly number[];
  /** Whether a mirror that answers much sooner goes before the others. */
  readonly byTimes: boolean;
  /** In place of the groups of the plan. */
  readonly groups: Plan['groups'];
}

export interface Failover {
  /** Every way that is allowed, in the order of preference of the mirrors. */
  readonly ways: readonly Way[];
  /** From now on. What is known of mirrors and hops stays. */
  arrange(arrangement: Arrangement, now: number): Change | undefined;
  /** The mirrors that are asked, the preferred one first. */
  readonly order: readonly number[];
  /** Milliseconds in which mirrors answer, as far as they were asked for the same. */
  readonly times: ReadonlyMap<number, number>;
  /** Which way is next for an object; undefined: everywhere it is missing, or something else. */
  pick(key: string, met: Met, now: number): Way | undefined;
  /** A way failed. @returns the change of what is asked first, if that is one. */
  failed(way: Way, fault: Fault, now: number): Change | undefined;
  /** A way answered what was asked at `asked`: what failed before that is well. */
  answered(way: Way, asked: number, now: number): Change | undefined;
  /** Ways by which it shows who was at fault, where either may have been: each clears one part of the way that failed. */
  probes(way: Way, now: number): readonly Probe[];
  /** A probe was answered. What is cleared too often and fails all the same is believed no more for a while. */
  cleared(probe: Probe, now: number): Change | undefined;
  /** A mirror answered through whatever is between, so many milliseconds after it was asked. */
  measured(mirror: number, milliseconds: number, now: number): Change | undefined;
  current(now: number): Way;
}

export interface Probe {
  readonly way: Way;
  readonly clears: 'mirror' | 'hop';
}

interface Part {
  /** When it failed last, unless it has answered since. */
  failedAt: number | undefined;
  /** When probes cleared it, as far as that counts. */
  clearedAt: readonly number[];
}

const newPart = (): Part => ({ failedAt: undefined, clearedAt: [] });

const clearingsMax = 2;

// A mirror that answers this much sooner goes before the others (factor, milliseconds).
const soonerFactor = 2;
const soonerMsMin = 50;
// The least time counts, since this machine may be busy; a longer one only by and by.
const smoothing = 0.1;

/** @param random from 0 to 1 */
export function openFailover(plan: Plan, random: () => number): Failover {
  return new PlannedFailover(plan, random);
}

class PlannedFailover implements Failover {
  ways: readonly Way[] = [];
  order: readonly number[];
  readonly times = new Map<number, number>();
  readonly #plan: Plan;
  readonly #random: () => number;
  readonly #mirrors: readonly Part[];
  readonly #hops: Part[] = [];
  /** One for each hop, drawn once: the same proxy serves all that one process asks for. */
  readonly #draws: number[] = [];
  #groups: Plan['groups'];
  #byTimes = true;
  /** What was asked first when that was looked at last. */
  #known: Way;

  constructor(plan: Plan, random: () => number) {
    this.#plan = plan;
    this.#random = random;
    this.#groups = plan.groups;
    this.#mirrors = Array.from({ length: plan.mirrors }, newPart);
    this.order = [...this.#mirrors.keys()];
    this.#take();
    this.#known = this.ways[0] ?? { mirror: 0, hop: 0 };
    this.#known = this.current(0);
  }

  arrange({ order, byTimes, groups }: Arrangement, now: number): Change | undefined {
    this.order = order;
    this.#byTimes = byTimes;
    this.#groups = groups;
    this.#take();
    return this.#change(now);
  }

  #take(): void {
    const count = Math.max(-1, ...this.#groups.flat(2)) + 1;
    while (this.#hops.length < count) {
      this.#hops.push(newPart());
      this.#draws.push(this.#random());
    }
    this.ways = this.order.flatMap((mirror) =>
      (this.#groups[mirror] ?? []).flat().map((hop): Way => ({ mirror, hop })),
    );
  }

  pick(key: string, met: Met, now: number): Way | undefined {
    let best: { readonly way: Way; readonly rank: readonly number[] } | undefined;
    for (const way of this.ways) {
      if (met.missing.has(way.mirror) || met.damaged.some((one) => isSame(one, way))) continue;
      const rank = this.#rank(way, key, met, now);
      if (best === undefined || isLess(rank, best.rank)) best = { way, rank };
    }
    return best?.way;
  }

  current(now: number): Way {
    return this.pick('', nothingMet, now) ?? this.#known;
  }

  failed(way: Way, fault: Fault, now: number): Change | undefined {
    const isMirrorOut = this.#isMirrorOut(way.mirror, now);
    const isHopOut = this.#isHopOut(way.hop, now);
    // Of one that failed before it is no news, and nothing is said of the other.
    const isKnown = fault === 'either' && isMirrorOut !== isHopOut;
    if (isKnown ? isMirrorOut : fault !== 'hop') fail(this.#mirrors[way.mirror], now);
    if (isKnown ? isHopOut : fault !== 'mirror') fail(this.#hops[way.hop], now);
    return this.#change(now);
  }

  answered(way: Way, asked: number, now: number): Change | undefined {
    for (const part of [this.#mirrors[way.mirror], this.#hops[way.hop]]) {
      if (part?.failedAt !== undefined && part.failedAt <= asked) part.failedAt = undefined;
    }
    return this.#change(now);
  }

  probes(way: Way, now: number): readonly Probe[] {
    const through = (clears: Probe['clears'], isOne: (one: Way) => boolean): Probe[] => {
      const damaged = this.ways.filter((one) => isSame(one, way) || !isOne(one));
      const best = this.pick('', { ...nothingMet, damaged }, now);
      return best === undefined ? [] : [{ way: best, clears }];
    };
    return [
      ...through('mirror', ({ mirror }) => mirror === way.mirror),
      ...through('hop', ({ hop }) => hop === way.hop),
    ];
  }

  cleared({ way, clears }: Probe, now: number): Change | undefined {
    const { hopResetAfter, mirrorResetAfter } = this.#plan;
    const isHop = clears === 'hop';
    const part = isHop ? this.#hops[way.hop] : this.#mirrors[way.mirror];
    const resetAfter = isHop ? hopResetAfter : mirrorResetAfter;
    if (part?.failedAt === undefined) return undefined;
    const before = part.clearedAt.filter((at) => resetAfter === 0 || now - at < resetAfter);
    if (before.length >= clearingsMax) return undefined;
    part.clearedAt = [...before, now];
    part.failedAt = undefined;
    return this.#change(now);
  }

  measured(mirror: number, milliseconds: number, now: number): Change | undefined {
    const before = this.times.get(mirror) ?? milliseconds;
    this.times.set(mirror, Math.min(milliseconds, before + (milliseconds - before) * smoothing));
    if (this.#byTimes) {
      this.order = sooner(this.order, this.times);
      this.#take();
    }
    return this.#change(now);
  }

  /** What is asked first may have changed, also by the time. */
  #change(now: number): Change | undefined {
    const from = this.#known;
    const to = this.current(now);
    if (isSame(from, to)) return undefined;
    this.#known = to;
    return { from, to, isLast: this.#isMirrorOut(to.mirror, now) || this.#isHopOut(to.hop, now) };
  }

  /** Smaller is better, from left to right. */
  #rank(way: Way, key: string, met: Met, now: number): number[] {
    const groups = this.#groups[way.mirror] ?? [];
    const last = met.damaged.at(-1);
    const isMirrorOut = this.#isMirrorOut(way.mirror, now);
    const isHopOut = this.#isHopOut(way.hop, now);
    return [
      met.failed.filter((one) => isSame(one, way)).length,
      // Another proxy first, then another mirror.
      Number(last !== undefined && last.mirror !== way.mirror),
      Number(isMirrorOut) + Number(isHopOut),
      // What failed longest ago.
      Math.max(
        isMirrorOut ? (this.#mirrors[way.mirror]?.failedAt ?? 0) : -Infinity,
        isHopOut ? (this.#hops[way.hop]?.failedAt ?? 0) : -Infinity,
      ),
      groups.findIndex((group) => group.includes(way.hop)),
      this.order.indexOf(way.mirror),
      this.#plan.shard ? spread(`${key} ${way.hop}`) : (this.#draws[way.hop] ?? 0),
    ];
  }

  #isMirrorOut(mirror: number, now: number): boolean {
    return isOut(this.#mirrors[mirror], this.#plan.mirrorResetAfter, now);
  }

  #isHopOut(hop: number, now: number): boolean {
    return isOut(this.#hops[hop], this.#plan.hopResetAfter, now);
  }
}

/**
 * The same mirrors with those that answer much sooner before others; for a little nothing changes its place. Mirrors of
 * which no time is known stay where they are among the others.
 */
export function sooner(
  order: readonly number[],
  times: ReadonlyMap<number, number>,
): readonly number[] {
  const left = [...order];
  const timeOf = (mirror: number): number => times.get(mirror) ?? NaN;
  return order.map((_, at) => {
    const first = left[0] ?? at;
    const isSooner = (one: number): boolean =>
      timeOf(one) * soonerFactor < timeOf(first) && timeOf(first) - timeOf(one) >= soonerMsMin;
    const [best = first] = left.filter(isSooner).sort((a, b) => timeOf(a) - timeOf(b));
    left.splice(left.indexOf(best), 1);
    return best;
  });
}

function isOut(part: Part | undefined, resetAfter: number, now: number): boolean {
  if (part?.failedAt === undefined) return false;
  // A clock that was set back must not lengthen it.
  const ago = now - part.failedAt;
  return resetAfter === 0 || (ago >= 0 && ago < resetAfter);
}

function fail(part: Part | undefined, now: number): void {
  if (part !== undefined) part.failedAt = now;
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
