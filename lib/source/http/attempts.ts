import { PinfsError } from '../../format/errors.js';

/** What one request met at each of its tries. */
export interface Attempts {
  readonly errors: PinfsError[];
}

const shownMax = 6;

/** The last error, with what happened before it. @param ways so many are there to be tried */
export function withAttempts(errors: readonly PinfsError[], ways: number): PinfsError {
  const last = errors.at(-1) ?? new PinfsError('INTERNAL', 'nothing was asked');
  if (errors.length <= 1 && ways <= 1) return last;
  const counts = new Map<string, number>();
  for (const { message } of errors) counts.set(message, (counts.get(message) ?? 0) + 1);
  const times = (message: string): string => {
    const count = counts.get(message) ?? 1;
    return count === 1 ? '' : ` (${count} times)`;
  };
  const others = [...counts.keys()].filter((message) => message !== last.message);
  const shown = others.slice(0, shownMax).map((message) => message + times(message));
  if (others.length > shownMax) shown.push(`and ${others.length - shownMax} more`);
  const before = shown.length === 0 ? '' : `; before that: ${shown.join('; ')}`;
  const probe = '`pinfs probe SOURCE` tries each mirror through each proxy.';
  const advice = ways <= 1 ? last.advice : [last.advice, probe].filter(Boolean).join(' ');
  return new PinfsError(last.code, `${last.message}${times(last.message)}${before}`, {
    advice,
    cause: last.cause ?? last,
    passing: last.passing,
  });
}
