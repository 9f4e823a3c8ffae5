import { isIP } from 'node:net';
import type { Plan } from '../failover/failover.js';
import type { Address } from '../names/resolver.js';
import { now } from './client.js';
import type { Network } from './network.js';
import type { HttpSettings } from './settings.js';

/*
 * A proxy's name with several addresses counts as several proxies, as in the reference: so that one machine of them
 * that fails is no fault of the others.
 */

/** The groups with each such proxy once for each of its addresses, as they were looked up last. */
export interface ProxyAddresses {
  /** Whether any proxy has a name. */
  readonly isNamed: boolean;
  /** Looks them up, unless that was done a moment ago; true: they are others than before. Never rejects. */
  refresh(): Promise<boolean>;
  groups(): Plan['groups'];
}

// Of addresses that change all the time no more are told apart.
const hopsMax = 1024;
// More than one name has (of a hostile answer).
const addressesMax = 32;

export function openProxyAddresses(
  network: Network,
  { names: { minTtl = 60_000, prefer = 4 } = {}, addressesPerProxy = addressesMax }: HttpSettings,
): ProxyAddresses {
  const named = [...new Set(network.groups.flat(2))].filter((hop) => hostOf(network, hop) !== '');
  const addresses = new Map<number, readonly number[]>();
  let again = -Infinity;
  const refresh = async (hop: number): Promise<boolean> => {
    const host = hostOf(network, hop);
    const found = await network.names.addresses(host).catch(() => undefined);
    // What is not known now stays as it was.
    if (found === undefined) return false;
    const before = addresses.get(hop) ?? [hop];
    const chosen = chooseAddresses(found, prefer, addressesPerProxy, (address) =>
      before.includes(network.hopTo(hop, address)),
    );
    const isOne = chosen.length === 1 && found.length === 1;
    const made = isOne ? [hop] : chosen.map((address) => network.hopTo(hop, address));
    if (made.some((one) => one > hopsMax)) return false;
    addresses.set(hop, made);
    return made.length !== before.length || made.some((one) => !before.includes(one));
  };
  return {
    isNamed: named.length > 0,
    async refresh() {
      if (now() < again) return false;
      again = now() + minTtl;
      const changes = await Promise.all(named.map(refresh));
      return changes.includes(true);
    },
    groups: () =>
      network.groups.map((own) =>
        own.map((group) => group.flatMap((hop) => addresses.get(hop) ?? [hop])),
      ),
  };
}

/** The name of a proxy; empty: it is none, or has an address. */
function hostOf(network: Network, hop: number): string {
  const found = network.hop({ mirror: 0, hop });
  if (found.kind === 'direct') return '';
  const host = new URL(found.origin).hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(host) === 0 ? host : '';
}

/** Of the preferred kind, where there are any; no more than so many, of which those that were chosen before stay. */
export function chooseAddresses(
  found: readonly Address[],
  prefer: number,
  most: number,
  isKnown: (address: Address) => boolean,
): readonly Address[] {
  const liked = found.filter(({ family }) => family === prefer);
  const usable = liked.length > 0 ? liked : found;
  const drawn = usable
    .map((address) => ({ address, draw: isKnown(address) ? -1 : Math.random() }))
    .sort((a, b) => a.draw - b.draw)
    .slice(0, Math.max(1, Math.min(most, addressesMax)))
    .map(({ address }) => address);
  // In the order of their texts, whatever that of the answer.
  return [...drawn].sort((a, b) => (a.address < b.address ? -1 : 1));
}
