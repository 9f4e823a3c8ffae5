import type { Dispatcher } from 'undici';
import { PinfsError } from '../../format/errors.js';
import {
  openFailover,
  type Change,
  type Failover,
  type Plan,
  type Way,
} from '../failover/failover.js';
import { direct, hopLabel, type Hop } from '../failover/proxies.js';
import { openNames, type Names } from '../names/names.js';
import type { Address } from '../names/resolver.js';
import type { Traffic, WayTraffic } from '../source.js';
import { parseBase, show, type Base } from './base.js';
import { openConnections } from './connections.js';
import type { HttpOptions, HttpSettings } from './settings.js';
import { watchNetwork } from './kept-connections.js';
import { openRests, type Rests } from './rests.js';
import { openWayCounts } from './way-traffic.js';

/** The servers of one repository, what lies between, and the connections to them. */
export interface Network {
  readonly bases: readonly Base[];
  /** The groups of hops that each server may be reached by, by their numbers. */
  readonly groups: Plan['groups'];
  readonly failover: Failover;
  readonly rests: Rests;
  /** Every server that was asked so far. */
  readonly origins: Set<string>;
  readonly names: Names;
  /** How often this machine was found with other addresses, or back from a suspend. */
  readonly moves: () => number;
  hop(way: Way): Hop;
  /** The number of the same proxy by one of its addresses. */
  hopTo(hop: number, address: Address): number;
  dispatcher(hop: Hop, origin: string): Dispatcher;
  /** For people: the server and what it is asked through. */
  label(way: Way): string;
  /** The counts of a way. */
  counts(way: Way): WayTraffic;
  /** Tells of a change; one that nothing failed for is for logs alone (`passing`). */
  changed(change: Change | undefined, why: string, isGood?: boolean): void;
  close(): Promise<void>;
}

const directHop: Hop = { kind: 'direct' };
// A list of more than these is no list of a site.
const mirrorsMax = 64;

function countMoves(hasChanged: () => boolean) {
  let moves = 0;
  return {
    count: () => moves,
    hasChanged: (): boolean => {
      const isOther = hasChanged();
      if (isOther) moves++;
      return isOther;
    },
  };
}

/** @throws PinfsError USAGE, PROXY_MALFORMED. */
export function openNetwork(
  text: string,
  settings: HttpSettings,
  options: HttpOptions,
  traffic: Traffic,
  hasChanged = watchNetwork(),
): Network {
  const urls = [...new Set([text, ...(options.mirrors ?? [])])];
  if (urls.length > mirrorsMax)
    throw new PinfsError('USAGE', `there are more than ${mirrorsMax} mirrors`);
  const bases = urls.map(parseBase);
  const { hops, groups, numberOf } = numbered(urls, options);
  const names = openNames(options.names ?? {}, () => performance.now());
  const { shard, hopResetAfter, mirrorResetAfter } = settings;
  const plan = { mirrors: bases.length, groups, shard, hopResetAfter, mirrorResetAfter };
  const failover = openFailover(plan, Math.random);
  const moves = countMoves(hasChanged);
  const connections = openConnections(settings, names, moves.hasChanged);
  const origins = new Set<string>();
  const counts = openWayCounts(traffic, ({ mirror, hop }) => {
    const base = bases[mirror];
    return [base === undefined ? '' : show(base), hopLabel(hops[hop] ?? directHop)];
  });
  let isLast = false;
  const network: Network = {
    bases,
    groups,
    failover,
    rests: openRests(),
    origins,
    names,
    moves: moves.count,
    hop: (way) => hops[way.hop] ?? directHop,
    hopTo(hop, { address }) {
      const proxy = hops[hop] ?? directHop;
      return proxy.kind === 'direct' ? hop : numberOf({ ...proxy, address });
    },
    dispatcher(hop, origin) {
      origins.add(origin);
      return connections.to(hop, origin);
    },
    label(way) {
      const base = bases[way.mirror];
      return `${base === undefined ? '' : show(base)}${throughText(network.hop(way))}`;
    },
    counts,
    changed(change, why, isGood = false) {
      if (change === undefined) return;
      // Where all fail, one is tried after the other: that is no change, and told once.
      const isTold = change.isLast && isLast;
      isLast = change.isLast;
      if (isTold) return;
      traffic.changes = (traffic.changes ?? 0) + 1;
      traffic.way = network.label(change.to);
      const last = change.isLast ? ', though it failed before: so did all others' : '';
      const now = `from now on ${traffic.way} is asked, no longer ${network.label(change.from)}${last}`;
      options.tell?.(new PinfsError('SOURCE_CHANGED', `${now}: ${why}`, { passing: isGood }));
    },
    async close() {
      names.close();
      await connections.close();
    },
  };
  if (failover.ways.length > 1 || network.hop(failover.current(0)).kind === 'proxy')
    traffic.way = network.label(failover.current(0));
  return network;
}

export function throughText(hop: Hop): string {
  return hop.kind === 'direct' ? '' : ` through ${hopLabel(hop)}`;
}

/** Every hop once, and the groups of each mirror by their numbers. */
function numbered(
  urls: readonly string[],
  { hopsFor }: HttpOptions,
): { hops: readonly Hop[]; groups: Plan['groups']; numberOf: (hop: Hop) => number } {
  const numbers = new Map<string, number>();
  const hops: Hop[] = [];
  const numberOf = (hop: Hop): number => {
    const key = JSON.stringify(hop);
    const number = numbers.get(key) ?? hops.push(hop) - 1;
    numbers.set(key, number);
    return number;
  };
  const groups = urls.map((url) =>
    (hopsFor?.(new URL(url)) ?? direct).map((group) => group.map(numberOf)),
  );
  return { hops, groups, numberOf };
}
