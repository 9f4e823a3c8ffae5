import type { ByteString } from '../../format/bytes.js';
import { joinedMax } from './bounds.js';
import { readCompound } from './compounds.js';
import { openReader, type Reader } from './reader.js';
import { readRedirection, seesRedirection } from './redirections.js';
import { skipBlanks, skipSeparators } from './separators.js';
import {
  Refused,
  type Assignment,
  type Refusal,
  type Script,
  type ShellCommand,
  type ShellWord,
} from './syntax.js';
import { literalText, readWord, skipParentheses, wordEnds } from './words.js';

/**
 * Reads a file; never fails: what can't be read ends it.
 * @param firstLine the number of its first line
 */
export function readScript(text: ByteString, firstLine = 1): Script {
  const reader = openReader(text, firstLine);
  const commands: ShellCommand[] = [];
  let begun = firstLine;
  try {
    skipSeparators(reader);
    while (!reader.ended) {
      begun = reader.line;
      commands.push(readEnded(reader));
      skipSeparators(reader);
    }
    return { commands };
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    return { commands, broken: { refusal: thrown.refusal, line: thrown.line, begun } };
  }
}

const reservedWords = new Set([
  ...['if', 'then', 'elif', 'else', 'fi', 'case', 'esac', 'for', 'while', 'until', 'do', 'done'],
  ...['{', '}', '!', 'select', 'function', '[['],
]);

/** The reserved word that stands here, which is left; empty for anything else. */
function reservedAhead(reader: Reader): string {
  const back = reader.mark();
  let word = '';
  while (/^[a-z!{}[]$/.test(reader.peek())) word += reader.take();
  const isWhole = wordEnds.has(reader.peek());
  back();
  return isWhole && reservedWords.has(word) ? word : '';
}

/** Commands up to a reserved word or a sign that ends them, which is left. @throws Refused */
function readBody(reader: Reader, ends: readonly string[]): ShellCommand[] {
  const { line } = reader;
  const body: ShellCommand[] = [];
  skipSeparators(reader);
  while (
    !ends.includes(reservedAhead(reader)) &&
    !ends.some((end) => /^\W/.test(end) && reader.sees(end))
  ) {
    if (reader.ended)
      throw new Refused(`${ends.join(' or ')} is missing`, 'Close what is opened here.', line);
    body.push(readEnded(reader, ends));
    skipSeparators(reader);
  }
  return body;
}

/** A command with what ends it: a line, a semicolon, or `&`. */
function readEnded(reader: Reader, ends: readonly string[] = []): ShellCommand {
  const command = readAndOr(reader);
  skipBlanks(reader);
  const next = reader.peek();
  if (next === '&') {
    reader.take();
    return { kind: 'refused', line: command.line, refusal: inBackground, body: [command] };
  }
  if (next === ';' && !reader.sees(';;')) reader.take();
  else if (next !== '' && next !== '\n' && !ends.some((end) => reader.sees(end)))
    throw new Refused(`${next} stands where no command has it`, 'Leave it out.', reader.line);
  return command;
}

const inBackground: Refusal = {
  reason: 'a command behind the scenes (&) has no effect here',
  instead: 'Put quotes around a value that holds a &, or leave it out.',
};

function readAndOr(reader: Reader): ShellCommand {
  let left = readPipeline(reader);
  for (let count = 1; ; count += 1) {
    skipBlanks(reader);
    const kind = reader.sees('&&') ? 'and' : reader.sees('||') ? 'or' : undefined;
    if (kind === undefined) return left;
    if (count > joinedMax)
      throw new Refused(
        `more than ${joinedMax} commands are joined`,
        'Write several lines.',
        left.line,
      );
    reader.take(2);
    skipSeparators(reader);
    left = { kind, line: left.line, left, right: readPipeline(reader) };
  }
}

const pipeline: Refusal = {
  reason: 'what one command prints for another would have to be known: no command is run',
  instead: 'Write the value itself, as in NAME="value".',
};

function readPipeline(reader: Reader): ShellCommand {
  skipBlanks(reader);
  const { line } = reader;
  if (reservedAhead(reader) === '!') {
    reader.take();
    return { kind: 'not', line, command: reader.nested(() => readPipeline(reader)) };
  }
  const commands = [readCommand(reader)];
  skipBlanks(reader);
  while (reader.peek() === '|' && !reader.sees('||')) {
    reader.take();
    skipSeparators(reader);
    commands.push(readCommand(reader));
    skipBlanks(reader);
  }
  const [first] = commands;
  if (first !== undefined && commands.length === 1) return first;
  return { kind: 'refused', line, refusal: pipeline, body: commands };
}

function readCommand(reader: Reader): ShellCommand {
  skipBlanks(reader);
  const reserved = reservedAhead(reader);
  const isCompound = reserved !== '' || reader.peek() === '(';
  return isCompound
    ? reader.nested(() => readCompound(reader, reserved, readBody))
    : readSimple(reader);
}

const assignmentForm = /^([A-Za-z_][A-Za-z0-9_]*)(\+?)=/;

/** A word as an assignment; undefined where it is none. */
export function assignmentOf(word: ShellWord): Assignment | undefined {
  const [first, ...rest] = word.parts;
  if (first?.kind !== 'text' || first.quoted) return undefined;
  const match = assignmentForm.exec(first.text);
  if (match === null) return undefined;
  const [begin, name = '', plus] = match;
  const text = first.text.slice(begin.length);
  const parts = text === '' ? rest : [{ ...first, text }, ...rest];
  return { name, append: plus === '+', value: { parts, line: word.line }, line: word.line };
}

function readSimple(reader: Reader): ShellCommand {
  const { line } = reader;
  const assignments: Assignment[] = [];
  const words: ShellWord[] = [];
  let redirected: Refusal | undefined;
  for (;;) {
    skipBlanks(reader);
    if (seesRedirection(reader)) {
      redirected = readRedirection(reader) ?? redirected;
      continue;
    }
    const word = readWord(reader);
    if (word.parts.length === 0) break;
    const assignment = words.length === 0 ? assignmentOf(word) : undefined;
    if (reader.peek() === '(') return readParenthesis(reader, word, assignment);
    if (assignment === undefined) words.push(word);
    else assignments.push(assignment);
  }
  if (line === reader.line && assignments.length + words.length === 0 && redirected === undefined) {
    const found = reader.peek() === '\n' ? 'the end of the line' : reader.peek() || 'the end';
    throw new Refused(`${found} stands where a command should`, 'Complete the line.', line);
  }
  return { kind: 'simple', line, assignments, words, ...(redirected && { redirected }) };
}

/** What has a parenthesis directly behind a word: a list, or a function. */
function readParenthesis(
  reader: Reader,
  word: ShellWord,
  assignment: Assignment | undefined,
): ShellCommand {
  const { line } = word;
  skipParentheses(reader);
  if (assignment !== undefined) {
    const refusal = {
      reason: 'a list in parentheses is no value of sh',
      instead: `Write ${assignment.name}="value".`,
    };
    const value = { line, parts: [{ kind: 'refused', refusal, quoted: true } as const] };
    return { kind: 'simple', line, assignments: [{ ...assignment, value }], words: [] };
  }
  skipSeparators(reader);
  const refusal = {
    reason: `functions are not known${literalText(word) === undefined ? '' : ` (${literalText(word) ?? ''})`}`,
    instead: 'Write its commands where it is called.',
  };
  return { kind: 'refused', line, refusal, body: [readCommand(reader)] };
}
