import { crc32 } from 'node:zlib';
import type { GivenNumber } from '../../tree/inode-table.js';

/*
 * The file in which the inode numbers of a snapshot are kept, all integers little-endian:
 *
 *   header   96 bytes of ASCII: `pinfs inode numbers 1 HASH MODE`, blanks, a line end
 *   batch    "pinf", number of bytes, their CRC-32, 4 bytes 0; then the bytes
 *   bytes    of a file that has its lower word: its 63 bits (8); of any other: the same with the highest
 *            bit set, and 8 bytes with the number that it was given
 *
 * A batch counts whole or not at all, so that one that a power cut or a full disk left half written does no harm.
 * Who changes what the bytes of a batch mean gives it another head: an older pinfs reads the batches that it knows.
 */
const headerBytes = 96;
const version = 1;
const magic = 0x666e_6970;
const batchHeadBytes = 16;
const batchBytesMax = 128 * 1024;
const movedBit = 0x8000_0000;

/** Numbers in one batch, at most. */
export const batchMax = batchBytesMax / 16;

/** `whole`: given to the whole snapshot at once; `seen`: to files as they were seen. */
export type InodeMode = 'whole' | 'seen';

export function encodeInodeHeader(rootHash: string, mode: InodeMode): Buffer {
  const text = `pinfs inode numbers ${version} ${rootHash} ${mode}`;
  return Buffer.from(`${text.padEnd(headerBytes - 1)}\n`, 'latin1');
}

/** Undefined: this file is not one of ours for this snapshot; `newer`: of a later version. */
export function decodeHeader(bytes: Buffer, rootHash: string): InodeMode | 'newer' | undefined {
  const text = bytes.toString('latin1', 0, headerBytes);
  const match = /^pinfs inode numbers (\d{1,9}) (\S{1,64}) (whole|seen) *\n$/.exec(text);
  if (match === null) {
    const later = /^pinfs inode numbers (\d{1,9}) /.exec(text)?.[1];
    return Number(later) > version ? 'newer' : undefined;
  }
  const [, number, hash, mode] = match;
  if (Number(number) > version) return 'newer';
  if (hash !== rootHash || text.length !== headerBytes) return undefined;
  return mode === 'whole' ? 'whole' : 'seen';
}

export { headerBytes };

/** Batches that hold all of these. */
export function encodeBatches(all: readonly GivenNumber[]): Buffer {
  const batches: Buffer[] = [];
  for (let at = 0; at < all.length; at += batchMax)
    batches.push(batch(all.slice(at, at + batchMax)));
  return Buffer.concat(batches);
}

function batch(all: readonly GivenNumber[]): Buffer {
  const bytes = Buffer.alloc(batchHeadBytes + all.length * 16);
  let at = batchHeadBytes;
  for (const { low, high, number } of all) {
    at = bytes.writeUInt32LE(low, at);
    if (number === low) {
      at = bytes.writeUInt32LE(high, at);
      continue;
    }
    at = bytes.writeUInt32LE((high | movedBit) >>> 0, at);
    at = bytes.writeUInt32LE(number, at);
    at = bytes.writeUInt32LE(0, at);
  }
  bytes.writeUInt32LE(magic, 0);
  bytes.writeUInt32LE(at - batchHeadBytes, 4);
  bytes.writeUInt32LE(crc32(bytes.subarray(batchHeadBytes, at)), 8);
  return bytes.subarray(0, at);
}

export interface Decoded {
  /** Bytes that were read; what is behind them may be the begin of a batch. */
  readonly read: number;
  /** Bytes that belong to no sound batch. */
  readonly damaged: number;
}

/**
 * Reads the batches in these bytes, which begin at one.
 * @param last nothing comes behind these bytes.
 */
export function decodeBatches(
  bytes: Buffer,
  last: boolean,
  take: (given: GivenNumber) => void,
): Decoded {
  let at = 0;
  let damaged = 0;
  while (at + batchHeadBytes <= bytes.length) {
    const length = bytes.readUInt32LE(at + 4);
    const end = at + batchHeadBytes + length;
    const mayBe = bytes.readUInt32LE(at) === magic && length <= batchBytesMax && length % 8 === 0;
    if (mayBe && end > bytes.length && !last) break;
    const payload = bytes.subarray(at + batchHeadBytes, end);
    if (mayBe && end <= bytes.length && crc32(payload) === bytes.readUInt32LE(at + 8)) {
      takeAll(payload, take);
      at = end;
    } else {
      // The next one begins at a multiple of 8: see `padding`.
      damaged += 8;
      at += 8;
    }
  }
  if (!last) return { read: at, damaged };
  return { read: bytes.length, damaged: damaged + Math.max(0, bytes.length - at) };
}

/** Zeros to write before a batch, behind what was left half written. */
export function padding(size: number): Buffer {
  return Buffer.alloc((headerBytes + 8 - (size % 8)) % 8);
}

function takeAll(payload: Buffer, take: (given: GivenNumber) => void): void {
  for (let at = 0; at + 8 <= payload.length; at += 8) {
    const low = payload.readUInt32LE(at);
    const word = payload.readUInt32LE(at + 4);
    if (word < movedBit) take({ low, high: word, number: low });
    else {
      at += 8;
      if (at + 8 > payload.length) return;
      take({ low, high: word - movedBit, number: payload.readUInt32LE(at) });
    }
  }
}
