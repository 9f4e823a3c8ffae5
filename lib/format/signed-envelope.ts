import { hashBytes, parseHash, type HashAlgorithm } from './hash.js';

/**
 * The envelope of manifest and whitelist (docs/format.md, 3.1 and 4.1): lines of text, a line
 * `--`, the hash of the text, and a binary signature up to the end of the file.
 */
export interface SignedEnvelope {
  /** What is hashed: everything before the line `--`, its last LF included. */
  readonly text: Buffer;
  /** The line behind `--`, without its LF, one character for each byte. This is what is signed. */
  readonly hashLine: string;
  /** May hold any bytes, LF and `--` among them; empty if the file ends before it. */
  readonly signature: Buffer;
}

const cut = Buffer.from('\n--\n');

/** Takes an envelope apart at its first line `--`; undefined if it has none. */
export function splitEnvelope(bytes: Buffer): SignedEnvelope | undefined {
  const at = bytes.indexOf(cut);
  if (at < 0) return undefined;
  const rest = bytes.subarray(at + cut.length);
  const end = rest.indexOf(0x0a);
  return {
    text: bytes.subarray(0, at + 1),
    hashLine: rest.subarray(0, end < 0 ? rest.length : end).toString('latin1'),
    signature: end < 0 ? Buffer.alloc(0) : rest.subarray(end + 1),
  };
}

/**
 * Compares the hash line with the text. Its algorithm is the one that the line names.
 * `expected` is undefined where the line is no hash at all.
 */
export function checkHashLine(envelope: SignedEnvelope): {
  readonly matches: boolean;
  readonly algorithm: HashAlgorithm | undefined;
  readonly expected: string | undefined;
} {
  const hash = parseHash(envelope.hashLine);
  if (hash === undefined) return { matches: false, algorithm: undefined, expected: undefined };
  const expected = hashBytes(hash.algorithm, envelope.text).text;
  return { matches: expected === hash.text, algorithm: hash.algorithm, expected };
}

/** The lines of an envelope's text, one character for each byte, without their LF. */
export function envelopeLines(text: Buffer): string[] {
  const lines = text.toString('latin1').split('\n');
  // The text ends with LF, so the last piece is empty.
  lines.pop();
  return lines;
}

/** Why bytes that should be an envelope are none, in words for a message. */
export function describeNoEnvelope(bytes: Buffer): string {
  if (bytes.length === 0) return 'is empty';
  const head = bytes.subarray(0, 512).toString('latin1').trimStart().toLowerCase();
  if (head.startsWith('<')) return 'is an HTML or XML page';
  return 'has no line "--": it is cut off, or something else';
}
