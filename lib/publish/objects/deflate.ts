import { createHash } from 'node:crypto';
import { Deflate } from 'pako';
import { stockZlib } from '../../machine/stock-zlib.js';

/** Deflates as stock zlib does, byte for byte: names of objects are made from what comes out. */
export interface Deflater {
  readonly name: 'libz' | 'pako';
  /** Makes one zlib stream of all pieces; what comes out is handed over piece by piece, each good until the next. */
  deflate(pieces: Iterable<Buffer>, take: (packed: Buffer) => void): void;
}

/** The one written in JavaScript: the same bytes, at a third of the speed. */
export const pakoDeflater: Deflater = {
  name: 'pako',
  deflate(pieces, take) {
    const deflate = new Deflate({ legacyHash: true });
    deflate.onData = (packed: Uint8Array) => {
      take(Buffer.from(packed.buffer, packed.byteOffset, packed.byteLength));
    };
    for (const piece of pieces) deflate.push(piece, false);
    deflate.push(new Uint8Array(0), true);
    if (deflate.err !== 0) throw new Error(`pako: deflate said ${deflate.err}`);
  },
};

let chosen: Deflater | undefined;

/** The system's libz where it is there and is the stock one, else pako's. */
export function stockDeflater(): Deflater {
  chosen ??= libzDeflater() ?? pakoDeflater;
  return chosen;
}

/** Undefined where there is no libz, or one that makes other streams, such as zlib-ng by the same name. */
export function libzDeflater(): Deflater | undefined {
  const libz = stockZlib();
  if (libz === undefined) return undefined;
  const deflater: Deflater = {
    name: 'libz',
    deflate: (pieces, take) => libz.deflate(pieces, take),
  };
  return isStock(deflater) ? deflater : undefined;
}

// Of `probe`, by zlib 1.2.13, which deflates as 1.2.8 does. Node's own makes another stream of it.
const stockDigest = '588a86fdb88a249a72279d56d3d38f53c5d8d641';

/** Whether a deflater makes the stream of stock zlib, from text in which matches of several lengths and distances lie. */
export function isStock(deflater: Deflater): boolean {
  const hash = createHash('sha1');
  deflater.deflate([probe()], (packed) => void hash.update(packed));
  return hash.digest('hex') === stockDigest;
}

function probe(): Buffer {
  let state = 12345;
  const next = (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const words = Array.from({ length: 300 }, () =>
    Array.from({ length: 2 + next(9) }, () => String.fromCharCode(97 + next(20))).join(''),
  );
  let text = '';
  while (text.length < 50_000)
    text += `${words[next(words.length)] ?? ''}${next(6) === 0 ? '\n' : ' '}`;
  return Buffer.from(text, 'latin1');
}
