import { deflateSync, inflateSync } from 'node:zlib';
import { PinfsError } from '../format/errors.js';
import { damagedTrace } from './byte-reader.js';
import { traceBounds } from './bounds.js';
import { decodeHeaderText, fixedHeadBytes, traceMark, traceVersion } from './header.js';
import type { TraceHeader } from './trace.js';

/** A trace's file as blocks: each is whole by itself, and has a check sum (that of its zlib stream). */

export const blockKinds = { accesses: 1, end: 2 } as const;
const blockHeadBytes = 9;

/** Fast: a trace is written while somebody waits for the mount that is traced. */
export const blockDeflation = { level: 1 } as const;

/** The head of a block: its kind, and the bytes of its body, deflated and plain. */
export function encodeBlockHead(kind: number, storedBytes: number, plainBytes: number): Buffer {
  const head = Buffer.alloc(blockHeadBytes);
  head[0] = kind;
  head.writeUInt32LE(storedBytes, 1);
  head.writeUInt32LE(plainBytes, 5);
  return head;
}

/** A block of accesses; the plain bytes are those of an encoder. */
export function encodeBlock(plain: Uint8Array): Buffer {
  const stored = deflateSync(plain, blockDeflation);
  return Buffer.concat([encodeBlockHead(blockKinds.accesses, stored.length, plain.length), stored]);
}

export function encodeEndBlock(): Buffer {
  return encodeBlockHead(blockKinds.end, 0, 0);
}

/** Takes the bytes of a file in pieces of any size, and gives its header and blocks. */
export interface BlockReader {
  /** @throws PinfsError NOT_A_TRACE, TRACE_VERSION, TRACE_DAMAGED. */
  push(piece: Buffer): void;
  /** Once the first pieces have brought it. */
  readonly header: TraceHeader | undefined;
  /** The end was written, and nothing of a block is lacking. */
  readonly isComplete: boolean;
}

export function openBlockReader(onBlock: (plain: Buffer) => void): BlockReader {
  let rest: Buffer = Buffer.alloc(0);
  let header: TraceHeader | undefined;
  let ended = false;
  return {
    get header() {
      return header;
    },
    get isComplete() {
      return ended && rest.length === 0;
    },
    push(piece) {
      rest = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
      let at = 0;
      if (header === undefined) {
        const length = headLength(rest);
        if (length === undefined) return;
        header = decodeHeaderText(rest.subarray(fixedHeadBytes, length));
        at = length;
      }
      for (;;) {
        const block = blockAt(rest, at);
        if (block === undefined) break;
        if (ended) throw damagedTrace('something follows its end');
        at = block.end;
        if (block.kind === blockKinds.end) ended = true;
        else onBlock(inflateBlock(block.stored, block.plainBytes));
      }
      rest = rest.subarray(at);
    },
  };
}

/** Bytes of the whole head; undefined: they are not all there. */
function headLength(bytes: Buffer): number | undefined {
  const mark = bytes.subarray(0, traceMark.length);
  if (!traceMark.subarray(0, mark.length).equals(mark)) {
    throw new PinfsError('NOT_A_TRACE', 'this is no trace of pinfs');
  }
  if (bytes.length < fixedHeadBytes) return undefined;
  const version = bytes.readUInt32LE(traceMark.length);
  if (version !== traceVersion) {
    throw new PinfsError('TRACE_VERSION', `a trace of version ${version} is not known here`);
  }
  const textBytes = bytes.readUInt32LE(traceMark.length + 4);
  if (textBytes > traceBounds.headerBytes) throw damagedTrace('its header is too long');
  const length = fixedHeadBytes + textBytes;
  return bytes.length < length ? undefined : length;
}

interface Block {
  readonly kind: number;
  readonly stored: Buffer;
  readonly plainBytes: number;
  readonly end: number;
}

function blockAt(bytes: Buffer, at: number): Block | undefined {
  const kind = bytes[at];
  if (kind === undefined) return undefined;
  if (kind !== blockKinds.accesses && kind !== blockKinds.end) {
    throw damagedTrace('a block is of no kind that is known');
  }
  const begin = at + blockHeadBytes;
  if (begin > bytes.length) return undefined;
  const storedBytes = bytes.readUInt32LE(at + 1);
  const plainBytes = bytes.readUInt32LE(at + 5);
  if (storedBytes > traceBounds.storedBlockBytes || plainBytes > traceBounds.plainBlockBytes) {
    throw damagedTrace('a block is too large');
  }
  if (kind === blockKinds.end && storedBytes + plainBytes > 0) {
    throw damagedTrace('its end has a content');
  }
  const end = begin + storedBytes;
  if (end > bytes.length) return undefined;
  return { kind, stored: bytes.subarray(begin, end), plainBytes, end };
}

function inflateBlock(stored: Buffer, plainBytes: number): Buffer {
  let plain: Buffer;
  try {
    plain = inflateSync(stored, { maxOutputLength: Math.max(1, plainBytes) });
  } catch {
    throw damagedTrace('the check sum of a block is wrong');
  }
  if (plain.length !== plainBytes) throw damagedTrace('a block has another length than it says');
  return plain;
}
