import type { Reader } from './reader.js';
import { skipBlanks, skipSeparators } from './separators.js';
import { Refused, type Refusal, type ShellCommand, type ShellWord } from './syntax.js';
import { readWord } from './words.js';

/** Reads commands up to one of the ends, which is left. */
export type BodyReader = (reader: Reader, ends: readonly string[]) => ShellCommand[];

/** What begins with a reserved word or a parenthesis. @throws Refused */
export function readCompound(reader: Reader, reserved: string, readBody: BodyReader): ShellCommand {
  const { line } = reader;
  switch (reserved) {
    case '':
      return readSubshell(reader, readBody);
    case 'if':
      return readIf(reader, readBody);
    case 'case':
      return readCase(reader, readBody);
    case '{': {
      reader.take();
      const body = readBody(reader, ['}']);
      reader.take();
      return { kind: 'group', line, body };
    }
    case 'for':
    case 'while':
    case 'until':
    case 'select':
      return readLoop(reader, reserved, readBody);
    case '[[':
      return readDoubleBrackets(reader);
    default: {
      const instead = 'Close what is opened, and begin each command on a line of its own.';
      throw new Refused(`${reserved} stands where no command has it`, instead, line);
    }
  }
}

function readIf(reader: Reader, readBody: BodyReader): ShellCommand {
  const { line } = reader;
  const branches: { condition: ShellCommand[]; body: ShellCommand[] }[] = [];
  const ends = ['elif', 'else', 'fi'];
  reader.take('if'.length);
  for (;;) {
    const condition = readBody(reader, ['then']);
    reader.take('then'.length);
    const body = readBody(reader, ends);
    branches.push({ condition, body });
    if (!reader.sees('elif')) break;
    reader.take('elif'.length);
  }
  let otherwise: ShellCommand[] = [];
  if (reader.sees('else')) {
    reader.take('else'.length);
    otherwise = readBody(reader, ['fi']);
  }
  reader.take('fi'.length);
  return { kind: 'if', line, branches, otherwise };
}

function readCase(reader: Reader, readBody: BodyReader): ShellCommand {
  const { line } = reader;
  reader.take('case'.length);
  skipBlanks(reader);
  const word = readWord(reader);
  skipSeparators(reader);
  expect(reader, 'in', line);
  const branches: { patterns: ShellWord[]; body: ShellCommand[] }[] = [];
  skipSeparators(reader);
  while (!reader.sees('esac')) {
    if (reader.peek() === '(') reader.take();
    const patterns = readPatterns(reader, line);
    const body = readBody(reader, [';;', 'esac']);
    if (reader.sees(';;')) reader.take(2);
    branches.push({ patterns, body });
    skipSeparators(reader);
  }
  reader.take('esac'.length);
  return { kind: 'case', line, word, branches };
}

function readPatterns(reader: Reader, line: number): ShellWord[] {
  const patterns: ShellWord[] = [];
  for (;;) {
    skipBlanks(reader);
    const pattern = readWord(reader);
    if (pattern.parts.length === 0) throw missing(')', line);
    patterns.push(pattern);
    skipBlanks(reader);
    if (reader.peek() !== '|') break;
    reader.take();
  }
  expect(reader, ')', line);
  return patterns;
}

function missing(what: string, line: number): Refused {
  return new Refused(`${what} is missing`, 'Close what is opened here.', line);
}

function expect(reader: Reader, text: string, line: number): void {
  if (!reader.sees(text)) throw missing(text, line);
  reader.take(text.length);
}

const noLoops: Refusal = {
  reason: 'loops are not run',
  instead: 'Write the assignments one by one.',
};

function readLoop(reader: Reader, reserved: string, readBody: BodyReader): ShellCommand {
  const { line } = reader;
  reader.take(reserved.length);
  const body = readBody(reader, ['do']);
  reader.take('do'.length);
  body.push(...readBody(reader, ['done']));
  reader.take('done'.length);
  return { kind: 'refused', line, refusal: noLoops, body };
}

const noSubshells: Refusal = {
  reason: 'what is set between parentheses is lost behind them',
  instead: 'Leave the parentheses out, or use { and }.',
};

function readSubshell(reader: Reader, readBody: BodyReader): ShellCommand {
  const { line } = reader;
  reader.take();
  const body = readBody(reader, [')']);
  reader.take();
  return { kind: 'refused', line, refusal: noSubshells, body };
}

function readDoubleBrackets(reader: Reader): ShellCommand {
  const { line } = reader;
  while (!reader.sees(']]')) {
    if (reader.ended || reader.peek() === '\n') throw missing(']]', line);
    if (readWord(reader).parts.length === 0) reader.take();
  }
  reader.take(2);
  const refusal = {
    reason: '[[ is not a command of sh',
    instead: 'Write [ "$A" = "value" ], with one bracket on each side.',
  };
  return { kind: 'refused', line, refusal, body: [] };
}
