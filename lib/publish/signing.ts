import { constants, createHash, privateEncrypt, X509Certificate } from 'node:crypto';
import { hashBytes, type HashAlgorithm } from '../format/hash.js';
import { envelopeText, signLines } from './envelope.js';
import {
  testCertificate,
  testMasterKey,
  type MasterKeyPair,
  type SigningCertificate,
} from './keys.js';

/** A manifest of these lines, signed (docs/format.md, 3.3: RSA with SHA-1 over the hash line). */
export function signManifest(
  lines: readonly string[],
  algorithm: HashAlgorithm = 'sha1',
  key: SigningCertificate = testCertificate,
): Buffer {
  return signLines(lines, algorithm, key.privateKey);
}

/** A whitelist of these lines, signed (docs/format.md, 4.3: the hash line itself, padded). */
export function signWhitelist(
  lines: readonly string[],
  algorithm: HashAlgorithm = 'sha1',
  master: MasterKeyPair = testMasterKey,
): Buffer {
  const { text, hash } = envelopeText(lines, algorithm);
  const { privateKey } = master;
  const padding = constants.RSA_PKCS1_PADDING;
  return Buffer.concat([text, privateEncrypt({ key: privateKey, padding }, hash)]);
}

/** The fingerprint of a certificate as a whitelist has it: `AB:CD:…`, with the algorithm's tail. */
export function fingerprint(
  certificate: string = testCertificate.certificate,
  algorithm: HashAlgorithm = 'sha1',
): string {
  const { text } = hashBytes(algorithm, new X509Certificate(certificate).raw);
  const [digits = '', tail] = text.split('-');
  const pairs = digits.toUpperCase().match(/../g) ?? [];
  return pairs.join(':') + (tail === undefined ? '' : `-${tail}`);
}

/** The lines of a whitelist; `expires` is `YYYYMMDDhhmmss`. */
export function whitelistLines(
  fqrn: string,
  fingerprints: readonly string[],
  expires = '20991231000000',
): string[] {
  return ['20200101000000', `E${expires}`, `N${fqrn}`, ...fingerprints];
}

/** MD5 of the root's path, the value of the manifest's line R. */
export const rootPathHash = createHash('md5').digest('hex');
