import { X509Certificate, type KeyObject } from 'node:crypto';
import { PinfsError } from './errors.js';
import { hashBytes, type ContentHash, type HashAlgorithm } from './hash.js';

/**
 * What is used of a certificate object. It is a container for a key: its dates, issuer and
 * signature say nothing (docs/format.md, 3.5).
 */
export interface Certificate {
  readonly publicKey: KeyObject;
  /** Bits of the RSA modulus. */
  readonly bits: number;
  /** Fingerprints are hashes over this. */
  readonly der: Buffer;
}

/** Reads the inflated certificate object, PEM text. Error: CERTIFICATE_MALFORMED. */
export function parseCertificate(plain: Buffer): Certificate | PinfsError {
  // Node would take DER as well; published objects are PEM.
  if (!plain.includes('-----BEGIN ')) return malformedCertificate('is not PEM text');
  try {
    const certificate = new X509Certificate(plain);
    const publicKey = certificate.publicKey;
    const bits = publicKey.asymmetricKeyDetails?.modulusLength;
    if (publicKey.asymmetricKeyType !== 'rsa' || bits === undefined) {
      return malformedCertificate('holds a key that is not RSA');
    }
    return { publicKey, bits, der: certificate.raw };
  } catch {
    return malformedCertificate('is no X.509 certificate');
  }
}

/** The fingerprint of a certificate by one algorithm. */
export function fingerprintOf(certificate: Certificate, algorithm: HashAlgorithm): ContentHash {
  return hashBytes(algorithm, certificate.der);
}

/** The first of these fingerprints that is the certificate's, each compared by its own algorithm. */
export function findFingerprint(
  certificate: Certificate,
  fingerprints: readonly ContentHash[],
): ContentHash | undefined {
  const own = new Map<HashAlgorithm, string>();
  return fingerprints.find((listed) => {
    let text = own.get(listed.algorithm);
    if (text === undefined) {
      text = fingerprintOf(certificate, listed.algorithm).text;
      own.set(listed.algorithm, text);
    }
    return text === listed.text;
  });
}

export function malformedCertificate(what: string): PinfsError {
  return new PinfsError('CERTIFICATE_MALFORMED', `the certificate named by the manifest ${what}`);
}
