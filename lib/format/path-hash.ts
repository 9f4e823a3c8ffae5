import { hash } from 'node:crypto';
import type { ByteString } from './bytes.js';
import { toBytes } from './bytes.js';

/**
 * Path hashes (docs/format.md, 5.4): MD5 of the absolute path, the root being the empty string.
 * Catalogs keep the 16 bytes as two signed little-endian 64-bit integers.
 */
export function pathDigest(path: ByteString): Buffer {
  return hash('md5', hashed(path), 'buffer');
}

/** A path hash as four little-endian 32-bit words. */
export type PathWords = readonly [number, number, number, number];

/** Whether these words are the hash of a path. Made once for each row that is shown, hence without a buffer. */
export function isHashOf(words: PathWords, path: ByteString): boolean {
  const digest = hash('md5', hashed(path), 'binary');
  return (
    wordAt(digest, 0) === words[0] &&
    wordAt(digest, 4) === words[1] &&
    wordAt(digest, 8) === words[2] &&
    wordAt(digest, 12) === words[3]
  );
}

function wordAt(bytes: ByteString, at: number): number {
  const high = (bytes.charCodeAt(at + 3) << 8) | bytes.charCodeAt(at + 2);
  return ((high << 16) | (bytes.charCodeAt(at + 1) << 8) | bytes.charCodeAt(at)) >>> 0;
}

// Strings are hashed as UTF-8, which of ASCII is the same bytes.
const ascii = /^[\0-\x7f]*$/;

function hashed(path: ByteString): string | Buffer {
  return ascii.test(path) ? path : toBytes(path);
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
  const word = (index: number) => digest.readUInt32LE(index * 4);
  return inodeOfWords([word(0), word(1), word(2), word(3)]);
}

/** The same from the words of a path hash. */
export function inodeOfWords([first, second, third, fourth]: PathWords): bigint {
  return inode(first, second) ?? inode(third, fourth) ?? 2n;
}

const joined = new DataView(new ArrayBuffer(8));

function inode(low: number, high: number): bigint | undefined {
  joined.setUint32(0, low, true);
  joined.setUint32(4, high & 0x7fff_ffff, true);
  const number = joined.getBigUint64(0, true);
  return number > 1n ? number : undefined;
}
