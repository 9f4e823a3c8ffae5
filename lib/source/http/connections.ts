import { isIP, type LookupFunction } from 'node:net';
import type { Dispatcher } from 'undici';
import type { Hop } from '../failover/proxies.js';
import { give, type Names } from '../names/names.js';
import type { HttpSettings } from './settings.js';
import { makePool, makeProxyDispatcher } from './undici.js';

/** The connections to servers and proxies; they are kept as long as they lead where they should. */
export interface Connections {
  to(hop: Hop, origin: string): Dispatcher;
  close(): Promise<void>;
}

/** @param hasChanged whether this machine's network is another one than before */
export function openConnections(
  settings: HttpSettings,
  names: Names,
  hasChanged: () => boolean,
): Connections {
  const dispatchers = new Map<string, Reached>();
  /** No more is sent through these; they are closed when what is under way has ended. */
  const left = new Set<Dispatcher>();
  return {
    to(hop, origin) {
      if (hasChanged()) {
        leave(dispatchers.values(), left);
        dispatchers.clear();
      }
      const server = hop.kind === 'direct' ? origin : hop.origin;
      const address = hop.kind === 'direct' ? undefined : hop.address;
      const key = `${hop.kind} ${server} ${address ?? ''}`;
      const known = dispatchers.get(key);
      const host = known?.host ?? hostOf(server);
      const generation = address === undefined ? names.generation(host) : 0;
      if (known?.generation === generation) return known.dispatcher;
      // Its name leads elsewhere now.
      if (known !== undefined) leave([known], left);
      const lookup = address === undefined ? names.lookup : lookupOf(address);
      const made = makeDispatcher(hop, origin, settings, lookup);
      dispatchers.set(key, { dispatcher: made, generation, host });
      return made;
    },
    async close() {
      const open = [...[...dispatchers.values()].map(({ dispatcher }) => dispatcher), ...left];
      dispatchers.clear();
      await Promise.all(open.map((dispatcher) => dispatcher.destroy()));
    },
  };
}

/** Connections to a host by the addresses that its name had. */
interface Reached {
  readonly dispatcher: Dispatcher;
  readonly generation: number;
  /** Its name. */
  readonly host: string;
}

/** What was kept is of no use any more. */
function leave(reached: Iterable<Reached>, left: Set<Dispatcher>): void {
  for (const { dispatcher } of reached) {
    left.add(dispatcher);
    const closed = (): boolean => left.delete(dispatcher);
    dispatcher.close().then(closed, closed);
  }
}

function hostOf(origin: string): string {
  return new URL(origin).hostname.replace(/^\[(.*)\]$/, '$1');
}

/** Leads to one address, whatever the name. */
function lookupOf(address: string): LookupFunction {
  const found = [{ address, family: isIP(address) }];
  return (_, options, callback) => give(found, options, callback);
}

function makeDispatcher(
  hop: Hop,
  origin: string,
  { connections, connectTimeout, proxied }: HttpSettings,
  lookup: LookupFunction,
): Dispatcher {
  if (hop.kind === 'direct') return makePool(origin, { connections, connectTimeout, lookup });
  return makeProxyDispatcher({
    origin: hop.origin,
    authorization: hop.authorization,
    connections,
    connectTimeout: proxied.connectTimeout,
    lookup,
  });
}
