import dns from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import { openResolver, type Address, type ResolverOptions } from './resolver.js';

/** How names of hosts are looked up. Times are milliseconds. */
export interface NameOptions extends ResolverOptions {
  /** Addresses are of use for no shorter, and for no longer than that, whatever their own time to live is. */
  readonly minTtl?: number;
  readonly maxTtl?: number;
  /** The kind of addresses that is tried first. Not given: as the system has it; of proxies, 4. */
  readonly prefer?: 4 | 6;
}

/** The addresses of hosts, as they are now. */
export interface Names {
  /** For connections. */
  readonly lookup: LookupFunction;
  /** The addresses of a host. @throws as `dns.lookup` does: ENOTFOUND, EAI_AGAIN */
  addresses(host: string): Promise<readonly Address[]>;
  /**
   * Another number than before where a host that was looked up has none of its addresses any more: connections to these
   * are of no use. It is looked for in the background, when the time to live of what is known is over.
   */
  generation(host: string): number;
  close(): void;
}

interface Known {
  addresses: readonly Address[];
  /** When they are looked up again. */
  until: number;
  generation: number;
  asking: Promise<readonly Address[]> | undefined;
}

// As in the reference (ms).
const minTtlMs = 60_000;
const maxTtlMs = 86_400_000;
// Redirections can lead to any number of hosts.
const hostsMax = 256;

/** @param clock milliseconds */
export function openNames(options: NameOptions, clock: () => number): Names {
  const { minTtl = minTtlMs, maxTtl = maxTtlMs, prefer } = options;
  const resolver = openResolver(options);
  const known = new Map<string, Known>();
  const clamp = (ttl: number): number => Math.min(Math.max(ttl, minTtl), Math.max(minTtl, maxTtl));

  const knownOf = (host: string): Known => {
    const found = known.get(host);
    if (found !== undefined) return found;
    const [oldest] = known.keys();
    if (known.size >= hostsMax && oldest !== undefined) known.delete(oldest);
    const made: Known = { addresses: [], until: -Infinity, generation: 0, asking: undefined };
    known.set(host, made);
    return made;
  };

  const ask = (host: string): Promise<readonly Address[]> => {
    const one = knownOf(host);
    one.asking ??= look(host, one).finally(() => (one.asking = undefined));
    return one.asking;
  };

  const look = async (host: string, one: Known): Promise<readonly Address[]> => {
    try {
      const { addresses, ttl } = await (resolver ?? systemResolver)(host);
      const sorted = preferred(addresses, prefer);
      const isThere = ({ address }: Address): boolean =>
        sorted.some((other) => other.address === address);
      if (one.addresses.length > 0 && !one.addresses.some(isThere)) one.generation++;
      one.addresses = sorted;
      one.until = clock() + clamp(ttl);
    } catch (thrown) {
      // A name server that is away must not take what works: it is asked again soon.
      if (resolver === undefined || one.addresses.length === 0) throw thrown;
      one.until = clock() + minTtl;
    }
    return one.addresses;
  };

  const current = async (host: string): Promise<readonly Address[]> => {
    const kind = isIP(host);
    if (kind !== 0) return [{ address: host, family: kind }];
    const one = knownOf(host);
    if (one.addresses.length > 0 && clock() < one.until) return one.addresses;
    return await ask(host);
  };

  return {
    // The system's resolver has its own memory, and is asked for each connection.
    lookup: (host, options, callback) => {
      const found = resolver === undefined ? ask(host) : current(host);
      found.then(
        (addresses) => give(addresses, options, callback),
        (error: unknown) => callback(error as NodeJS.ErrnoException, []),
      );
    },
    addresses: current,
    generation(host) {
      const one = known.get(host);
      if (one === undefined) return 0;
      if (one.addresses.length > 0 && clock() >= one.until && one.asking === undefined) {
        one.until = clock() + minTtl;
        ask(host).catch(() => undefined);
      }
      return one.generation;
    },
    close: () => known.clear(),
  };
}

/** What net.connect wants: all, or one. */
export function give(
  addresses: readonly Address[],
  { all }: { readonly all?: boolean | undefined },
  callback: Parameters<LookupFunction>[2],
): void {
  const [first] = addresses;
  if (all === true) callback(null, [...addresses]);
  else callback(null, first?.address ?? '', first?.family ?? 0);
}

/** Those of the kind that is preferred first; the others stay, for where these lead nowhere. */
function preferred(addresses: readonly Address[], prefer: 4 | 6 | undefined): readonly Address[] {
  if (prefer === undefined) return addresses;
  const isFirst = ({ family }: Address): boolean => family === prefer;
  return [...addresses.filter(isFirst), ...addresses.filter((one) => !isFirst(one))];
}

/** getaddrinfo(3), which says nothing of a time to live. */
function systemResolver(
  host: string,
): Promise<{ readonly addresses: readonly Address[]; readonly ttl: number }> {
  return new Promise((resolve, reject) => {
    dns.lookup(host, { all: true }, (error, addresses) => {
      if (error !== null) reject(error);
      else resolve({ addresses, ttl: 0 });
    });
  });
}
