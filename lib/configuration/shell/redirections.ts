import type { Reader } from './reader.js';
import { skipBlanks } from './separators.js';
import { Refused, type Refusal } from './syntax.js';
import { literalText, readWord } from './words.js';

/** Whether a redirection begins here, such as `2>`. */
export function seesRedirection(reader: Reader): boolean {
  if (reader.sees('&>')) return true;
  let digits = 0;
  while (/^\d$/.test(reader.peek(digits))) digits += 1;
  return ['<', '>'].includes(reader.peek(digits));
}

const refusal: Refusal = {
  reason: 'files are neither read nor written by a redirection',
  instead: 'Leave it out; only >/dev/null is passed over.',
};

/** Reads one; undefined where it does no harm: what is printed is thrown away. @throws Refused */
export function readRedirection(reader: Reader): Refusal | undefined {
  const { line } = reader;
  while (/^\d$/.test(reader.peek())) reader.take();
  let sign = '';
  while (['<', '>', '&', '|'].includes(reader.peek()) && sign.length < 2) sign += reader.take();
  if (sign === '<<')
    throw new Refused('a text that begins with << is not known', 'Write it as a value.', line);
  skipBlanks(reader);
  const target = literalText(readWord(reader)) ?? '';
  const isHarmless = sign.endsWith('&') && sign !== '&&' ? /^(\d|-)$/.test(target) : false;
  return isHarmless || (target === '/dev/null' && sign !== '<&') ? undefined : refusal;
}
