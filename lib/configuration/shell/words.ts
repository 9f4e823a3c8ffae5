import type { ByteString } from '../../format/bytes.js';
import type { Reader } from './reader.js';
import { readDollarQuoted } from './dollar-quotes.js';
import { Refused, type ParameterOperator, type ShellWord, type WordPart } from './syntax.js';

/** Ends a word, where it is not quoted. */
export const wordEnds: ReadonlySet<string> = new Set(Array.from(' \t\n;&|<>()').concat(''));

/** Reads a word; one with no parts where none begins here. @throws Refused */
export function readWord(reader: Reader): ShellWord {
  const { line } = reader;
  return { line, parts: readParts(reader, (char) => wordEnds.has(char)) };
}

/** Parts up to a character that ends them, which is left. */
function readParts(reader: Reader, ends: (char: string) => boolean): WordPart[] {
  const parts: WordPart[] = [];
  while (!reader.ended && !ends(reader.peek())) {
    const char = reader.peek();
    if (char === "'") parts.push(readSingleQuoted(reader));
    else if (char === '"') parts.push(...readDoubleQuoted(reader));
    else if (char === '\\') parts.push(readEscaped(reader));
    else if (char === '$' && reader.peek(1) === "'") parts.push(readDollarQuoted(reader));
    else if (char === '$' && reader.peek(1) === '"') reader.take();
    else if (char === '$' || char === '`') parts.push(readExpansion(reader, false));
    else addText(parts, reader.take(), false);
  }
  return parts;
}

function addText(parts: WordPart[], text: ByteString, quoted: boolean): void {
  const last = parts.at(-1);
  if (last?.kind === 'text' && last.quoted === quoted)
    parts[parts.length - 1] = { ...last, text: last.text + text };
  else parts.push({ kind: 'text', text, quoted });
}

function readEscaped(reader: Reader): WordPart {
  reader.take();
  // Raw: what looks like a joined line may be an escaped backslash at the end of one.
  return { kind: 'text', text: reader.takeRaw() || '\\', quoted: true };
}

function readSingleQuoted(reader: Reader): WordPart {
  const { line } = reader;
  reader.take();
  let text = '';
  for (let char = reader.takeRaw(); char !== "'"; char = reader.takeRaw()) {
    if (char === '') throw unclosed("'", line);
    text += char;
  }
  return { kind: 'text', text, quoted: true };
}

function unclosed(what: string, line: number): Refused {
  return new Refused(`${what} is opened and never closed`, 'Close it.', line);
}

function readDoubleQuoted(reader: Reader): WordPart[] {
  const { line } = reader;
  reader.take();
  // There even if nothing stands between them: it makes a word.
  const parts: WordPart[] = [{ kind: 'text', text: '', quoted: true }];
  readInDoubleQuotes(reader, parts, '"', () => unclosed('"', line));
  reader.take();
  return parts;
}

/** Parts up to the character `end`, which is left. */
function readInDoubleQuotes(
  reader: Reader,
  parts: WordPart[],
  end: string,
  failure: () => Refused,
): void {
  while (reader.peek() !== end) {
    if (reader.ended) throw failure();
    const char = reader.peek();
    if (char === '$' || char === '`') parts.push(readExpansion(reader, true));
    else if (char === '"') parts.push(...reader.nested(() => readDoubleQuoted(reader)));
    else if (char === '\\' && ['$', '`', '"', '\\', end].includes(reader.peek(1))) {
      reader.take();
      addText(parts, reader.takeRaw(), true);
    } else addText(parts, reader.take(), true);
  }
}

/** What begins with `$` or a backquote. */
function readExpansion(reader: Reader, quoted: boolean): WordPart {
  return reader.nested((): WordPart => {
    if (reader.peek() === '`') return readBackquoted(reader, quoted);
    if (reader.sees('${')) return readBraced(reader, quoted);
    if (reader.sees('$((')) return readArithmetic(reader, quoted);
    if (reader.sees('$(')) return readSubstitution(reader, quoted);
    const { line } = reader;
    reader.take();
    const name = readName(reader);
    if (name !== '') return { kind: 'parameter', name, quoted };
    if (/[0-9@*#?$!-]/.test(reader.peek())) return readSpecial(reader.take(), quoted, line);
    return { kind: 'text', text: '$', quoted };
  });
}

function readName(reader: Reader): string {
  let name = '';
  while (/^[A-Za-z_]$/.test(reader.peek()) || (name !== '' && /^\d$/.test(reader.peek())))
    name += reader.take();
  return name;
}

function readSpecial(name: string, quoted: boolean, line: number): WordPart {
  if (name === '$') return { kind: 'parameter', name, quoted };
  const refused = new Refused(
    `$${name} is about the shell itself`,
    'Write the value that it is to have.',
    line,
  );
  return { kind: 'refused', refusal: refused.refusal, quoted };
}

/** What a command would print. */
function refusedCommand(quoted: boolean): WordPart {
  const reason = 'what a command prints would have to be known: no command is run';
  const instead = 'Write the value itself, as in NAME="value".';
  return { kind: 'refused', refusal: { reason, instead }, quoted };
}

function readBackquoted(reader: Reader, quoted: boolean): WordPart {
  const { line } = reader;
  reader.take();
  while (reader.peek() !== '`') {
    if (reader.ended) throw unclosed('`', line);
    if (reader.peek() === '\\') reader.take();
    reader.takeRaw();
  }
  reader.take();
  return refusedCommand(quoted);
}

/** Stands at `(`, and goes behind the `)` that closes it. */
export function skipParentheses(reader: Reader): void {
  const { line } = reader;
  reader.take();
  while (reader.peek() !== ')') {
    if (reader.ended) throw unclosed('(', line);
    const char = reader.peek();
    if (char === '(')
      reader.nested(() => {
        skipParentheses(reader);
      });
    else if (char === "'") readSingleQuoted(reader);
    else if (char === '"') readDoubleQuoted(reader);
    else if (char === '\\') readEscaped(reader);
    else reader.take();
  }
  reader.take();
}

function readSubstitution(reader: Reader, quoted: boolean): WordPart {
  reader.take();
  skipParentheses(reader);
  return refusedCommand(quoted);
}

function readArithmetic(reader: Reader, quoted: boolean): WordPart {
  // `$((…)|…)` is a command in parentheses: only what closes with both at once is arithmetic.
  const back = reader.mark();
  reader.take(2);
  skipParentheses(reader);
  const isArithmetic = reader.peek() === ')';
  back();
  if (!isArithmetic) return readSubstitution(reader, quoted);
  const { line } = reader;
  reader.take(3);
  const parts: WordPart[] = [];
  let open = 0;
  while (open > 0 || !reader.sees('))')) {
    if (reader.ended) throw unclosed('$((', line);
    const char = reader.peek();
    if (char === '$' || char === '`') parts.push(readExpansion(reader, true));
    else {
      if (char === '(') open += 1;
      if (char === ')') open -= 1;
      addText(parts, reader.take(), true);
    }
  }
  reader.take(2);
  return { kind: 'arithmetic', parts, quoted };
}

const symbols = ['%%', '##', '%', '#', '-', '=', '+', '?'] as const;

function readBraced(reader: Reader, quoted: boolean): WordPart {
  const { line } = reader;
  reader.take(2);
  if (reader.peek() === '#' && reader.peek(1) !== '}') {
    reader.take();
    const name = readName(reader);
    if (name !== '' && reader.peek() === '}') {
      reader.take();
      return { kind: 'length', name, quoted };
    }
    return refusedBraces(reader, quoted, line);
  }
  const name = reader.peek() === '$' ? reader.take() : readName(reader);
  if (name === '') return refusedBraces(reader, quoted, line);
  if (reader.peek() === '}') {
    reader.take();
    return { kind: 'parameter', name, quoted };
  }
  const colon = reader.peek() === ':';
  if (colon) reader.take();
  const symbol = symbols.find((one) => reader.sees(one));
  const isPattern = symbol !== undefined && '%%##'.includes(symbol);
  if (symbol === undefined || (colon && isPattern)) return refusedBraces(reader, quoted, line);
  reader.take(symbol.length);
  const word = readBracedWord(reader, quoted && !isPattern, line);
  const operator: ParameterOperator = { symbol, colon, word };
  return { kind: 'parameter', name, quoted, operator };
}

/** The word of an operator, with the brace that closes it. */
function readBracedWord(reader: Reader, quoted: boolean, line: number): ShellWord {
  let parts: WordPart[] = [];
  if (quoted) readInDoubleQuotes(reader, parts, '}', () => unclosed('${', line));
  else parts = readParts(reader, (char) => char === '}');
  if (reader.take() !== '}') throw unclosed('${', line);
  return { parts, line };
}

/** An expansion of a shell that has more of them. */
function refusedBraces(reader: Reader, quoted: boolean, line: number): WordPart {
  readBracedWord(reader, quoted, line);
  const refusal = {
    reason: 'this form of ${…} is not known',
    instead:
      'Use ${NAME:-word}, ${NAME:=word}, ${NAME:+word} or ${NAME%pattern}, or write the value.',
  };
  return { kind: 'refused', refusal, quoted };
}

/** The text of a word that has nothing to expand; quotes count for nothing. */
export function literalText({ parts }: ShellWord): ByteString | undefined {
  let text = '';
  for (const part of parts) {
    if (part.kind !== 'text') return undefined;
    text += part.text;
  }
  return text;
}
