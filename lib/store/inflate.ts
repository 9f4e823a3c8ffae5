import { createInflate, inflateSync } from 'node:zlib';
import { printable } from '../format/bytes.js';
import { errorCode } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';
import { hashBytes, objectText, type ContentHash } from '../format/hash.js';
import { piecesOf, sizeOfStored, type Stored } from './cache/stored.js';
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

// Deflate makes at most 1,032 bytes of one (258 bytes from two bits); what is above needs no buffer.
const expansionMax = 1033;

/**
 * How many stored bytes an object may have at most. Deflate makes incompressible data a little
 * larger: 5 bytes in 16 KiB at stock settings, up to an eighth at odd ones.
 */
export function storedLimit(want: Want): number {
  const range = want.external?.range;
  const plain = want.size.bytes;
  const limit = want.compression === 'none' ? plain : plain + Math.ceil(plain / 8) + 64 * 1024;
  return range === undefined ? limit : Math.min(range.length, limit);
}

/**
 * Checks the hash of stored bytes and unpacks them. Uses no more memory than was promised.
 * @throws PinfsError OBJECT_HASH_MISMATCH, OBJECT_NOT_ZLIB, OBJECT_TRAILING_BYTES, OBJECT_SIZE_MISMATCH, OBJECT_TOO_LARGE.
 */
export function unpack(stored: Buffer, want: Want): Buffer {
  checkHash(hashBytes(want.object.hash.algorithm, stored), stored.length, want);
  checkPlain(undefined, want);
  const plain = want.compression === 'none' ? stored : inflate(stored, want);
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

function inflate(stored: Buffer, want: Want): Buffer {
  const promised = want.size.bytes;
  const most = Math.min(promised, stored.length * expansionMax) + 1;
  // A limit says little about the size: begin with a guess there.
  const guess = want.size.kind === 'exact' ? most : Math.min(most, stored.length * 4);
  let result: { buffer: Buffer; engine: { bytesWritten: number } };
  try {
    result = inflateSync(stored, {
      chunkSize: Math.max(64, guess),
      maxOutputLength: Math.max(1, promised),
      info: true,
    }) as unknown as typeof result;
  } catch (thrown) {
    if (errorCode(thrown) === 'ERR_BUFFER_TOO_LARGE') throw tooMuch(want);
    throw notZlib(want, thrown);
  }
  checkTrailing(stored.length - result.engine.bytesWritten, want);
  return result.buffer;
}

/**
 * Inflates stored bytes in pieces, whose hash was checked before; each piece of plain bytes is handed on.
 * @returns how many plain bytes there were.
 * @throws PinfsError OBJECT_NOT_ZLIB, OBJECT_TRAILING_BYTES, OBJECT_SIZE_MISMATCH, OBJECT_TOO_LARGE; what `take` throws.
 */
export async function inflatePieces(
  stored: Stored,
  want: Want,
  take: (piece: Buffer) => void,
): Promise<number> {
  const inflater = createInflate({ chunkSize: pieceBytes });
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
      inflater.on('data', (piece: Buffer) => {
        attempt(() => {
          size += piece.length;
          if (size > want.size.bytes) throw tooMuch(want);
          take(piece);
        });
      });
      // It ends where the stream does, whatever follows.
      inflater.on('end', resolve);
      // A dictionary (FDICT), a cut stream and a wrong check sum come here.
      inflater.on('error', (error) => reject(notZlib(want, error)));
      const feed = (): void => {
        attempt(() => {
          const next = pieces.next();
          // It is read into the same memory again: only when it is used up.
          const goOn = (error: unknown): void => {
            if (error === null || error === undefined) feed();
          };
          if (next.done === true) inflater.end();
          else inflater.write(next.value, goOn);
        });
      };
      feed();
    });
  } finally {
    inflater.destroy();
  }
  checkTrailing(sizeOfStored(stored) - inflater.bytesWritten, want);
  checkSize(size, want);
  return size;
}

function tooMuch(want: Want): PinfsError {
  const promised = want.size.bytes;
  if (want.size.kind === 'limit') return tooLarge(want, `more than ${promised} bytes`);
  return damaged('OBJECT_SIZE_MISMATCH', want, `it inflates to more than ${promised} bytes`);
}

function notZlib(want: Want, thrown: unknown): PinfsError {
  // A dictionary (FDICT), a cut stream and a wrong check sum come here as well.
  const reason = thrown instanceof Error ? thrown.message : String(thrown);
  return damaged('OBJECT_NOT_ZLIB', want, `it is not a complete zlib stream (${reason})`);
}

function checkTrailing(trailing: number, want: Want): void {
  if (trailing === 0) return;
  const text = `${trailing} bytes follow the end of its zlib stream`;
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
