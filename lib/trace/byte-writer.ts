/** Bytes that are written one behind the other, in a buffer that grows. */
export interface ByteWriter {
  readonly length: number;
  byte(value: number): void;
  /** A whole number of 0 to 2^53 - 1, seven bits in a byte, the lowest first (LEB128). */
  varint(value: number): void;
  /** Hexadecimal digits of a text as bytes. */
  hex(text: string, from: number, end: number): void;
  latin1(value: string): void;
  /** What was written since the last call, in memory of its own. */
  take(): Uint8Array<ArrayBuffer>;
}

const varintBytesMax = 8;

/** Of a text that has nothing but such digits in lower case. */
function digitAt(text: string, at: number): number {
  const code = text.charCodeAt(at);
  return code < 58 ? code - 48 : code - 87;
}

export function openByteWriter(sizeExpected: number): ByteWriter {
  let buffer = Buffer.alloc(sizeExpected);
  let used = 0;
  function room(count: number): void {
    if (used + count <= buffer.length) return;
    const larger = Buffer.alloc(Math.max(buffer.length * 2, used + count));
    buffer.copy(larger, 0, 0, used);
    buffer = larger;
  }
  return {
    get length() {
      return used;
    },
    byte(value) {
      room(1);
      buffer[used++] = value;
    },
    varint(value) {
      room(varintBytesMax);
      let rest = value;
      while (rest > 0x7fffffff) {
        buffer[used++] = (rest % 128) | 128;
        rest = Math.floor(rest / 128);
      }
      while (rest > 127) {
        buffer[used++] = (rest & 127) | 128;
        rest >>>= 7;
      }
      buffer[used++] = rest;
    },
    hex(text, from, end) {
      room((end - from) >> 1);
      for (let at = from; at < end; at += 2) {
        buffer[used++] = (digitAt(text, at) << 4) | digitAt(text, at + 1);
      }
    },
    latin1(value) {
      room(value.length);
      used += buffer.write(value, used, 'latin1');
    },
    take() {
      const taken = new Uint8Array(used);
      taken.set(buffer.subarray(0, used));
      used = 0;
      return taken;
    },
  };
}
