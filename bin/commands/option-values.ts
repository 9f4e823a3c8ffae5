import { PinfsError } from '../../lib/format/errors.js';
import type { KindValues, OptionKind, OptionRow } from '../../lib/options/option.js';
import { parseSize, sizeText } from './sizes.js';

/* Values of options as text on a command line, and back. */

type Written = Omit<KindValues, 'flag' | 'choice'>;

/** What the text of each kind means. @throws PinfsError USAGE */
const readers: { readonly [Kind in keyof Written]: (text: string) => Written[Kind] } = {
  text: (text) => text,
  path: readPath,
  directory: readPath,
  place: readPath,
  size: parseSize,
  sizeOrOff: (text) => (text === 'off' ? 0 : parseSize(text)),
  seconds: parseSeconds,
  gid: parseGid,
  number: Number,
};

/** Node shows bytes that are no UTF-8 as U+FFFD, and what is opened by that name is another file. */
function readPath(text: string): string {
  if (!text.includes('\ufffd')) return text;
  throw new PinfsError('USAGE', `'${text}' is not UTF-8`, {
    advice: 'Go into that directory and give a relative path, or make a link to it.',
  });
}

/** The text of an option as the library takes it. @throws PinfsError USAGE */
export function readValue({ kind, choices = [] }: OptionRow, text: string): string | number {
  if (kind === 'flag') return text;
  // Commander has looked whether it is one of them.
  if (kind === 'choice') return choices.find((choice) => String(choice) === text) ?? text;
  return readers[kind](text);
}

/** The text that means this value. */
export function writeValue(kind: OptionKind, value: string | number): string {
  if (typeof value === 'string') return value;
  if (kind === 'seconds') return String(value / 1000);
  if (kind === 'sizeOrOff' && value === 0) return 'off';
  return kind === 'size' || kind === 'sizeOrOff' ? sizeText(value) : String(value);
}

/** In milliseconds. */
function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds >= 1 && seconds <= 3600)) {
    throw new PinfsError('USAGE', `'${text}' is no number of seconds for this`, {
      advice: 'Give seconds, from 1 to 3600.',
    });
  }
  return Math.round(seconds * 1000);
}

function parseGid(text: string): number {
  const gid = /^\d{1,10}$/.test(text) ? Number(text) : NaN;
  if (gid < 2 ** 32 - 1) return gid;
  throw new PinfsError('USAGE', `'${text}' is no group`, { advice: 'Give the number of a group.' });
}
