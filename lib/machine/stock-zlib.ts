import { createRequire } from 'node:module';

/**
 * The system's libz, through koffi. Node has a zlib of its own, whose deflate makes other streams (docs/format.md, 2.4).
 */
export interface StockZlib {
  readonly version: string;
  /** Deflates at the default level into a zlib stream; what comes out is handed over piece by piece, each good until the next. */
  deflate(pieces: Iterable<Buffer>, take: (packed: Buffer) => void): void;
}

type Call = (...values: unknown[]) => number;

// struct z_stream of zlib.h on 64-bit machines, and where its members lie.
const streamBytes = 112;
const nextIn = 0;
const availIn = 8;
const nextOut = 24;
const availOut = 32;

const Z_NO_FLUSH = 0;
const Z_FINISH = 4;
const Z_STREAM_END = 1;
const Z_BUF_ERROR = -5;
const defaultLevel = -1;
const outputBytes = 256 * 1024;

/** The library; undefined where it, or koffi, is not there. One for each thread: it keeps one stream, which each use begins anew. */
export function stockZlib(): StockZlib | undefined {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    // Node's program has functions of the same names, which a shallow load would call.
    return bind(koffi, koffi.load('libz.so.1', { deep: true }));
  } catch {
    return undefined;
  }
}

type Koffi = typeof import('koffi');

function bind(koffi: Koffi, library: ReturnType<Koffi['load']>): StockZlib | undefined {
  const version = (library.func('str zlibVersion()') as unknown as () => string)();
  const deflateInit = library.func('int deflateInit_(void*, int, str, int)') as Call;
  const deflateReset = library.func('int deflateReset(void*)') as Call;
  const deflate = library.func('int deflate(void*, int)') as Call;
  const stream = Buffer.alloc(streamBytes);
  const output = Buffer.alloc(outputBytes);
  const outputAddress = koffi.address(output);
  if (deflateInit(stream, defaultLevel, version, streamBytes) !== 0) return undefined;
  /** Runs deflate until it has taken all of its input, or at the end has given all of its output. */
  const run = (flush: number, take: (packed: Buffer) => void): void => {
    for (;;) {
      stream.writeBigUInt64LE(outputAddress, nextOut);
      stream.writeUInt32LE(outputBytes, availOut);
      const result = deflate(stream, flush);
      if (result < 0 && result !== Z_BUF_ERROR) throw new Error(`libz: deflate said ${result}`);
      const left = stream.readUInt32LE(availOut);
      if (left < outputBytes) take(output.subarray(0, outputBytes - left));
      if (result === Z_STREAM_END || (flush === Z_NO_FLUSH && left > 0)) return;
    }
  };
  return {
    version,
    deflate(pieces, take) {
      deflateReset(stream);
      for (const piece of pieces) {
        stream.writeBigUInt64LE(koffi.address(piece), nextIn);
        stream.writeUInt32LE(piece.length, availIn);
        run(Z_NO_FLUSH, take);
      }
      stream.writeUInt32LE(0, availIn);
      run(Z_FINISH, take);
    },
  };
}
