import { direct, parseProxy, type HopGroups } from './proxies.js';

type Variables = Readonly<Record<string, string | undefined>>;

/** What the environment says of one server. */
export interface EnvironmentHops {
  readonly groups: HopGroups;
  /** The variable that says so; undefined: none does, and the server is asked directly. */
  readonly variable: string | undefined;
}

/**
 * `http_proxy` (never `HTTP_PROXY`, which a request could set where a web server runs this), `https_proxy` and
 * `no_proxy` (of these either case), as curl reads them.
 * @throws PinfsError PROXY_MALFORMED
 */
export function environmentHops(url: URL, variables: Variables): EnvironmentHops {
  const names = url.protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy'];
  const variable = names.find((name) => (variables[name] ?? '') !== '');
  const value = variable === undefined ? undefined : variables[variable];
  if (variable === undefined || value === undefined || isExcepted(url, variables))
    return { groups: direct, variable: undefined };
  return { groups: [[parseProxy(value)]], variable };
}

/** Whether `no_proxy` names the host, a domain above it, a network it lies in, or all. */
export function isExcepted(url: URL, variables: Variables): boolean {
  const host = url.hostname.toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const list = variables['no_proxy'] ?? variables['NO_PROXY'] ?? '';
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .some((entry) => {
      const [, named = entry, ofPort] = /^(.*?[^:]|\[.*\]):(\d+)$/.exec(entry) ?? [];
      if (ofPort !== undefined && ofPort !== port) return false;
      return names(named.replace(/^\*?\./, ''), host);
    });
}

function names(entry: string, host: string): boolean {
  if (entry === '') return false;
  if (entry === '*' || host === entry || host === `[${entry}]`) return true;
  if (addressOf(host) !== undefined) return isInNetwork(entry, host);
  return host.endsWith(`.${entry}`);
}

/** `192.0.2.0/24` */
function isInNetwork(entry: string, host: string): boolean {
  const [network = '', bits = ''] = entry.split('/');
  const [base, address] = [addressOf(network), addressOf(host)];
  if (base === undefined || address === undefined || !/^\d{1,2}$/.test(bits)) return false;
  const size = 2 ** (32 - Math.min(32, Number(bits)));
  return Math.floor(base / size) === Math.floor(address / size);
}

function addressOf(text: string): number | undefined {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(text)) return undefined;
  const parts = text.split('.').map(Number);
  if (parts.some((part) => part > 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256 + part, 0);
}
