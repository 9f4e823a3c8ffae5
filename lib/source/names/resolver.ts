import { Resolver } from 'node:dns/promises';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { addressesOfHosts, parseResolverFile, readNameFile } from './files.js';

export interface Address {
  readonly address: string;
  readonly family: number;
}

/** Where any of these is given, names are asked of a name server, and not of the system. */
export interface ResolverOptions {
  /** Addresses of name servers, with a port or without; not given: those of resolv.conf. */
  readonly servers?: readonly string[];
  /** Milliseconds that a server has for its answer, and how often it is asked again. */
  readonly timeout?: number;
  readonly retries?: number;
  /** Look at resolv.conf each time. */
  readonly roaming?: boolean;
  /** Ask a name server though nothing else is given. */
  readonly own?: boolean;
  /** Of this machine; tests put their own in. */
  readonly hostsFile?: string;
  readonly resolverFile?: string;
}

interface Resolved {
  readonly addresses: readonly Address[];
  /** Milliseconds. */
  readonly ttl: number;
}

// As in the reference (ms).
const timeoutMs = 3_000;
const retriesMax = 1;
// What a file says has no time to live of its own (ms).
const fileTtlMs = 60_000;

/**
 * Looks up names by hosts(5), then at a name server; undefined: the system is to be asked.
 * @throws PinfsError USAGE: that is no address of a name server
 */
export function openResolver(
  options: ResolverOptions,
): ((host: string) => Promise<Resolved>) | undefined {
  const { servers, timeout, retries, roaming = false, own = false } = options;
  const isGiven = [servers, timeout, retries].some((one) => one !== undefined);
  if (!isGiven && !roaming && !own) return undefined;
  const { hostsFile = '/etc/hosts', resolverFile = '/etc/resolv.conf' } = options;
  const open = (): Resolver =>
    new Resolver({ timeout: timeout ?? timeoutMs, tries: 1 + (retries ?? retriesMax) });
  let resolver = open();
  if (servers !== undefined) setServers(resolver, servers);
  let text: string | undefined;
  return async (host) => {
    const listed = addressesOfHosts(readNameFile(hostsFile), host);
    if (listed.length > 0) return { addresses: listed.map(withFamily), ttl: fileTtlMs };
    if (text === undefined || roaming) {
      const now = readNameFile(resolverFile);
      const { servers: found } = parseResolverFile(now);
      if (servers === undefined && now !== text && found.length > 0) {
        // What is still asked of the others is left to its end.
        resolver = open();
        setServers(resolver, found);
      }
      text = now;
    }
    return await resolveIn(resolver, host, parseResolverFile(text).domains);
  };
}

function setServers(resolver: Resolver, servers: readonly string[]): void {
  try {
    resolver.setServers(servers);
  } catch {
    throw new PinfsError('USAGE', `'${servers.join(' ')}' names no server for names of hosts`, {
      advice: 'CVMFS_DNS_SERVER and resolv.conf have addresses, such as 192.0.2.1 or 192.0.2.1:53.',
    });
  }
}

/** A name without a dot is looked for in the domains first. */
async function resolveIn(
  resolver: Resolver,
  host: string,
  domains: readonly string[],
): Promise<Resolved> {
  const candidates = host.includes('.')
    ? [host]
    : [...domains.map((one) => `${host}.${one}`), host];
  for (const [at, name] of candidates.entries()) {
    try {
      return await resolve(resolver, name);
    } catch (thrown) {
      if (at === candidates.length - 1 || errorCode(thrown) !== 'ENOTFOUND') throw thrown;
    }
  }
  throw failure(host, 'ENOTFOUND');
}

const unknownCodes: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA']);

/** Both kinds of addresses at once. The codes of errors are those of getaddrinfo(3). */
async function resolve(resolver: Resolver, host: string): Promise<Resolved> {
  const answers = await Promise.allSettled([
    resolver.resolve4(host, { ttl: true }),
    resolver.resolve6(host, { ttl: true }),
  ]);
  const records = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
  if (records.length > 0) {
    const ttl = Math.min(...records.map((record) => record.ttl)) * 1000;
    return { addresses: records.map(({ address }) => withFamily(address)), ttl };
  }
  const codes = answers.flatMap((answer) =>
    answer.status === 'rejected' ? (errorCode(answer.reason) ?? '') : [],
  );
  throw failure(host, codes.every((code) => unknownCodes.has(code)) ? 'ENOTFOUND' : 'EAI_AGAIN');
}

function failure(host: string, code: string): Error {
  return Object.assign(new Error(`${code} ${host}`), { code });
}

function withFamily(address: string): Address {
  return { address, family: address.includes(':') ? 6 : 4 };
}
