import type { Blacklist } from '../../format/blacklist.js';
import {
  malformedCertificate,
  parseCertificate,
  type Certificate,
} from '../../format/certificate.js';
import { zlibCodec } from '../../format/compression.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { hashBytes, objectText, type ContentHash } from '../../format/hash.js';
import type { Manifest } from '../../format/manifest.js';
import type { MasterKey } from '../files/keys.js';
import type { SeenHead } from '../memory/seen-facts.js';
import type { Verdict } from '../verdict/verdict.js';

/** What a server gave for a repository's head, or why it did not. */
export interface Evidence {
  readonly manifest: Buffer | PinfsError;
  readonly whitelist: Buffer | PinfsError;
  /** The object as stored, compressed; undefined if it was not fetched. */
  readonly certificate: Buffer | PinfsError | undefined;
}

export interface JudgeContext {
  readonly fqrn: string;
  readonly keys: readonly MasterKey[];
  readonly now: Date;
  /** Judge as of this moment instead (`--trust-at`). */
  readonly trustAt: Date | undefined;
  readonly blacklist: Blacklist;
  /** The highest head verified on this machine; undefined also where rollback doesn't matter (pins). */
  readonly seen: SeenHead | undefined;
  /** Accept RSA keys below 2048 bits (`--weak-key`). */
  readonly weakKey: boolean;
}

export interface Judgement {
  /** `verified` or `refused`. */
  readonly verdict: Verdict;
  /** What the manifest says, if it can be read. To be believed only when `failure` is undefined. */
  readonly manifest: Manifest | undefined;
  /** The first step that failed; its code decides the exit code. */
  readonly failure: PinfsError | undefined;
}

/** The most that a certificate may inflate to. */
const certificateBytesMax = 64 * 1024;

/** Errors of objects that mean: something came, and it can't be what was asked for. */
const notTheObject: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'OBJECT_TOO_LARGE',
  'OBJECT_NOT_ZLIB',
  'OBJECT_TRAILING_BYTES',
  'OBJECT_SIZE_MISMATCH',
]);

const whenMissing = {
  manifest:
    'Is it the address of a repository? It is the one that .cvmfspublished lies in, mostly …/cvmfs/NAME.',
  whitelist: 'Ask who runs the server; or pin by root hash, which needs no signature.',
  certificate: 'Ask who runs the server; or pin by root hash, which needs no signature.',
};

/** What it means for the chain that one of its files could not be had. */
export function evidenceError(
  error: PinfsError,
  file: 'manifest' | 'whitelist' | 'certificate',
): PinfsError {
  const upper = file.toUpperCase() as Uppercase<typeof file>;
  const as = (code: ErrorCode, message: string, advice = error.advice): PinfsError =>
    new PinfsError(code, message, { ...(advice === undefined ? {} : { advice }), cause: error });
  if (error.code === 'OBJECT_MISSING') {
    return as(`${upper}_MISSING`, `the source has no ${file}: ${error.message}`, whenMissing[file]);
  }
  if (notTheObject.has(error.code)) {
    return as(`${upper}_MALFORMED`, `what should be the ${file} is none: ${error.message}`);
  }
  if (error.code === 'OBJECT_HASH_MISMATCH' && file === 'certificate') {
    return as('CERTIFICATE_HASH_MISMATCH', error.message);
  }
  return error;
}

/**
 * The certificate that a manifest names, from its object as stored: hash, then inflated within
 * bounds, then read. Errors: CERTIFICATE_MISSING, CERTIFICATE_HASH_MISMATCH, CERTIFICATE_MALFORMED,
 * SOURCE_* as given.
 */
export function storedCertificate(
  given: Evidence['certificate'],
  hash: ContentHash,
): Certificate | PinfsError {
  const name = objectText({ hash, kind: 'certificate' });
  if (given === undefined) {
    return new PinfsError('CERTIFICATE_MISSING', `the certificate ${name} was not fetched`);
  }
  if (given instanceof PinfsError) return evidenceError(given, 'certificate');
  const found = hashBytes(hash.algorithm, given).text;
  if (found !== hash.text) {
    return new PinfsError(
      'CERTIFICATE_HASH_MISMATCH',
      `the certificate object ${name} does not match its name: its hash is ${found}`,
    );
  }
  const plain = inflate(given);
  return plain instanceof PinfsError ? plain : parseCertificate(plain);
}

function inflate(stored: Buffer): Buffer | PinfsError {
  const found = zlibCodec.unpack(stored, certificateBytesMax, false);
  switch (found.kind) {
    case 'done':
      return found.trailingBytes === 0
        ? found.plain
        : malformedCertificate('has bytes behind its compressed stream');
    case 'too-large':
      return malformedCertificate(`inflates to more than ${certificateBytesMax} bytes`);
    case 'broken':
      return malformedCertificate('is no whole zlib stream');
  }
}
