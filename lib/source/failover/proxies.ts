import { fromText, printable } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';

/** Straight to the server, or through a proxy. */
export type Hop =
  | { readonly kind: 'direct' }
  | {
      readonly kind: 'proxy';
      /** `http://host:port`, without credentials. */
      readonly origin: string;
      /** What the proxy gets as Proxy-Authorization. */
      readonly authorization: string | undefined;
      /** One of the addresses of its host, where there are several; undefined: whatever the name leads to. */
      readonly address?: string;
    };

/** In their order: the load is shared inside a group; the next group is for when all of one fail. */
export type HopGroups = readonly (readonly Hop[])[];

export const direct: HopGroups = [[{ kind: 'direct' }]];

// More of a site's list than anybody has are no list of a site.
const hopsMax = 256;
// As for libcurl, which the reference uses, where a proxy is given without one.
const proxyPort = '1080';

/** The members as they stand there: groups are separated by `;`, members by `|` (docs/format.md, 9.9). */
export function proxyWords(list: string): string[][] {
  return list.split(';').map((group) => group.split('|').map((word) => word.trim()));
}

export interface ProxyListOptions {
  /** Groups that come behind; as soon as there is one, nothing is asked directly. */
  readonly fallback?: string | undefined;
  /** What stands for `auto`: the value of `http_proxy`. */
  readonly auto?: string | undefined;
}

/**
 * The list of CVMFS_HTTP_PROXY and `--proxy`: `a|b;c;DIRECT`. Empty members can never work and are left out; an
 * empty list means DIRECT, as in the reference's library. `auto` is what `http_proxy` says: PAC files are not read.
 * @throws PinfsError PROXY_MALFORMED
 */
export function parseProxies(list: string, options: ProxyListOptions = {}): HopGroups {
  const fallback = groupsOf(options.fallback ?? '', undefined, true);
  const own = groupsOf(list, options.auto, fallback.length > 0);
  const groups = [...own, ...fallback];
  if (groups.flat().length > hopsMax) throw malformed(`there are more than ${hopsMax} proxies`);
  if (groups.length > 0) return groups;
  if (/[^;|\s]/.test(list)) {
    throw malformed(
      `'${shownList(list)}' names no proxy that can be used`,
      'auto is what http_proxy says; PAC files (CVMFS_PAC_URLS) are not read. Name the proxies, or DIRECT.',
    );
  }
  return direct;
}

/** How many groups a list of fallback proxies adds. @throws PinfsError PROXY_MALFORMED */
export function fallbackCount(list: string): number {
  return groupsOf(list, undefined, true).length;
}

/** Groups in which anything is left. */
function groupsOf(list: string, auto: string | undefined, noDirect: boolean): Hop[][] {
  return proxyWords(list)
    .map((words) =>
      words.flatMap((word): Hop[] => {
        if (word === '') return [];
        if (word === 'DIRECT') return noDirect ? [] : [{ kind: 'direct' }];
        if (word === 'auto') return auto === undefined || auto === '' ? [] : [parseProxy(auto)];
        return [parseProxy(word)];
      }),
    )
    .map(withoutTwins)
    .filter((group) => group.length > 0);
}

/** A proxy that is named twice gets no second share. */
function withoutTwins(group: readonly Hop[]): Hop[] {
  return [...new Map(group.map((hop) => [hopLabel(hop), hop])).values()];
}

/** `[http://][user:password@]host[:port]`. @throws PinfsError PROXY_MALFORMED */
export function parseProxy(word: string): Hop {
  const text = /^https?:\/\//i.test(word) ? word : `http://${word}`;
  const refuse = (why: string): PinfsError => malformed(`'${shownList(word)}' ${why}`);
  if (/\s/.test(word)) throw refuse('has a blank in it');
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(word) && !/^https?:/i.test(word))
    throw refuse('is of a kind that is not supported: a proxy is one of HTTP');
  if (!URL.canParse(text)) throw refuse('is no proxy');
  const url = new URL(text);
  if (url.hostname === '' || !['', '/'].includes(url.pathname) || url.search + url.hash !== '')
    throw refuse('is no proxy: a host and a port is what one is named by');
  const isGiven = url.port !== '' || /:(80|443)\/?$/.test(text);
  const origin =
    isGiven || url.protocol === 'https:'
      ? url.origin
      : `${url.protocol}//${url.hostname}:${proxyPort}`;
  return { kind: 'proxy', origin, authorization: authorizationOf(url) };
}

/** The header that carries the credentials of a URL; undefined: it has none. */
export function authorizationOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return undefined;
  const pair = `${unescapePart(username)}:${unescapePart(password)}`;
  return `Basic ${Buffer.from(pair, 'utf8').toString('base64')}`;
}

function unescapePart(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** For people: no credentials. */
export function hopLabel(hop: Hop): string {
  if (hop.kind === 'direct') return 'DIRECT';
  const address = hop.address === undefined ? '' : ` (${hop.address})`;
  return printable(fromText(hop.origin)) + address;
}

function shownList(list: string): string {
  const shown = printable(fromText(list.replace(/[^/;|@]*@/g, '')));
  return shown.length > 200 ? `${shown.slice(0, 200)}…` : shown;
}

function malformed(
  what: string,
  advice = "A list is like 'http://a:3128|http://b:3128;http://c:3128;DIRECT'.",
): PinfsError {
  return new PinfsError('PROXY_MALFORMED', `proxies: ${what}`, { advice });
}
