import { PinfsError } from '../../lib/format/errors.js';

export { formatSize } from '../../lib/format/size-text.js';

const units: Readonly<Record<string, number>> = {
  '': 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** `500M`, `4G`, `1048576` in bytes. @throws PinfsError USAGE. */
export function parseSize(text: string): number {
  const match = /^(\d{1,15})([KMGT]?)(?:i?B)?$/i.exec(text);
  const unit = units[(match?.[2] ?? '').toUpperCase()];
  const bytes = Number(match?.[1]) * (unit ?? NaN);
  if (!Number.isSafeInteger(bytes) || bytes === 0) {
    throw new PinfsError('USAGE', `'${text}' is no size`, { advice: 'Write it like 500M or 4G.' });
  }
  return bytes;
}

/** The shortest text that `parseSize` reads as just so many bytes. */
export function sizeText(bytes: number): string {
  const [unit, factor] = Object.entries(units).findLast(([, one]) => bytes % one === 0) ?? ['', 1];
  return `${bytes / factor}${unit}`;
}

const millisecondsOf: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
};

/** `20ms`, `5s`, `2m` in milliseconds; a bare number has no unit, and is none. @throws PinfsError USAGE. */
export function parseDuration(text: string): number {
  const match = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)$/.exec(text);
  const unit = millisecondsOf[match?.[2] ?? ''];
  if (match !== null && unit !== undefined) return Number(match[1]) * unit;
  throw new PinfsError('USAGE', `'${text}' is no time`, { advice: 'Write it like 20ms or 5s.' });
}

/** Times for people: `12.3 ms`, `4.56 s`. */
export function formatMilliseconds(milliseconds: number): string {
  if (milliseconds >= 10_000) return `${(milliseconds / 1000).toFixed(1)} s`;
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  return `${milliseconds.toFixed(milliseconds < 100 ? 1 : 0)} ms`;
}
