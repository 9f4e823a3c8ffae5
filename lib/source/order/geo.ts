import { PinfsError } from '../../format/errors.js';

/*
 * The Geo API (docs/format.md, 9.9): a server says which of some hosts is near. Its answer is not signed, and needs no
 * trust: it decides who is asked first, and what he gives is verified whoever he is.
 */

/** What is asked, and what its numbers mean. */
export interface GeoQuestion {
  /** Host names as they are sent; the servers among them in the order of the alphabet, so that caches know the question. */
  readonly names: readonly string[];
  /** For each of the names: the number of the server; then those of groups of fallback proxies; null: the separator. */
  readonly means: readonly GeoMeaning[];
}

type GeoMeaning =
  { readonly server: number } | { readonly fallback: number } | { readonly separator: true };

/** Numbers of servers and of groups of fallback proxies, the nearest one first. */
export interface GeoOrder {
  readonly servers: readonly number[];
  readonly fallbacks: readonly number[];
}

const separatorName = '+PXYSEP+';
const nameLengthMax = 256;
/** The servers of the reference check it the same way. */
const isHostName = /^[0-9A-Za-z.:-]+$/;

/**
 * The question for servers and groups of fallback proxies by their host names; undefined: there is nothing to be put
 * into an order, or a name that can't be sent.
 * @param onlyFallbacks there are no other proxies, so that the servers are to be near to the nearest of these
 */
export function geoQuestion(
  servers: readonly string[],
  fallbacks: readonly string[],
  onlyFallbacks: boolean,
): GeoQuestion | undefined {
  if (servers.length < 2 && fallbacks.length < 2) return undefined;
  const bare = (host: string): string => host.replace(/^\[(.*)\]$/, '$1');
  const sorted = servers
    .map((host, server) => ({ name: bare(host), means: { server } }))
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  const isSeparated = onlyFallbacks && servers.length > 1 && fallbacks.length > 0;
  const all: readonly { readonly name: string; readonly means: GeoMeaning }[] = [
    ...sorted,
    ...(isSeparated ? [{ name: separatorName, means: { separator: true as const } }] : []),
    ...fallbacks.map((host, fallback) => ({ name: bare(host), means: { fallback } })),
  ];
  const canBeSent = ({ name }: { readonly name: string }): boolean =>
    name === separatorName || (isHostName.test(name) && name.length <= nameLengthMax);
  if (!all.every(canBeSent)) return undefined;
  return { names: all.map(({ name }) => name), means: all.map(({ means }) => means) };
}

/**
 * Below the URL of a repository.
 * @param caching the host of the proxy, or a word that stands for who asks: clients with the same one share an answer
 */
export function geoPath({ names }: GeoQuestion, caching: string): string {
  return `api/v1.0/geo/${encodeURIComponent(caching)}/${names.join(',')}`;
}

/** More than the numbers of as many hosts as there may be (bytes). */
export const geoAnswerBytesMax = 4096;

/**
 * The order that an answer such as `2,1,3` means: each number once, and nothing else. The reference demands the same.
 * @returns PinfsError SOURCE_STATUS: it is no answer to the question
 */
export function parseGeoAnswer(bytes: Buffer, { means }: GeoQuestion): GeoOrder | PinfsError {
  const text = bytes.toString('latin1');
  const refuse = (): PinfsError =>
    new PinfsError('SOURCE_STATUS', 'what came is no order of the hosts that were named');
  if (!/^\d{1,4}(,\d{1,4})*\n?$/.test(text)) return refuse();
  const numbers = text.trimEnd().split(',').map(Number);
  const isWhole =
    numbers.length === means.length &&
    new Set(numbers).size === means.length &&
    numbers.every((number) => number >= 1 && number <= means.length);
  if (!isWhole) return refuse();
  const order = numbers.flatMap((number) => means[number - 1] ?? []);
  return {
    servers: order.flatMap((one) => ('server' in one ? one.server : [])),
    fallbacks: order.flatMap((one) => ('fallback' in one ? one.fallback : [])),
  };
}
