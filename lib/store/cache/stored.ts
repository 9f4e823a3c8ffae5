import { readSync } from 'node:fs';

/** Stored bytes in a file of our own; it is read by its descriptor, whatever becomes of its name. */
export interface StoredFile {
  readonly fd: number;
  /** Where it lies, unless it was given another name. */
  readonly path: string;
  readonly size: number;
}

/** What came from a source, not verified yet. */
export type Stored = Buffer | StoredFile;

/** What is read of a file at once. */
export const pieceBytes = 256 * 1024;

/** The bytes of what was stored, in pieces; each is overwritten by the next. */
export function* piecesOf(stored: Stored): Generator<Buffer> {
  if (Buffer.isBuffer(stored)) {
    yield stored;
    return;
  }
  const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(pieceBytes, stored.size)));
  for (let at = 0; at < stored.size;) {
    const length = readSync(stored.fd, buffer, 0, Math.min(buffer.length, stored.size - at), at);
    if (length === 0) throw new Error('a file became shorter while it was read');
    at += length;
    yield buffer.subarray(0, length);
  }
}

/** Bytes of what was stored. */
export function sizeOfStored(stored: Stored): number {
  return Buffer.isBuffer(stored) ? stored.length : stored.size;
}
