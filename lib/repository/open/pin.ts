import { PinfsError } from '../../format/errors.js';
import { parseHash, type ContentHash } from '../../format/hash.js';

/** What stands behind the `@` of SOURCE@PIN. A text can be a tag's name and a date: the tag wins. */
export type Pin =
  { readonly kind: 'head' } | { readonly kind: 'hash'; readonly hash: ContentHash } | NamePin;

/** What it means is looked up in this order: a tag, the head and what was before it, a date, a shortened hash. */
export interface NamePin {
  readonly kind: 'name';
  readonly text: string;
  readonly date: PinDate | undefined;
  /** `HEAD~N`: so many revisions before the head; `HEAD` is 0. */
  readonly back?: number;
  /** The first digits of a root hash, 8 or more. */
  readonly short?: string;
}

export interface PinDate {
  /** Seconds since 1970, UTC; a bare year, month, date or minute means its last second. */
  readonly seconds: number;
}

/** @throws PinfsError PIN_MALFORMED for an empty or impossible pin. */
export function parsePin(text: string | undefined): Pin {
  if (text === undefined) return { kind: 'head' };
  if (text === '') {
    throw new PinfsError('PIN_MALFORMED', 'there is nothing behind the @', {
      advice: 'Give a root hash, a tag or a date, or leave the @ out for the head.',
    });
  }
  const hash = parseHash(text);
  if (hash !== undefined) return { kind: 'hash', hash };
  if (/^[0-9a-fA-F]{40}(-.*)?$/.test(text)) {
    throw new PinfsError('PIN_MALFORMED', `'${text}' is no root hash`, {
      advice: 'A root hash is 40 lower-case hex digits, with -rmd160 or -shake128 where it is one.',
    });
  }
  const back = /^HEAD(?:~(\d{1,4})?)?$/.exec(text);
  return {
    kind: 'name',
    text,
    date: parseDate(text) ?? parsePeriod(text),
    ...(back === null ? {} : { back: stepsBack(text, back[1]) }),
    ...(/^[0-9a-f]{8,39}$/.test(text) ? { short: text } : {}),
  };
}

/** `HEAD~` is `HEAD~1`. */
function stepsBack(text: string, count: string | undefined): number {
  return count === undefined ? Number(text.endsWith('~')) : Number(count);
}

/** A year or a month of a year: its last second. */
function parsePeriod(text: string): PinDate | undefined {
  const match = /^(\d{4})(?:-(0[1-9]|1[0-2]))?$/.exec(text);
  if (match === null) return undefined;
  const [, year, month = '12'] = match;
  // The month behind it begins a second later.
  return { seconds: Date.UTC(Number(year), Number(month), 1) / 1000 - 1 };
}

const isoDate =
  /^(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.\d{1,9})?)?(Z|[+-]\d{2}:?\d{2})?)?$/;

/** An ISO 8601 date or time, in UTC unless it says otherwise; undefined if it is none. */
export function parseDate(text: string): PinDate | undefined {
  const match = isoDate.exec(text);
  if (match === null) return undefined;
  const [, year, month, day, hour, minute, second, zone] = match;
  const parts = [Number(year), Number(month), Number(day)] as const;
  const clock = [Number(hour ?? 23), Number(minute ?? 59), Number(second ?? 59)] as const;
  const time = Date.UTC(parts[0], parts[1] - 1, parts[2], ...clock);
  const date = new Date(time);
  const exists =
    date.getUTCFullYear() === parts[0] &&
    date.getUTCMonth() === parts[1] - 1 &&
    date.getUTCDate() === parts[2] &&
    clock[0] < 24 &&
    clock[1] < 60 &&
    clock[2] < 60;
  if (!exists) return undefined;
  return { seconds: time / 1000 - zoneSeconds(zone) };
}

function zoneSeconds(zone: string | undefined): number {
  if (zone === undefined || zone === 'Z') return 0;
  const sign = zone.startsWith('-') ? -1 : 1;
  const digits = zone.replace(/\D/g, '');
  return sign * (Number(digits.slice(0, 2)) * 3600 + Number(digits.slice(2)) * 60);
}
