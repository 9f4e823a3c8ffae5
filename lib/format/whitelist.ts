import { PinfsError } from './errors.js';
import { parseHash, type ContentHash } from './hash.js';
import {
  splitEnvelope,
  describeNoEnvelope,
  envelopeLines,
  type SignedEnvelope,
} from './signed-envelope.js';

/** The list of certificates that may sign, `.cvmfswhitelist` (docs/format.md, 4). */
export interface Whitelist {
  /** When it was made, ISO 8601; undefined if the line is no date: nothing depends on it. */
  readonly created: string | undefined;
  /** The hour from which it is no longer valid, ISO 8601. */
  readonly expires: string;
  /** N, one character for each byte; undefined if the third line is not such a line. */
  readonly name: string | undefined;
  readonly fingerprints: readonly ContentHash[];
  readonly envelope: SignedEnvelope;
}

/**
 * Reads a whitelist: syntax only, nothing is verified.
 * Errors: WHITELIST_MALFORMED, WHITELIST_UNSUPPORTED (signed by CA certificates: 4.6).
 */
export function parseWhitelist(bytes: Buffer): Whitelist | PinfsError {
  const envelope = splitEnvelope(bytes);
  if (envelope === undefined) return malformed(describeNoEnvelope(bytes));
  const [created = '', expiry = '', nameLine = '', ...entries] = envelopeLines(envelope.text);
  if (created.length !== 14) return malformed('does not begin with a date of 14 digits');
  const hour = expiry.startsWith('E') ? readTime(expiry.slice(1)) : undefined;
  if (hour === undefined) {
    return malformed('has no date of expiry (E and 14 digits) in its second line');
  }
  const unsupported = entries.filter((line) => line === 'Vpkcs7' || line === 'Wcachain');
  if (unsupported.length > 0) return unsupportedFeature(unsupported);
  return {
    created: readTime(created)?.exact,
    expires: hour.hour,
    name: nameLine.startsWith('N') ? nameLine.slice(1) : undefined,
    fingerprints: entries.map(parseFingerprint).filter((hash) => hash !== undefined),
    envelope,
  };
}

/**
 * A whitelist is valid strictly before the hour of its expiry, in UTC; minutes and seconds of the
 * expiry don't count (docs/format.md, 4.2).
 */
export function isExpired(whitelist: Whitelist, at: Date): boolean {
  // Written so that a broken date counts as expired.
  return !(at.getTime() < Date.parse(whitelist.expires));
}

/**
 * One line with a fingerprint, as it stands in whitelists and blacklists (docs/format.md, 4.4): up to the first
 * blank, tab or `#`, colons dropped, lower-cased. undefined if that is no hash; MD5 is none.
 */
export function parseFingerprint(line: string): ContentHash | undefined {
  const text = /^[^ \t#]*/.exec(line)?.[0] ?? '';
  return parseHash(text.replaceAll(':', '').toLowerCase());
}

/** A fingerprint as whitelists write it: `AA:BB:…`, with the tail of its algorithm. */
export function fingerprintText(hash: ContentHash): string {
  const upper = hash.text.toUpperCase();
  return (upper.slice(0, 40).match(/../g) ?? []).join(':') + upper.slice(40);
}

/** YYYYMMDDhhmmss, a date that exists. */
function readTime(text: string): { readonly exact: string; readonly hour: string } | undefined {
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)$/.exec(text);
  if (match === null) return undefined;
  const [, year = '', month = '', day = '', hour = '', minute = '', second = ''] = match;
  const iso = `${year}-${month}-${day}T${hour}:00:00.000Z`;
  const time = Date.parse(iso);
  // Date.parse takes the 31st of a short month for the 1st of the next, and 24:00 for a day later.
  if (Number.isNaN(time) || new Date(time).toISOString() !== iso) return undefined;
  const exact = `${year}-${month}-${day}T${hour}:${minute}:${second}Z`;
  return { exact, hour: `${year}-${month}-${day}T${hour}:00:00Z` };
}

function unsupportedFeature(lines: readonly string[]): PinfsError {
  const features = lines.map((line) =>
    line === 'Vpkcs7' ? 'a PKCS#7 signature (Vpkcs7)' : 'a chain of CA certificates (Wcachain)',
  );
  return new PinfsError(
    'WHITELIST_UNSUPPORTED',
    `the whitelist asks for ${[...new Set(features)].join(' and ')}, which pinfs does not check`,
    { advice: 'pin by root hash, got from someone whom you trust: that needs no whitelist' },
  );
}

function malformed(what: string): PinfsError {
  return new PinfsError('WHITELIST_MALFORMED', `the whitelist (.cvmfswhitelist) ${what}`, {
    advice: 'check that the URL is that of a repository, and that no log-in page answers for it',
  });
}
