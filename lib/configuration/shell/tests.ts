import { resolve } from 'node:path';
import type { ByteString } from '../../format/bytes.js';
import { nestingMax } from './bounds.js';
import type { FileFacts } from './state.js';
import { Refused } from './syntax.js';

/** What a test looks at besides its words. */
export interface TestSurroundings {
  readonly directory: string;
  readonly look: (path: string) => FileFacts | undefined;
}

const fileTests: Readonly<Record<string, (facts: FileFacts) => boolean>> = {
  '-e': () => true,
  '-f': ({ kind }) => kind === 'file',
  '-d': ({ kind }) => kind === 'directory',
  '-s': ({ bytes }) => bytes > 0,
  '-r': ({ readable }) => readable,
};

const comparisons: Readonly<Record<string, (left: bigint, right: bigint) => boolean>> = {
  '-eq': (left, right) => left === right,
  '-ne': (left, right) => left !== right,
  '-lt': (left, right) => left < right,
  '-le': (left, right) => left <= right,
  '-gt': (left, right) => left > right,
  '-ge': (left, right) => left >= right,
};

const equalities: Readonly<Record<string, boolean>> = { '=': true, '==': true, '!=': false };

/** Something a shell complains about, and takes for false. */
export interface Complaint {
  readonly complaint: string;
}

/**
 * Whether the words between `[` and `]` are true.
 * @throws Refused for a test that is not known
 */
export function evaluateTest(
  words: readonly ByteString[],
  around: TestSurroundings,
  line: number,
): boolean | Complaint {
  try {
    return byCount(words, around, line);
  } catch (thrown) {
    if (thrown instanceof Complains) return { complaint: thrown.message };
    throw thrown;
  }
}

class Complains extends Error {}

/** POSIX: what the words mean depends on how many there are. */
function byCount(words: readonly ByteString[], around: TestSurroundings, line: number): boolean {
  const [first = '', second = '', third = ''] = words;
  switch (words.length) {
    case 0:
      return false;
    case 1:
      return first !== '';
    case 2:
      return first === '!' ? second === '' : unary(first, second, around, line);
    case 3:
      if (isBinary(second)) return binary(first, second, third);
      if (second === '-a' || second === '-o')
        return second === '-a' ? first !== '' && third !== '' : first !== '' || third !== '';
      if (first === '!') return !byCount(words.slice(1), around, line);
      if (first === '(' && third === ')') return second !== '';
      throw new Complains(`[ has no test '${second}' between two values`);
    default:
      if (words.length === 4 && first === '!') return !byCount(words.slice(1), around, line);
      return joinedTests(words, around, line);
  }
}

function isBinary(sign: string): boolean {
  return sign in equalities || sign in comparisons;
}

function unary(sign: string, value: ByteString, around: TestSurroundings, line: number): boolean {
  if (sign === '-z') return value === '';
  if (sign === '-n') return value !== '';
  const test = fileTests[sign];
  if (test === undefined) {
    if (/^-[a-zA-Z]$/.test(sign))
      throw new Refused(`the test [ ${sign} … ] is not known`, 'Use -f, -d, -e, -r or -s.', line);
    throw new Complains(`[ has no test '${sign}' of one value`);
  }
  const facts = value === '' ? undefined : around.look(resolve(around.directory, value));
  return facts !== undefined && test(facts);
}

function binary(left: ByteString, sign: string, right: ByteString): boolean {
  const equality = equalities[sign];
  if (equality !== undefined) return (left === right) === equality;
  const compare = comparisons[sign];
  if (compare === undefined) throw new Complains(`[ has no test '${sign}' between two values`);
  return compare(wholeNumber(left), wholeNumber(right));
}

/** Decimal, whatever it begins with. */
function wholeNumber(text: ByteString): bigint {
  const trimmed = text.trim();
  if (!/^[-+]?\d{1,18}$/.test(trimmed)) throw new Complains(`'${text}' is no whole number`);
  return BigInt(trimmed.replace(/^\+/, ''));
}

/** Tests joined by -a and -o, with parentheses. */
function joinedTests(
  words: readonly ByteString[],
  around: TestSurroundings,
  line: number,
): boolean {
  let at = 0;
  let depth = 0;
  const takes = (word: string): boolean => {
    if (words[at] !== word) return false;
    at += 1;
    return true;
  };
  const either = (): boolean => {
    let value = both();
    while (takes('-o')) value = both() || value;
    return value;
  };
  const both = (): boolean => {
    let value = one();
    while (takes('-a')) value = one() && value;
    return value;
  };
  const one = (): boolean => {
    depth += 1;
    if (depth > nestingMax) throw new Complains('[ nests too deep');
    try {
      if (isBinary(words[at + 1] ?? '')) {
        at += 3;
        return binary(words[at - 3] ?? '', words[at - 2] ?? '', words[at - 1] ?? '');
      }
      if (takes('!')) return !one();
      if (takes('(')) {
        const value = either();
        if (!takes(')')) throw new Complains('[ lacks a )');
        return value;
      }
      if (/^-[a-zA-Z]$/.test(words[at] ?? '') && at + 1 < words.length) {
        at += 2;
        return unary(words[at - 2] ?? '', words[at - 1] ?? '', around, line);
      }
      if (at >= words.length) throw new Complains('[ ends too early');
      at += 1;
      return words[at - 1] !== '';
    } finally {
      depth -= 1;
    }
  };
  const value = either();
  if (at < words.length) throw new Complains(`[ has too many words`);
  return value;
}
