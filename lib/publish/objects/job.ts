import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { toBytes, type ByteString } from '../../format/bytes.js';
import type { Compression } from '../../format/compression.js';
import { fileFault } from '../../format/file-fault.js';
import { hasherOf, type ContentHash, type HashAlgorithm } from '../../format/hash.js';
import { cutFinder } from './chunker.js';
import type { ChunkSizes } from './content.js';
import { stockDeflater } from './deflate.js';
import { placeObject, Unwritable, type ObjectPlace, type PlacedObject } from './place.js';

/** Bytes that a job reads. */
export type JobInput = { readonly bytes: Uint8Array } | FileInput;

export interface FileInput {
  readonly file: ByteString;
  readonly offset: number;
  readonly size: number;
  /** What `identityOf` says of the file that is meant; undefined: any. */
  readonly identity: string | undefined;
}

/** Plain bytes to an object. */
export interface PackJob {
  readonly kind: 'pack';
  readonly input: JobInput;
  readonly algorithm: HashAlgorithm;
  readonly compression: Compression;
  /** Undefined: the object is named and not kept. Else where one goes that is too large for memory. */
  readonly temporary: string | undefined;
  /** The object is put into a storage; undefined: it is given back. */
  readonly place?: ObjectPlace | undefined;
}

/** Where the next chunks of a file begin. */
export interface CutJob {
  readonly kind: 'cut';
  readonly input: FileInput;
  readonly sizes: ChunkSizes;
  /** A chunk begins here. Positions count from the input's offset. */
  readonly start: number;
}

/** An object as it is stored. */
export type Packed = Uint8Array | { readonly file: string; readonly size: number };

export interface PackDone {
  readonly hash: ContentHash;
  /** Undefined where it was not to be kept. */
  readonly packed: Packed | PlacedObject | undefined;
}

export interface CutDone {
  readonly cuts: readonly number[];
  /** There are no more behind these. */
  readonly isLast: boolean;
}

/** The file is another, or of another size or time, than when it was looked at. */
export class Changed extends Error {}

/** The file can't be opened or read. */
export class Unreadable extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

// Pieces that are read at once, and the size from which on an object is kept in a file: threads times this is what
// a run takes, whatever it publishes.
const pieceBytes = 256 * 1024;
const keptBytesMax = 4 * 2 ** 20;
// About a tenth of a second; the first chunks of a large file are packed meanwhile.
const cutsAtOnce = 8;

let piece: Buffer | undefined;

/** Tells one state of a file from another: which it is, its size and its times. */
export function identityOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}:${stats.size}:${stats.mtimeNs}:${stats.ctimeNs}`;
}

/** Makes an object of plain bytes. */
export function packObject(job: PackJob): PackDone {
  const { algorithm, compression, temporary } = job;
  const hasher = hasherOf(algorithm);
  const kept = temporary === undefined ? undefined : keeper(temporary);
  const take = (stored: Buffer): void => {
    hasher.update(stored);
    kept?.take(stored);
  };
  try {
    withPieces(job.input, (pieces) => {
      if (compression === 'zlib') stockDeflater().deflate(pieces, take);
      else for (const plain of pieces) take(plain);
    });
    const hash = hasher.digest();
    const packed = kept?.done();
    const isGiven = packed === undefined || temporary === undefined || job.place === undefined;
    return { hash, packed: isGiven ? packed : placeObject(packed, hash, job.place, temporary) };
  } catch (thrown) {
    kept?.drop();
    throw thrown;
  }
}

/** Finds some cuts of a file, reading what the finder wants alone. */
export function findCuts(job: CutJob): CutDone {
  const { input, sizes, start } = job;
  const finder = cutFinder(sizes, start);
  const cuts: number[] = [];
  piece ??= Buffer.alloc(pieceBytes);
  const buffer = piece;
  return withFile(input, (fd) => {
    while (finder.wants < input.size && cuts.length < cutsAtOnce) {
      const from = finder.wants;
      const bytes = readAt(fd, buffer, input, from, Math.min(buffer.length, input.size - from));
      while (finder.wants < from + bytes.length) {
        const found = finder.next(bytes.subarray(finder.wants - from));
        if (found === undefined || found >= input.size) break;
        cuts.push(found);
      }
    }
    return { cuts, isLast: finder.wants >= input.size };
  });
}

function withPieces(input: JobInput, use: (pieces: Iterable<Buffer>) => void): void {
  if ('bytes' in input) {
    const { bytes } = input;
    use([Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)]);
    return;
  }
  piece ??= Buffer.alloc(pieceBytes);
  const buffer = piece;
  withFile(input, (fd) => {
    use(
      (function* pieces() {
        for (let at = 0; at < input.size; at += buffer.length)
          yield readAt(fd, buffer, input, at, Math.min(buffer.length, input.size - at));
      })(),
    );
  });
}

/** Opens a file that must be the one meant before and after it is used. */
function withFile<T>(input: FileInput, use: (fd: number) => T): T {
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  // A device or FIFO that took the file's place would hold us.
  const fd = reading(() => openSync(toBytes(input.file), O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
  try {
    check(fd, input);
    const result = use(fd);
    check(fd, input);
    return result;
  } finally {
    closeSync(fd);
  }
}

function check(fd: number, input: FileInput): void {
  if (input.identity === undefined) return;
  if (identityOf(fstatSync(fd, { bigint: true })) !== input.identity) throw new Changed();
}

function reading<T>(call: () => T): T {
  try {
    return call();
  } catch (thrown) {
    throw new Unreadable(fileFault(thrown, 'read').why);
  }
}

function readAt(fd: number, into: Buffer, input: FileInput, at: number, size: number): Buffer {
  let read = 0;
  while (read < size) {
    const position = input.offset + at + read;
    const count = reading(() => readSync(fd, into, read, size - read, position));
    if (count === 0) throw new Changed();
    read += count;
  }
  return into.subarray(0, size);
}

/** Keeps an object in memory, or in a file from a certain size on. */
function keeper(temporary: string) {
  let parts: Buffer[] = [];
  let size = 0;
  let fd: number | undefined;
  const write = (bytes: Buffer): void => {
    try {
      // It becomes a file of the storage, which a web server reads.
      fd ??= openSync(temporary, 'wx', 0o666);
      for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    } catch (thrown) {
      throw new Unwritable(thrown);
    }
  };
  return {
    take(bytes: Buffer): void {
      size += bytes.length;
      if (fd === undefined && size <= keptBytesMax) {
        parts.push(Buffer.from(bytes));
        return;
      }
      for (const part of parts) write(part);
      parts = [];
      write(bytes);
    },
    done(): Packed {
      if (fd !== undefined) {
        closeSync(fd);
        return { file: temporary, size };
      }
      // A buffer of its own, which can be handed to another thread.
      const whole = new Uint8Array(size);
      let at = 0;
      for (const part of parts) {
        whole.set(part, at);
        at += part.length;
      }
      return whole;
    },
    drop(): void {
      if (fd === undefined) return;
      closeSync(fd);
      unlinkSync(temporary);
    },
  };
}
