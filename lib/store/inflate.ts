import { printable } from '../format/bytes.js';
import { compressions, type Codec, type Unpacked } from '../format/compression.js';
import { PinfsError } from '../format/errors.js';
import { hashBytes, objectText, type ContentHash } from '../format/hash.js';
import { piecesOf, sizeOfStored, type Stored } from './cache/stored.js';
import { spend, type StoreSpent } from './spent.js';
import type { Want } from './want.js';

/**
 * From stored bytes to plain bytes, believing neither. zlib-sync is not used: it is a tenth or a fifth
 * faster for objects up to 4 KiB, but never frees its state (no inflateEnd: 11 KiB and more stay
 * behind for each object, see bench/inflate.ts), has no bound of its own and doesn't tell how much of
 * its input it consumed.
 */

/** Larger promises are refused. */
export const largestObject = 2 ** 31 - 2 ** 16;

// Plain bytes that are handed on at once.
const pieceBytes = 128 * 1024;

/** How many stored bytes an object may have at most. */
export function storedLimit(want: Want): number {
  const range = want.external?.range;
  const limit = compressions[want.compression].storedBytesMax(want.size.bytes);
  return range === undefined ? limit : Math.min(range.length, limit);
}

/**
 * Checks the hash of stored bytes and unpacks them. Uses no more memory than was promised.
 * @throws PinfsError OBJECT_HASH_MISMATCH, OBJECT_NOT_ZLIB, OBJECT_TRAILING_BYTES, OBJECT_SIZE_MISMATCH, OBJECT_TOO_LARGE.
 */
export function unpack(stored: Buffer, want: Want, spent?: StoreSpent): Buffer {
  const found = spend(spent, 'verify', () => hashBytes(want.object.hash.algorithm, stored));
  checkHash(found, stored.length, want);
  checkPlain(undefined, want);
  const { codec } = compressions[want.compression];
  const plain =
    codec === undefined ? stored : spend(spent, 'inflate', () => unpackWith(codec, stored, want));
  checkSize(plain.length, want);
  return plain;
}

/** @throws PinfsError OBJECT_HASH_MISMATCH. */
export function checkHash(found: ContentHash, bytes: number, want: Want): void {
  if (found.text === want.object.hash.text) return;
  throw damaged('OBJECT_HASH_MISMATCH', want, `its ${bytes} bytes have another hash`);
}

/** Holds the promise against what is possible, and a size against the promise. @throws PinfsError OBJECT_SIZE_MISMATCH, OBJECT_TOO_LARGE. */
export function checkPlain(size: number | undefined, want: Want): void {
  if (want.size.bytes > largestObject) throw tooLarge(want, `more than ${largestObject} bytes`);
  if (size !== undefined) checkSize(size, want);
}

/** Holds the size of an object against what was promised. @throws PinfsError OBJECT_SIZE_MISMATCH, OBJECT_TOO_LARGE. */
export function checkSize(size: number, want: Want): void {
  const promised = want.size.bytes;
  if (want.size.kind === 'limit') {
    if (size > promised) throw tooLarge(want, `${size} bytes, and at most ${promised} are allowed`);
  } else if (size !== promised) {
    const text = `it has ${size} bytes, and ${promised} were promised`;
    throw damaged('OBJECT_SIZE_MISMATCH', want, text);
  }
}

/** Whether an object of this size is the one that is wanted. */
export function fits(size: number, want: Want): boolean {
  return want.size.kind === 'limit' ? size <= want.size.bytes : size === want.size.bytes;
}

function unpackWith(codec: Codec, stored: Buffer, want: Want): Buffer {
  const found: Unpacked = codec.unpack(stored, want.size.bytes, want.size.kind === 'exact');
  switch (found.kind) {
    case 'done':
      checkTrailing(found.trailingBytes, codec, want);
      return found.plain;
    case 'too-large':
      throw tooMuch(want);
    case 'broken':
      throw broken(codec, want, found.reason);
  }
}

/**
 * Unpacks stored bytes in pieces, whose hash was checked before; each piece of plain bytes is handed on.
 * @returns how many plain bytes there were.
 * @throws PinfsError OBJECT_NOT_ZLIB, OBJECT_TRAILING_BYTES, OBJECT_SIZE_MISMATCH, OBJECT_TOO_LARGE; what `take` throws.
 */
export async function unpackPieces(
  stored: Stored,
  codec: Codec,
  want: Want,
  take: (piece: Buffer) => void,
): Promise<number> {
  const unpacker = codec.stream(pieceBytes);
  const pieces = piecesOf(stored);
  let size = 0;
  try {
    await new Promise<void>((resolve, reject) => {
      const attempt = (work: () => void): void => {
        try {
          work();
        } catch (thrown) {
          reject(thrown instanceof Error ? thrown : new Error(String(thrown)));
        }
      };
      unpacker.on('data', (piece: Buffer) => {
        attempt(() => {
          size += piece.length;
          if (size > want.size.bytes) throw tooMuch(want);
          take(piece);
        });
      });
      // It ends where the stream does, whatever follows.
      unpacker.on('end', resolve);
      // A dictionary (FDICT), a cut stream and a wrong check sum come here.
      unpacker.on('error', (error) => reject(broken(codec, want, error.message)));
      const feed = (): void => {
        attempt(() => {
          const next = pieces.next();
          // It is read into the same memory again: only when it is used up.
          const goOn = (error: unknown): void => {
            if (error === null || error === undefined) feed();
          };
          if (next.done === true) unpacker.end();
          else unpacker.write(next.value, goOn);
        });
      };
      feed();
    });
  } finally {
    unpacker.destroy();
  }
  checkTrailing(sizeOfStored(stored) - unpacker.bytesWritten, codec, want);
  checkSize(size, want);
  return size;
}

function tooMuch(want: Want): PinfsError {
  const promised = want.size.bytes;
  if (want.size.kind === 'limit') return tooLarge(want, `more than ${promised} bytes`);
  return damaged('OBJECT_SIZE_MISMATCH', want, `it inflates to more than ${promised} bytes`);
}

function broken(codec: Codec, want: Want, reason: string): PinfsError {
  return damaged('OBJECT_NOT_ZLIB', want, `it is not a complete ${codec.streamName} (${reason})`);
}

function checkTrailing(trailing: number, codec: Codec, want: Want): void {
  if (trailing === 0) return;
  const text = `${trailing} bytes follow the end of its ${codec.streamName}`;
  throw damaged('OBJECT_TRAILING_BYTES', want, text);
}

/** `data/ab/cdef…` is of little use to people: the object, and the path for which it is needed. */
export function describe(want: Want): string {
  const path = want.path === '' ? '/' : printable(want.path);
  return `object ${objectText(want.object)} of ${path}`;
}

function damaged(
  code:
    'OBJECT_HASH_MISMATCH' | 'OBJECT_NOT_ZLIB' | 'OBJECT_TRAILING_BYTES' | 'OBJECT_SIZE_MISMATCH',
  want: Want,
  text: string,
): PinfsError {
  return new PinfsError(code, `${describe(want)} is damaged: ${text}`);
}

function tooLarge(want: Want, text: string): PinfsError {
  return new PinfsError('OBJECT_TOO_LARGE', `${describe(want)} is too large: ${text}`);
}
