import { environmentHops } from './failover/environment.js';
import { fallbackCount, hopLabel, parseProxies, type HopGroups } from './failover/proxies.js';
import type { HttpOptions } from './http/settings.js';
import type { NameOptions } from './names/names.js';
import { isUrl } from './source-pin.js';
import { timerMsMax } from './wait.js';

/**
 * How the servers of a repository are reached, as it stands on a command line or in the files of a site
 * (CVMFS_SERVER_URL and the others that are named here). Times are milliseconds.
 */
export interface NetworkData {
  /** URLs of the other servers. */
  readonly mirrors?: readonly string[] | undefined;
  /** CVMFS_HTTP_PROXY; undefined: what the environment says (`http_proxy`). */
  readonly proxies?: string | undefined;
  /** CVMFS_FALLBACK_PROXY */
  readonly fallbackProxies?: string | undefined;
  /** CVMFS_TIMEOUT, through a proxy: to connect, to the first byte, and without the least rate. */
  readonly timeout?: number | undefined;
  /** CVMFS_TIMEOUT_DIRECT */
  readonly timeoutDirect?: number | undefined;
  /** CVMFS_LOW_SPEED_LIMIT, bytes a second. */
  readonly lowSpeedLimit?: number | undefined;
  /** CVMFS_MAX_RETRIES. Who reads a mount has it asked for as long as he waits. */
  readonly maxRetries?: number | undefined;
  /** CVMFS_BACKOFF_INIT */
  readonly backoff?: number | undefined;
  /** CVMFS_BACKOFF_MAX */
  readonly backoffMax?: number | undefined;
  /** CVMFS_PROXY_RESET_AFTER; 0: never by itself. */
  readonly proxyResetAfter?: number | undefined;
  /** CVMFS_HOST_RESET_AFTER */
  readonly hostResetAfter?: number | undefined;
  /** CVMFS_PROXY_SHARD */
  readonly proxyShard?: boolean | undefined;
  /** CVMFS_MAX_SERVERS, the one that is named as the source included. */
  readonly maxServers?: number | undefined;
  /** CVMFS_DNS_SERVER: addresses with or without a port, blanks or commas between. */
  readonly dnsServer?: string | undefined;
  /** CVMFS_DNS_TIMEOUT, for one answer. */
  readonly dnsTimeout?: number | undefined;
  /** CVMFS_DNS_RETRIES */
  readonly dnsRetries?: number | undefined;
  /** CVMFS_DNS_MIN_TTL, CVMFS_DNS_MAX_TTL */
  readonly dnsMinTtl?: number | undefined;
  readonly dnsMaxTtl?: number | undefined;
  /** CVMFS_DNS_ROAMING: resolv.conf is looked at each time. */
  readonly dnsRoaming?: boolean | undefined;
  /** CVMFS_IPFAMILY_PREFER: 4 or 6. */
  readonly ipFamily?: number | undefined;
  /** CVMFS_MAX_IPADDR_PER_PROXY */
  readonly addressesPerProxy?: number | undefined;
  /** CVMFS_USE_GEOAPI */
  readonly geo?: boolean | undefined;
  /** CVMFS_PROXY_TEMPLATE */
  readonly proxyTemplate?: string | undefined;
}

/** Proxies that nobody named on the command line. */
export interface EnvironmentProxies {
  /** The variables that name them, such as `http_proxy`. */
  readonly variables: readonly string[];
  readonly proxies: readonly string[];
}

export interface NetworkPlan {
  readonly options: HttpOptions;
  /** undefined: the environment has no say. */
  readonly fromEnvironment: EnvironmentProxies | undefined;
}

/**
 * What an HTTP source needs to know of mirrors and proxies. Without a list of proxies the environment is asked, for
 * each server by itself.
 * @throws PinfsError PROXY_MALFORMED
 */
export function planNetwork(
  source: string,
  data: NetworkData,
  variables: Readonly<Record<string, string | undefined>>,
): NetworkPlan {
  const mirrors = data.mirrors ?? [];
  const options = { ...httpOptions(data), mirrors };
  if (data.proxies !== undefined || data.fallbackProxies !== undefined) {
    const auto = variables['http_proxy'];
    const groups = parseProxies(data.proxies ?? '', { fallback: data.fallbackProxies, auto });
    const fallbackFrom = groups.length - fallbackCount(data.fallbackProxies ?? '');
    return {
      options: { ...options, hopsFor: () => groups, fallbackFrom },
      fromEnvironment: undefined,
    };
  }
  const hopsFor = (url: URL): HopGroups => environmentHops(url, variables).groups;
  const found = [source, ...mirrors]
    .filter((text) => isUrl(text) && URL.canParse(text))
    .map((text) => environmentHops(new URL(text), variables))
    .filter(({ variable }) => variable !== undefined);
  const unique = (texts: readonly string[]): string[] => [...new Set(texts)];
  return {
    options: { ...options, hopsFor },
    fromEnvironment:
      found.length === 0
        ? undefined
        : {
            variables: unique(found.flatMap(({ variable = '' }) => variable)),
            proxies: unique(found.flatMap(({ groups }) => groups.flat().map(hopLabel))),
          },
  };
}

/** Only what is given: the rest is as it is without. */
function httpOptions(data: NetworkData): HttpOptions {
  const { timeout, timeoutDirect, lowSpeedLimit } = data;
  const direct = timeoutDirect ?? timeout;
  const given = {
    ...(direct === undefined ? {} : timesOf(direct, lowSpeedLimit)),
    ...(timeout === undefined ? {} : { proxied: timesOf(timeout, lowSpeedLimit) }),
    retriesOfCommand: data.maxRetries,
    backoff: data.backoff,
    backoffMax: data.backoffMax,
    hopResetAfter: data.proxyResetAfter,
    mirrorResetAfter: data.hostResetAfter,
    shard: data.proxyShard,
    maxServers: data.maxServers,
    geo: data.geo,
    proxyTemplate: data.proxyTemplate,
    names: nameOptions(data),
    addressesPerProxy: data.addressesPerProxy,
  };
  return withValues(given);
}

function withValues(fields: object): object {
  const isGiven = ([, value]: readonly [string, unknown]): boolean => value !== undefined;
  return Object.fromEntries(Object.entries(fields).filter(isGiven));
}

/** Where a site says how names are asked for, or for how long they count, a name server is asked and not the system. */
function nameOptions(data: NetworkData): NameOptions | undefined {
  const words = (data.dnsServer ?? '').split(/[\s,;]+/).filter((word) => word !== '');
  const hasTimes = data.dnsMinTtl !== undefined || data.dnsMaxTtl !== undefined;
  const names = withValues({
    servers: words.length === 0 ? undefined : words,
    timeout: data.dnsTimeout,
    retries: data.dnsRetries,
    minTtl: data.dnsMinTtl,
    maxTtl: data.dnsMaxTtl,
    roaming: data.dnsRoaming,
    own: hasTimes ? true : undefined,
    prefer: data.ipFamily === 4 || data.ipFamily === 6 ? data.ipFamily : undefined,
  });
  return Object.keys(names).length === 0 ? undefined : names;
}

const lowSpeedLimitUsual = 1024;

function timesOf(given: number, lowSpeedLimit = lowSpeedLimitUsual) {
  // A timer that is longer than it may be ends at once; through a proxy there are two in one.
  const milliseconds = Math.min(given, timerMsMax / 2);
  return {
    connectTimeout: milliseconds,
    headersTimeout: milliseconds,
    lowSpeedTime: milliseconds,
    lowSpeedBytes: (lowSpeedLimit * milliseconds) / 1000,
  };
}

/** For verdicts and logs. */
export function environmentText({ variables, proxies }: EnvironmentProxies): string {
  return `asked for through ${proxies.join(', ')}, as ${variables.join(' and ')} in the environment ${variables.length === 1 ? 'says' : 'say'}`;
}
