import { PinfsError } from '../format/errors.js';

/** Reads the bytes of a writer; whatever does not fit is TRACE_DAMAGED. */
export interface ByteReader {
  readonly isAtEnd: boolean;
  byte(): number;
  /** @throws PinfsError TRACE_DAMAGED above `most`, too. */
  varint(most: number): number;
  /** Of these bytes: no copy. */
  bytes(count: number): Buffer;
}

export function damagedTrace(what: string): PinfsError {
  return new PinfsError('TRACE_DAMAGED', `the trace is damaged: ${what}`);
}

export function openByteReader(buffer: Buffer): ByteReader {
  let at = 0;
  const byte = (): number => {
    const value = buffer[at];
    if (value === undefined) throw damagedTrace('a record goes on behind its block');
    at++;
    return value;
  };
  return {
    get isAtEnd() {
      return at === buffer.length;
    },
    byte,
    varint(most) {
      let value = 0;
      for (let scale = 1; scale < 2 ** 56; scale *= 128) {
        const next = byte();
        value += (next & 127) * scale;
        if (next < 128) {
          if (value > most) break;
          return value;
        }
      }
      throw damagedTrace('a number is above its bound');
    },
    bytes(count) {
      if (at + count > buffer.length) throw damagedTrace('a text goes on behind its block');
      at += count;
      return buffer.subarray(at - count, at);
    },
  };
}
