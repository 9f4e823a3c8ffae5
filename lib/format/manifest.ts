import { printable } from './bytes.js';
import { PinfsError } from './errors.js';
import { parseHash, type ContentHash } from './hash.js';
import {
  splitEnvelope,
  describeNoEnvelope,
  envelopeLines,
  type SignedEnvelope,
} from './signed-envelope.js';

/** The signed head of a repository, `.cvmfspublished` (docs/format.md, 3). */
export interface Manifest {
  /** C: the root catalog. */
  readonly rootHash: ContentHash;
  /** B: bytes of the inflated root catalog; undefined in manifests of old servers. */
  readonly rootSize: number | undefined;
  /** R: MD5 of the root path; must be `emptyPathHash`. */
  readonly rootPathHash: string;
  /** D, seconds. For people only: clients take the TTL of the root catalog (docs/format.md, 9.8). */
  readonly ttl: number;
  /** S */
  readonly revision: number;
  /** G: the publisher may remove old revisions. */
  readonly collectable: boolean;
  /** A: root catalog and certificate also lie at `.cvmfsalt-…` (docs/format.md, 3.7). */
  readonly alternative: boolean;
  /** L: a leftover of 2011, of no use. */
  readonly microCatalog: ContentHash | undefined;
  /** N, one character for each byte. */
  readonly name: string | undefined;
  /** X */
  readonly certificate: ContentHash | undefined;
  /** H */
  readonly history: ContentHash | undefined;
  /** T, seconds since 1970; 0 if it isn't there. */
  readonly published: number;
  /** M */
  readonly metainfo: ContentHash | undefined;
  /** Y: of the plain `.cvmfsreflog`. */
  readonly reflog: ContentHash | undefined;
  /** Z, all of them, joined with `|`. */
  readonly channels: string;
  readonly envelope: SignedEnvelope;
}

/** MD5 of the path of a repository's root, the empty string. */
export const emptyPathHash = 'd41d8cd98f00b204e9800998ecf8427e';

/** The last second of the year 9999; later times are nonsense and can't be printed. */
const secondsMax = 253_402_300_799;

/**
 * Reads a manifest: syntax only, nothing is verified.
 * Errors: MANIFEST_MALFORMED, MANIFEST_INCOMPLETE (C, R, D or S missing).
 */
export function parseManifest(bytes: Buffer): Manifest | PinfsError {
  const envelope = splitEnvelope(bytes);
  if (envelope === undefined) return malformed(describeNoEnvelope(bytes));
  const values = readLines(envelope);

  const missing = ['C', 'R', 'D', 'S'].filter((key) => !values.has(key));
  if (missing.length > 0) {
    return new PinfsError(
      'MANIFEST_INCOMPLETE',
      `the manifest lacks the required lines ${missing.join(', ')}`,
      { advice: 'servers of 2011 wrote such manifests; pin by root hash to mount it nevertheless' },
    );
  }
  try {
    return readValues(values, envelope);
  } catch (error) {
    if (error instanceof PinfsError) return error;
    throw error;
  }
}

/** Later lines win, except Z, which collects (docs/format.md, 3.1). A line `--` ends the text. */
function readLines(envelope: SignedEnvelope): Map<string, string> {
  const values = new Map<string, string>();
  for (const line of envelopeLines(envelope.text)) {
    if (line === '--') break;
    if (line === '') continue;
    const key = line.slice(0, 1);
    const value = line.slice(1);
    const earlier = values.get(key);
    values.set(key, key === 'Z' && earlier !== undefined ? `${earlier}|${value}` : value);
  }
  return values;
}

function readValues(values: ReadonlyMap<string, string>, envelope: SignedEnvelope): Manifest {
  const rootHash = optionalHash(values, 'C');
  if (rootHash === undefined) throw malformed('names no root catalog (line C)');
  const rootPathHash = values.get('R') ?? '';
  if (!/^[0-9a-f]{32}$/.test(rootPathHash)) throw malformed('has a line R that is no MD5');
  const rootSize = number(values, 'B', Number.MAX_SAFE_INTEGER);
  return {
    rootHash,
    rootSize: rootSize === 0 ? undefined : rootSize,
    rootPathHash,
    ttl: number(values, 'D', 0xffff_ffff),
    revision: number(values, 'S', Number.MAX_SAFE_INTEGER),
    collectable: values.get('G') === 'yes',
    alternative: values.get('A') === 'yes',
    microCatalog: optionalHash(values, 'L'),
    name: values.get('N'),
    certificate: optionalHash(values, 'X'),
    history: optionalHash(values, 'H'),
    published: number(values, 'T', secondsMax),
    metainfo: optionalHash(values, 'M'),
    reflog: optionalHash(values, 'Y'),
    channels: values.get('Z') ?? '',
    envelope,
  };
}

/** Empty and all zeros are "no hash" (docs/format.md, 2.1). */
function optionalHash(values: ReadonlyMap<string, string>, key: string): ContentHash | undefined {
  const text = values.get(key);
  if (text === undefined || /^0*(?:-rmd160|-shake128)?$/.test(text)) return undefined;
  const hash = parseHash(text);
  if (hash === undefined) {
    throw malformed(`has a line ${key} that is no hash: "${printable(text.slice(0, 80))}"`);
  }
  return hash;
}

function number(values: ReadonlyMap<string, string>, key: string, most: number): number {
  const text = values.get(key);
  if (text === undefined) return 0;
  const value = /^[0-9]{1,16}$/.test(text) ? Number(text) : Infinity;
  if (value > most) {
    throw malformed(
      `has a line ${key} that is no number in range: "${printable(text.slice(0, 80))}"`,
    );
  }
  return value;
}

function malformed(what: string): PinfsError {
  return new PinfsError('MANIFEST_MALFORMED', `the manifest (.cvmfspublished) ${what}`, {
    advice: 'check that the URL is that of a repository, and that no log-in page answers for it',
  });
}
