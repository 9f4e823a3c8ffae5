import { fromText, printable } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { authorizationOf } from '../failover/proxies.js';

/** A repository on one server. */
export interface Base {
  readonly origin: string;
  /** Without a slash at its end. */
  readonly path: string;
  readonly authorization: string | undefined;
}

/** @throws PinfsError USAGE if the URL is not one of a repository. */
export function parseBase(text: string): Base {
  const shown = printable(fromText(text.replace(/\/\/[^/]*@/, '//')));
  const refuse = (why: string): PinfsError => new PinfsError('USAGE', `${shown} ${why}`);
  if (!URL.canParse(text)) throw refuse('is not a URL');
  const url = new URL(text);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw refuse('is not a URL of HTTP');
  }
  if (url.search !== '' || url.hash !== '') throw refuse('has a part behind ? or #');
  const path = url.pathname.replace(/\/+$/, '');
  return { origin: url.origin, path, authorization: authorizationOf(url) };
}

/** What is asked for, and of whom. */
export interface HttpTarget {
  readonly origin: string;
  /** Path and query as sent. */
  readonly path: string;
}

/** A target for people: no query (it may hold a token), no control characters, bounded. */
export function show({ origin, path }: HttpTarget): string {
  const text = printable(fromText(origin + path.replace(/\?.*$/s, '')));
  return text.length > 300 ? `${text.slice(0, 300)}…` : text;
}

const redirectsMax = 4;

/** What is known of redirections when one is met. */
export interface Redirections {
  readonly allowed: boolean;
  /** So many were followed before. */
  readonly count: number;
  /** Every server that was asked so far. */
  readonly origins: ReadonlySet<string>;
}

/** Where a redirection leads, or why it is not followed. */
export function redirected(
  from: HttpTarget,
  { status, location }: { readonly status: number; readonly location: string },
  { allowed, count, origins }: Redirections,
): HttpTarget | PinfsError {
  const refuse = (why: string): PinfsError =>
    new PinfsError('SOURCE_REDIRECT', `${show(from)}: HTTP ${status} to ${why}`, {
      advice: allowed
        ? 'Give the address that it leads to.'
        : 'Give the address that it leads to, or allow --follow-redirects.',
    });
  const base = from.origin + from.path;
  if (location === '' || !URL.canParse(location, base)) return refuse('an address that is not one');
  const url = new URL(location, base);
  const to = { origin: url.origin, path: url.pathname + url.search };
  const shown = show(to);
  if (!allowed) return refuse(`${shown}, and redirections are not followed`);
  if (count >= redirectsMax) return refuse(`${shown}, after ${redirectsMax} others`);
  const safe = url.protocol === 'https:' || from.origin.startsWith(`${url.protocol}//`);
  if (!safe) return refuse(`${shown}, which is not as safe`);
  if (!origins.has(to.origin) && origins.size > redirectsMax)
    return refuse(`${shown}, one more server after ${redirectsMax} others`);
  return to;
}
