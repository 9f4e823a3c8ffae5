import type { Reader } from './reader.js';

/** Goes over blanks, and over a comment that stands behind them. */
export function skipBlanks(reader: Reader): void {
  while (reader.peek() === ' ' || reader.peek() === '\t') reader.take();
  if (reader.peek() === '#') reader.skipLine();
}

/** Goes over blanks, comments and ends of lines. */
export function skipSeparators(reader: Reader): void {
  skipBlanks(reader);
  while (reader.peek() === '\n') {
    reader.take();
    skipBlanks(reader);
  }
}
