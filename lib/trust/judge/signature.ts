import { constants, publicDecrypt, verify, type KeyObject } from 'node:crypto';

/*
 * The two forms of RSA signature. Both sign the text of the hash line, and in different ways
 * (docs/format.md, 3.3 and 4.3). Whatever goes wrong inside is "not signed".
 */

/** Manifest: RSASSA-PKCS1-v1_5 with SHA-1 over the hash line, whatever the repository's algorithm. */
export function verifyManifestSignature(
  hashLine: string,
  signature: Buffer,
  key: KeyObject,
): boolean {
  try {
    return verify('sha1', Buffer.from(hashLine, 'latin1'), key, signature);
  } catch {
    return false;
  }
}

/** Whitelist: the hash line itself in a PKCS#1 block of type 1, with no DigestInfo. */
export function verifyWhitelistSignature(
  hashLine: string,
  signature: Buffer,
  key: KeyObject,
): boolean {
  const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
  if (signature.length !== Math.ceil(bits / 8)) return false;
  try {
    const signed = publicDecrypt({ key, padding: constants.RSA_PKCS1_PADDING }, signature);
    return signed.equals(Buffer.from(hashLine, 'latin1'));
  } catch {
    return false;
  }
}
