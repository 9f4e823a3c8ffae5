import type { ByteString } from '../../format/bytes.js';

/** One place of a pattern: any text, one character, or one of a set. */
export type PatternElement =
  | { readonly kind: 'any' }
  | { readonly kind: 'one' }
  | { readonly kind: 'char'; readonly char: string }
  | {
      readonly kind: 'set';
      readonly negated: boolean;
      readonly ranges: readonly (readonly [string, string])[];
    };

/** A piece of a pattern; in what is quoted no character means more than itself. */
export interface PatternPiece {
  readonly text: ByteString;
  readonly quoted: boolean;
}

/** The elements of a pattern of sh. */
export function readPattern(pieces: readonly PatternPiece[]): PatternElement[] {
  const chars = pieces.flatMap(({ text, quoted }) =>
    Array.from({ length: text.length }, (_, index) => ({ char: text.charAt(index), quoted })),
  );
  const elements: PatternElement[] = [];
  for (let at = 0; at < chars.length; at += 1) {
    const here = chars[at];
    if (here === undefined) break;
    const { char, quoted } = here;
    const set = char === '[' && !quoted ? readSet(chars, at) : undefined;
    if (set !== undefined) {
      elements.push(set.element);
      at = set.end;
    } else if (char === '*' && !quoted) {
      if (elements.at(-1)?.kind !== 'any') elements.push({ kind: 'any' });
    } else if (char === '?' && !quoted) elements.push({ kind: 'one' });
    else elements.push({ kind: 'char', char });
  }
  return elements;
}

/** A set from `[` to `]`; undefined where it is never closed, and the bracket is a character. */
function readSet(
  chars: readonly { readonly char: string; readonly quoted: boolean }[],
  begin: number,
): { readonly element: PatternElement; readonly end: number } | undefined {
  let at = begin + 1;
  const negated = chars[at]?.quoted === false && ['!', '^'].includes(chars[at]?.char ?? '');
  if (negated) at += 1;
  const ranges: [string, string][] = [];
  for (const first = at; at < chars.length; at += 1) {
    const here = chars[at];
    if (here === undefined) return undefined;
    if (here.char === ']' && !here.quoted && at > first)
      return { element: { kind: 'set', negated, ranges }, end: at };
    const to = chars[at + 2];
    const isRange = chars[at + 1]?.char === '-' && to !== undefined && to.char !== ']';
    ranges.push([here.char, isRange ? to.char : here.char]);
    if (isRange) at += 2;
  }
  return undefined;
}

function fits(element: PatternElement, char: string): boolean {
  switch (element.kind) {
    case 'any':
    case 'one':
      return true;
    case 'char':
      return element.char === char;
    case 'set':
      return element.ranges.some(([from, to]) => from <= char && char <= to) !== element.negated;
  }
}

/** Lengths of the beginnings of a text that a pattern fits, in ascending order; each place is looked at once. */
function fittingLengths(pattern: readonly PatternElement[], text: ByteString): number[] {
  let states = closure(pattern, [0]);
  const lengths: number[] = [];
  for (let length = 0; states.size > 0; length += 1) {
    if (states.has(pattern.length)) lengths.push(length);
    if (length === text.length) break;
    const char = text.charAt(length);
    const next: number[] = [];
    for (const state of states) {
      const element = pattern[state];
      if (element !== undefined && fits(element, char))
        next.push(element.kind === 'any' ? state : state + 1);
    }
    states = closure(pattern, next);
  }
  return lengths;
}

/** With the places that are reached by taking nothing. */
function closure(pattern: readonly PatternElement[], states: readonly number[]): Set<number> {
  const all = new Set<number>();
  for (let state of states) {
    all.add(state);
    while (pattern[state]?.kind === 'any') {
      state += 1;
      all.add(state);
    }
  }
  return all;
}

export function fitsWhole(pattern: readonly PatternElement[], text: ByteString): boolean {
  return fittingLengths(pattern, text).at(-1) === text.length;
}

/** A text without what fits at its beginning or end; nothing is taken away where nothing fits. */
export function withoutFitting(
  pattern: readonly PatternElement[],
  text: ByteString,
  end: 'prefix' | 'suffix',
  greedy: boolean,
): ByteString {
  const isPrefix = end === 'prefix';
  const lengths = fittingLengths(
    isPrefix ? pattern : [...pattern].reverse(),
    isPrefix ? text : reversed(text),
  );
  const length = (greedy ? lengths.at(-1) : lengths[0]) ?? 0;
  return isPrefix ? text.slice(length) : text.slice(0, text.length - length);
}

function reversed(text: ByteString): ByteString {
  return Buffer.from(text, 'latin1').reverse().toString('latin1');
}
