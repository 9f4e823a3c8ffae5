/**
 * Names and link targets are bytes, not text. Inside pinfs they travel as byte strings:
 * JavaScript strings in which each character is one byte (latin1), cheap as map keys.
 * Only the rim (command line, library API) turns them into Buffers or UTF-8.
 */
export type ByteString = string;

export function toBytes(text: ByteString): Buffer {
  return Buffer.from(text, 'latin1');
}

export function fromBytes(bytes: Uint8Array): ByteString {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
}

/** A JavaScript string given by a user, as the bytes of its UTF-8 form. */
export function fromText(text: string): ByteString {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/**
 * For people: UTF-8 where it is valid, and control characters, backslashes and other bytes as
 * `\xHH` or `\n`-like escapes, so that a name can't write to a terminal.
 */
export function printable(bytes: ByteString): string {
  const decoded = toBytes(bytes).toString('utf8');
  const valid = Buffer.from(decoded, 'utf8').toString('latin1') === bytes;
  const text = valid ? decoded : bytes;
  let result = '';
  for (const char of text) {
    const code = char.codePointAt(0) ?? 0;
    const hostile = code < 0x20 || code === 0x7f || (code >= 0x80 && code < 0xa0) || bidi.has(code);
    if (char === '\\') result += '\\\\';
    else if (hostile || (!valid && code >= 0x80)) result += escape(code);
    else result += char;
  }
  return result;
}

/**
 * A message for a terminal, whoever wrote parts of it. Backslashes stay single: names in it have been
 * through `printable` once already.
 */
export function printableText(text: string): string {
  return text
    .split('\\')
    .map((piece) => printable(fromText(piece)))
    .join('\\');
}

/** Foreign text in a message: in quotes, at most 200 characters, and unable to write to a terminal. */
export function quoted(text: string): string {
  return `"${printable(fromText(text.slice(0, 200)))}"`;
}

/**
 * JSON that can't write to a terminal either: what JSON leaves as it is stands as `\uXXXX`. The value is
 * the same. Integers of 64 bits become texts.
 */
export function printableJson(value: unknown, indent?: number): string {
  const plain = (_: string, part: unknown): unknown =>
    typeof part === 'bigint' ? part.toString() : part;
  return JSON.stringify(value, plain, indent).replace(
    /[\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

// Direction marks that make a terminal show a name in another order than it is (Unicode Bidi_Control).
const bidi = new Set([
  0x061c, 0x200e, 0x200f, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e, 0x2066, 0x2067, 0x2068, 0x2069,
]);

function escape(code: number): string {
  if (code === 0x0a) return '\\n';
  if (code === 0x09) return '\\t';
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
