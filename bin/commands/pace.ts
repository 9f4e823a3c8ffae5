import { formatSize } from './sizes.js';

/** How fast something goes on, and how long it may still take. */
export interface Pace {
  /** Notes how many bytes are done by now. @returns whether it is time to show it. */
  add(bytes: number): boolean;
  /** Rest and rate for people: `0:42 left, 12.3 MiB/s, `; empty as long as nobody knows. */
  text(): string;
  /** The same in bytes a second, and seconds; undefined as long as nobody knows. */
  now(): { readonly rate: number | undefined; readonly left: number | undefined };
}

// The rate is that of the last seconds: what was here already is done at once (ms).
const windowMs = 10_000;
const sampleIntervalMs = 250;

/** @param total bytes; undefined: nobody knows. @param clock milliseconds. */
export function openPace(total: number | undefined, clock: () => number): Pace {
  const samples = [{ time: clock(), bytes: 0 }];
  const now: Pace['now'] = () => {
    const [first, last] = [samples[0], samples.at(-1)];
    if (first === undefined || last === undefined || last.bytes <= first.bytes)
      return { rate: undefined, left: undefined };
    const rate = ((last.bytes - first.bytes) / (last.time - first.time)) * 1000;
    const left = total === undefined ? undefined : Math.ceil((total - last.bytes) / rate);
    return { rate, left };
  };
  return {
    add(bytes) {
      const time = clock();
      const last = samples.at(-1);
      if (last !== undefined && time - last.time < sampleIntervalMs) return false;
      samples.push({ time, bytes });
      while (samples.length > 2 && time - (samples[0]?.time ?? time) > windowMs) samples.shift();
      return true;
    },
    now,
    text() {
      const { rate, left } = now();
      if (rate === undefined) return '';
      const rest = left === undefined ? '' : `${durationText(left)} left, `;
      return `${rest}${formatSize(rate)}/s, `;
    },
  };
}

/** `0:42`, `12:05`, `3:00:00`. */
export function durationText(seconds: number): string {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const two = (number: number): string => String(number).padStart(2, '0');
  const rest = two(seconds % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}
