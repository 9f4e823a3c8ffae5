import { sign, type KeyObject } from 'node:crypto';
import { hashBytes, type HashAlgorithm } from '../format/hash.js';

/** Lines, each with its end, then `--` and the hash of the lines: what both signed files begin with. */
export function envelopeText(
  lines: readonly string[],
  algorithm: HashAlgorithm,
): { text: Buffer; hash: Buffer } {
  const body = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
  const hash = Buffer.from(hashBytes(algorithm, body).text, 'latin1');
  return { text: Buffer.concat([body, Buffer.from('--\n'), hash, Buffer.from('\n')]), hash };
}

/** Lines as a manifest, signed (docs/format.md, 3.3: RSA with SHA-1 over the hash line). */
export function signLines(
  lines: readonly string[],
  algorithm: HashAlgorithm,
  key: KeyObject | string,
): Buffer {
  const { text, hash } = envelopeText(lines, algorithm);
  return Buffer.concat([text, sign('sha1', hash, key)]);
}
