import type { ByteString } from '../../format/bytes.js';
import { evaluateArithmetic, numberIn } from './arithmetic.js';
import { patternElementsMax } from './bounds.js';
import { readPattern, withoutFitting, type PatternElement } from './patterns.js';
import {
  countExpanded,
  countPattern,
  EndsFile,
  readVariable,
  setVariable,
  type ShellState,
} from './state.js';
import { Refused, type ParameterOperator, type ShellWord, type WordPart } from './syntax.js';

/** What became of a part. `split`: it came from an expansion that stood in no quotes. */
interface Piece {
  readonly text: ByteString;
  readonly quoted: boolean;
  readonly split: boolean;
}

/** A word as the value of an assignment: neither split nor a pattern. @throws Refused */
export function expandValue(state: ShellState, word: ShellWord): ByteString {
  const pieces = expandParts(state, withHome(state, word, true), word.line, false);
  return countExpanded(state, joined(pieces), word.line);
}

/** A word of a command, as the words that it becomes. @throws Refused */
export function expandFields(state: ShellState, word: ShellWord): ByteString[] {
  const fields: ByteString[] = [];
  let field: ByteString | undefined;
  const pieces = expandParts(state, withHome(state, word, false), word.line, false);
  for (const { text, quoted, split } of pieces) {
    if (!split) {
      if (text !== '' || quoted) field = (field ?? '') + text;
      continue;
    }
    for (const [index, part] of text.split(/[ \t\n]+/).entries()) {
      if (index > 0 && field !== undefined) {
        fields.push(field);
        field = undefined;
      }
      if (part !== '') field = (field ?? '') + part;
    }
  }
  if (field !== undefined) fields.push(field);
  for (const one of fields) countExpanded(state, one, word.line);
  return fields;
}

/** A word as a pattern. @throws Refused */
export function expandPattern(state: ShellState, word: ShellWord): PatternElement[] {
  const pattern = readPattern(expandParts(state, word.parts, word.line, false));
  if (pattern.length > patternElementsMax)
    throw new Refused(
      `a pattern of more than ${patternElementsMax} places`,
      'Make it shorter.',
      word.line,
    );
  return pattern;
}

function joined(pieces: readonly Piece[]): ByteString {
  return pieces.map(({ text }) => text).join('');
}

/** `~` at the beginning, and in a value behind a colon, is the home directory. @throws Refused */
function withHome(state: ShellState, word: ShellWord, isValue: boolean): readonly WordPart[] {
  return word.parts.map((part, index) => {
    if (part.kind !== 'text' || part.quoted || !part.text.includes('~')) return part;
    const form = isValue ? /(^|:)~([^/:]*)/g : /(^)~([^/]*)/g;
    const text = part.text.replace(
      form,
      (whole: string, before: string, user: string, at: number) => {
        if (at === 0 && before === '' && index > 0) return whole;
        const home = user === '' ? readVariable(state, 'HOME', word.line) : undefined;
        if (home !== undefined) return before + home;
        throw new Refused(`~${user} is not known here`, 'Write the whole path.', word.line);
      },
    );
    return { ...part, text };
  });
}

/** `inExpansion`: it stands in the word of an operator, where all that is in no quotes is split. */
function expandParts(
  state: ShellState,
  parts: readonly WordPart[],
  line: number,
  inExpansion: boolean,
): Piece[] {
  return parts.flatMap((part): readonly Piece[] => {
    const { quoted } = part;
    const made = (text: ByteString): Piece[] => [
      { text: countExpanded(state, text, line), quoted, split: !quoted },
    ];
    switch (part.kind) {
      case 'text':
        return [{ text: part.text, quoted, split: inExpansion && !quoted }];
      case 'refused':
        throw new Refused(part.refusal.reason, part.refusal.instead, line);
      case 'length':
        return made(String((readVariable(state, part.name, line) ?? '').length));
      case 'arithmetic':
        return made(arithmetic(state, joined(expandParts(state, part.parts, line, false)), line));
      case 'parameter':
        return part.operator === undefined
          ? made(readVariable(state, part.name, line) ?? '')
          : operated(state, part.name, part.operator, quoted, line);
    }
  });
}

/** `${NAME…}` with something behind the name. */
function operated(
  state: ShellState,
  name: string,
  { symbol, colon, word }: ParameterOperator,
  quoted: boolean,
  line: number,
): readonly Piece[] {
  const value = readVariable(state, name, line);
  const isThere = value !== undefined && !(colon && value === '');
  const itself: readonly Piece[] = [{ text: value ?? '', quoted, split: !quoted }];
  const instead = (): Piece[] => {
    const pieces = expandParts(state, word.parts, line, !quoted);
    return quoted ? pieces.map((piece) => ({ ...piece, quoted, split: false })) : pieces;
  };
  switch (symbol) {
    case '-':
      return isThere ? itself : instead();
    case '+':
      return isThere ? instead() : [{ text: '', quoted, split: !quoted }];
    case '=': {
      if (isThere) return itself;
      const text = countExpanded(state, joined(instead()), line);
      setVariable(state, name, text, line);
      return [{ text, quoted, split: !quoted }];
    }
    case '?':
      if (isThere) return itself;
      throw new EndsFile(`${name} has to be set here`, `Set ${name} before this line.`, line);
    case '%':
    case '%%':
    case '#':
    case '##': {
      const end = symbol.startsWith('#') ? 'prefix' : 'suffix';
      const pattern = expandPattern(state, word);
      countPattern(state, pattern, value ?? '', line);
      const text = withoutFitting(pattern, value ?? '', end, symbol.length === 2);
      return [{ text, quoted, split: !quoted }];
    }
  }
}

function arithmetic(state: ShellState, text: string, line: number): string {
  const value = evaluateArithmetic(text, (name) => {
    const value = (readVariable(state, name, line) ?? '').trim();
    return value === '' ? 0n : numberIn(value);
  });
  if (value !== undefined) return String(value);
  throw new Refused(
    '$((…)) holds what is no calculation with whole numbers',
    'Write the number itself.',
    line,
  );
}
