import { createInflate, deflateSync, inflateSync, type Inflate } from 'node:zlib';
import { errorCode } from './errno.js';

/** How an object is stored (docs/format.md, 2.4). */
export type Compression = 'zlib' | 'none';

/** What came out of stored bytes that should be one compressed stream. */
export type Unpacked =
  | {
      readonly kind: 'done';
      readonly plain: Buffer;
      /** How many bytes follow the end of the stream. */
      readonly trailingBytes: number;
    }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'broken'; readonly reason: string };

/** The packing of what is compressed. Stored bytes are hostile: nothing is unpacked beyond what is allowed. */
export interface Codec {
  /** What people call such bytes. */
  readonly streamName: string;
  /**
   * Unpacks a whole object, to at most `plainBytesMax`. Uses no more memory than that.
   * @param isExact that many are expected, which saves growing; else it is but a limit.
   */
  readonly unpack: (stored: Buffer, plainBytesMax: number, isExact: boolean) => Unpacked;
  /** Unpacks in pieces of this size; whoever reads bounds the sum. Its `bytesWritten` ends where the stream does. */
  readonly stream: (pieceBytes: number) => Inflate;
  readonly pack: (plain: Buffer) => Buffer;
}

/** All that differs from one compression to the next: another one is another row. */
export interface CompressionRow {
  /** Its number in the flags of a catalog row (docs/format.md, 5.5). */
  readonly flagCode: number;
  /** What the keys of such objects end with in the cache: the same bytes stored in another way are another object. */
  readonly keySuffix: string;
  /** The most bytes that an object of so many plain ones may take when stored. */
  readonly storedBytesMax: (plainBytes: number) => number;
  /** Undefined: what is stored are the plain bytes. */
  readonly codec: Codec | undefined;
}

// Deflate makes at most 1,032 bytes of one (258 bytes from two bits); what is above needs no buffer.
const deflateExpansionMax = 1033;

const zlib: Codec = {
  streamName: 'zlib stream',
  unpack(stored, plainBytesMax, isExact) {
    const most = Math.min(plainBytesMax, stored.length * deflateExpansionMax) + 1;
    // A limit says little about the size: begin with a guess there.
    const guess = isExact ? most : Math.min(most, stored.length * 4);
    try {
      // With `info` Node also returns the engine, which knows how much was consumed.
      const { buffer, engine } = inflateSync(stored, {
        chunkSize: Math.max(64, guess),
        maxOutputLength: Math.max(1, plainBytesMax),
        info: true,
      }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
      return { kind: 'done', plain: buffer, trailingBytes: stored.length - engine.bytesWritten };
    } catch (thrown) {
      if (errorCode(thrown) === 'ERR_BUFFER_TOO_LARGE') return { kind: 'too-large' };
      // A dictionary (FDICT), a cut stream and a wrong check sum come here as well.
      return { kind: 'broken', reason: thrown instanceof Error ? thrown.message : String(thrown) };
    }
  },
  stream: (pieceBytes) => createInflate({ chunkSize: pieceBytes }),
  pack: (plain) => deflateSync(plain),
};

/** Every compression there is. */
export const compressions: Readonly<Record<Compression, CompressionRow>> = {
  zlib: {
    flagCode: 0,
    keySuffix: '',
    // Incompressible data becomes a little larger: 5 bytes in 16 KiB at stock settings, up to an eighth at odd ones.
    storedBytesMax: (plainBytes) => plainBytes + Math.ceil(plainBytes / 8) + 64 * 1024,
    codec: zlib,
  },
  none: {
    flagCode: 1,
    keySuffix: '.plain',
    storedBytesMax: (plainBytes) => plainBytes,
    codec: undefined,
  },
};

/** The packing of what is always compressed so: catalogs, histories, certificates. */
export const zlibCodec = zlib;

const flagShift = 11;
const byFlagCode: readonly (Compression | undefined)[] = Array.from({ length: 8 }, (_, code) =>
  (Object.keys(compressions) as Compression[]).find((name) => compressions[name].flagCode === code),
);

/** The compression in the flags of a catalog row; undefined for a number that is not known. */
export function compressionOfFlags(flags: number): Compression | undefined {
  return byFlagCode[(flags >> flagShift) & 7];
}

/** The bits that say it. */
export function flagsOfCompression(compression: Compression): number {
  return compressions[compression].flagCode << flagShift;
}

/** Plain bytes as they are stored. */
export function pack(plain: Buffer, compression: Compression): Buffer {
  return compressions[compression].codec?.pack(plain) ?? plain;
}
