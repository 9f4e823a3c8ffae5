import { hash } from 'node:crypto';
import type { ByteString } from './bytes.js';
import { toBytes } from './bytes.js';

/**
 * Path hashes (format document, 5.4): MD5 of the absolute path, the root being the empty string.
 * Catalogs keep the 16 bytes as two signed little-endian 64-bit integers.
 */
export function pathDigest(path: ByteString): Buffer {
  return hash('md5', toBytes(path), 'buffer');
}

/** The two integers under which a catalog keeps a digest, to be bound in a query. */
export function pathKey(digest: Buffer): readonly [bigint, bigint] {
  return [digest.readBigInt64LE(0), digest.readBigInt64LE(8)];
}

/**
 * An inode number from a digest: its first 63 bits, never 0 or 1 (0 is no inode for many programs,
 * 1 is the root of FUSE).
 */
export function inodeOfDigest(digest: Buffer): bigint {
  const first = digest.readBigUInt64LE(0) & 0x7fff_ffff_ffff_ffffn;
  if (first > 1n) return first;
  const second = digest.readBigUInt64LE(8) & 0x7fff_ffff_ffff_ffffn;
  return second > 1n ? second : 2n;
}
