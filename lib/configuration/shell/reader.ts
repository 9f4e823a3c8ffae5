import type { ByteString } from '../../format/bytes.js';
import { nestingMax } from './bounds.js';
import { Refused } from './syntax.js';

/** Goes through a text, and knows the line. A backslash at the end of a line joins it with the next one. */
export interface Reader {
  readonly line: number;
  readonly ended: boolean;
  /** The character here, or `offset` further on; empty behind the end. */
  peek(offset?: number): string;
  /** The rest begins with it. */
  sees(text: string): boolean;
  take(count?: number): string;
  /** Without joining lines, as between single quotes. */
  takeRaw(): string;
  /** Goes to the end of the line, which is left; there no backslash joins. */
  skipLine(): void;
  /** @throws Refused where it nests too deep. */
  nested<Result>(body: () => Result): Result;
  /** Where we are, to come back to. */
  mark(): () => void;
}

export function openReader(text: ByteString, firstLine: number): Reader {
  let at = 0;
  let line = firstLine;
  let depth = 0;
  const joinLines = (): void => {
    while (text.startsWith('\\\n', at)) {
      at += 2;
      line += 1;
    }
  };
  const takeRaw = (): string => {
    const char = text.charAt(at);
    at += 1;
    if (char === '\n') line += 1;
    return char;
  };
  return {
    get line() {
      return line;
    },
    get ended() {
      joinLines();
      return at >= text.length;
    },
    peek(offset = 0) {
      joinLines();
      return text.charAt(at + offset);
    },
    sees(wanted) {
      joinLines();
      return text.startsWith(wanted, at);
    },
    take(count = 1) {
      let taken = '';
      for (let index = 0; index < count; index += 1) {
        joinLines();
        taken += takeRaw();
      }
      return taken;
    },
    takeRaw,
    skipLine() {
      const end = text.indexOf('\n', at);
      at = end < 0 ? text.length : end;
    },
    nested(body) {
      if (depth >= nestingMax)
        throw new Refused(
          `it nests deeper than ${nestingMax}`,
          'Write it in several commands.',
          line,
        );
      depth += 1;
      try {
        return body();
      } finally {
        depth -= 1;
      }
    },
    mark() {
      const [atThen, lineThen] = [at, line];
      return () => {
        at = atThen;
        line = lineThen;
      };
    },
  };
}
