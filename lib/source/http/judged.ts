import { PinfsError } from '../../format/errors.js';
import { isSame, type Fault } from '../failover/failover.js';
import type { Served } from '../source.js';
import { countWayError } from './way-traffic.js';
import { isOneOf, now, type Client, type Only } from './client.js';

// Of one object, each time by another way.
const damagedMax = 8;

/**
 * Counts who gave what is damaged, by name; once it is known who did not, the others come after him.
 * @param only the one mirror or way that is asked; undefined: any.
 * @returns how many other ways there are to ask.
 */
export function judged(
  client: Client,
  only: Only | undefined,
  served: readonly Served[],
  error: PinfsError | undefined,
): number {
  const { network, traffic } = client;
  const last = served.at(-1);
  if (last === undefined) return 0;
  if (error === undefined) {
    blameOthers(client, served, last);
    return 0;
  }
  const label = network.label(last);
  traffic.damaged ??= {};
  traffic.damaged[label] = (traffic.damaged[label] ?? 0) + 1;
  countWayError(network.counts(last), error.code);
  // Of a single one the error says all.
  if (network.failover.ways.length > 1)
    client.tell?.(new PinfsError(error.code, `${label} gave what is damaged: ${error.message}`));
  if (served.length >= damagedMax) return 0;
  return network.failover.ways.filter(
    (way) => isOneOf(only, way) && !served.some((one) => isSame(one, way)),
  ).length;
}

function blameOthers({ network }: Client, served: readonly Served[], good: Served): void {
  // A cache that was mended by asking for a fresh copy is none that fails.
  const bad = served.filter((one) => one.fresh && !isSame(one, good));
  const blamed = new Set<string>();
  for (const one of bad) {
    const hops = new Set(bad.filter(({ mirror }) => mirror === one.mirror).map(({ hop }) => hop));
    const fault: Fault =
      one.mirror === good.mirror
        ? 'hop'
        : one.hop === good.hop || hops.size > 1 || network.hop(one).kind === 'direct'
          ? 'mirror'
          : 'either';
    const key = fault === 'hop' ? `hop ${one.hop}` : `mirror ${one.mirror}`;
    if (blamed.has(key)) continue;
    blamed.add(key);
    const why = `${network.label(one)} gave what is damaged, ${network.label(good)} did not`;
    network.changed(network.failover.failed(one, fault, now()), why);
  }
}
