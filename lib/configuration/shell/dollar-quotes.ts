import { fromText } from '../../format/bytes.js';
import type { Reader } from './reader.js';
import { Refused, type WordPart } from './syntax.js';

const plain: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  e: '\x1b',
  E: '\x1b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  "'": "'",
  '"': '"',
  '?': '?',
};

/** `$'…'`, in which a backslash has a meaning. @throws Refused */
export function readDollarQuoted(reader: Reader): WordPart {
  const { line } = reader;
  reader.take(2);
  let text = '';
  for (let char = reader.takeRaw(); char !== "'"; char = reader.takeRaw()) {
    if (char === '') throw new Refused("$' is opened and never closed", 'Close it.', line);
    text += char === '\\' ? readEscape(reader, line) : char;
  }
  return { kind: 'text', text, quoted: true };
}

function readEscape(reader: Reader, line: number): string {
  const char = reader.takeRaw();
  const known = plain[char];
  if (known !== undefined) return known;
  const value = (digits: string, radix: number): number => {
    const code = digits === '' ? 0 : parseInt(digits, radix);
    // A shell ends the text at a NUL.
    if (code === 0 || code > 0x10ffff)
      throw new Refused(`\\${char} stands for no character`, 'Write the character itself.', line);
    return code;
  };
  if (char >= '0' && char <= '7')
    return String.fromCharCode(value(char + readDigits(reader, /^[0-7]$/, 2), 8) % 256);
  if (char === 'x') return String.fromCharCode(value(readDigits(reader, /^[0-9a-f]$/i, 2), 16));
  if (char === 'u' || char === 'U') {
    const digits = readDigits(reader, /^[0-9a-f]$/i, char === 'u' ? 4 : 8);
    return fromText(String.fromCodePoint(value(digits, 16)));
  }
  return `\\${char}`;
}

function readDigits(reader: Reader, form: RegExp, countMax: number): string {
  let digits = '';
  while (digits.length < countMax && form.test(reader.peek())) digits += reader.takeRaw();
  return digits;
}
