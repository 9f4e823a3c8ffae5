import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { Deflate } from 'pako';
import type { Compression } from '../../format/compression.js';
import { hasherOf, type ContentHash } from '../../format/hash.js';
import { removeEntry } from '../../files/regular.js';
import { errorCode } from '../../format/errno.js';
import { readFully } from '../cache/read-fully.js';
import type { Want } from '../want.js';
import type { SpotInFile } from './foreign-records.js';

/** What a copy has to be. */
export interface Promised {
  readonly hash: ContentHash;
  readonly compression: Compression;
  readonly size: Want['size'];
}

export interface Copied {
  readonly size: number;
  /** Of the plain bytes. */
  readonly sha256: Buffer;
}

const pieceBytes = 1024 * 1024;

/**
 * Copies the plain bytes of an object to a new file, if they are what its content hash says. That is taken over the
 * stored bytes, which zlib makes of the plain ones again: those of stock zlib, as publishers use, or else those of the
 * one in Node. Whatever other makers made is not recognized. Nothing is believed of the file but the bytes that were copied.
 * @param place a whole file, or bytes of one
 * @returns undefined: it isn't there, or not right. @throws errors of writing.
 */
export function copyChecked(
  place: SpotInFile,
  promised: Promised,
  target: string,
): Copied | undefined {
  const source = openPlain(place.path);
  if (source === undefined) return undefined;
  try {
    if (!mayBe(place.size ?? fstatSync(source).size, promised.size)) return undefined;
    const copy = openSync(target, 'wx+', 0o444);
    try {
      const { size, sha256, hash } = copyAndHash(source, copy, promised, place);
      const isRight =
        mayBe(size, promised.size) &&
        (hash === promised.hash.text ||
          (hasOtherForm[promised.compression] &&
            hashOf(copy, size, promised) === promised.hash.text));
      if (isRight) return { size, sha256 };
    } finally {
      closeSync(copy);
    }
  } catch (thrown) {
    removeEntry(target);
    throw thrown;
  } finally {
    closeSync(source);
  }
  removeEntry(target);
  return undefined;
}

/** @returns undefined for what is no file, or can't be opened. */
function openPlain(path: string): number | undefined {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW, O_NOCTTY } = constants;
  try {
    const fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY);
    if (fstatSync(fd).isFile()) return fd;
    closeSync(fd);
  } catch (thrown) {
    if (errorCode(thrown) === undefined) throw thrown;
  }
  return undefined;
}

function mayBe(size: number, promised: Want['size']): boolean {
  return promised.kind === 'exact' ? size === promised.bytes : size <= promised.bytes;
}

/** Copies at most one byte more than was promised. */
function copyAndHash(source: number, copy: number, promised: Promised, place: SpotInFile) {
  const plain = createHash('sha256');
  const stored = storedHasher(promised, true);
  const buffer = Buffer.allocUnsafe(pieceBytes);
  const most = Math.min(place.size ?? Infinity, promised.size.bytes + 1);
  let size = 0;
  while (size < most) {
    const length = Math.min(pieceBytes, most - size);
    const count = readFully(source, buffer, 0, length, place.start + size);
    if (count <= 0) break;
    const piece = buffer.subarray(0, count);
    for (let at = 0; at < count;) at += writeSync(copy, piece, at);
    plain.update(piece);
    stored.update(piece);
    size += count;
  }
  return { size, sha256: plain.digest(), hash: stored.digest() };
}

/** What Node's zlib would have made of the copy. */
function hashOf(copy: number, size: number, promised: Promised): string | undefined {
  const stored = storedHasher(promised, false);
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(pieceBytes, size)));
  for (let position = 0; position < size;) {
    const count = readFully(copy, buffer, 0, Math.min(buffer.length, size - position), position);
    if (count <= 0) return undefined;
    stored.update(buffer.subarray(0, count));
    position += count;
  }
  return stored.digest();
}

interface StoredHasher {
  update(plain: Buffer): void;
  /** The text of the content hash; undefined: it could not be compressed. */
  digest(): string | undefined;
}

/** Hashes what the plain bytes become when they are stored. */
function storedHasher({ hash, compression }: Promised, isStock: boolean): StoredHasher {
  const hasher = hasherOf(hash.algorithm);
  switch (compression) {
    case 'none':
      return { update: (plain) => hasher.update(plain), digest: () => hasher.digest().text };
    case 'zlib': {
      const deflate = new Deflate({ legacyHash: isStock });
      deflate.onData = (piece) => hasher.update(piece);
      return {
        update: (plain) => void deflate.push(plain, false),
        digest: () => (deflate.push(new Uint8Array(0), true) ? hasher.digest().text : undefined),
      };
    }
  }
}

/** Whether different makers store the same plain bytes in different ways. */
const hasOtherForm: Readonly<Record<Compression, boolean>> = { zlib: true, none: false };
