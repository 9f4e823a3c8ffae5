import { PinfsError } from '../../lib/format/errors.js';

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

/** Sizes for people: `1.5 MiB`. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let value = bytes;
  let index = 0;
  while (value >= 1024 && index < names.length - 1) {
    value /= 1024;
    index += 1;
  }
  return `${index === 0 ? String(value) : value.toFixed(1)} ${names[index] ?? ''}`;
}
