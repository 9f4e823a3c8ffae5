import { LRUCache } from 'lru-cache';
import { isMachineFault, type PinfsError } from '../../format/errors.js';

/**
 * Remembers failed fetches for a short while. The kernel asks for a failed read again, in pieces;
 * and an object that is missing everywhere is not asked for at every look. What may pass is not remembered:
 * it was asked for as often as it is good for a server, and may be here now.
 */
export interface Failures {
  /** The failure that still counts. */
  recall(key: string): PinfsError | undefined;
  remember(key: string, error: PinfsError): void;
  forget(key: string): void;
}

const firstMs = 1000;
const longestMs = 30_000;
// They say nothing about the object.
const forgotten = new Set<string>(['INTERRUPTED', 'SOURCE_OFFLINE', 'INTERNAL']);

export function openFailures(clock: () => number): Failures {
  const failures = new LRUCache<string, { error: PinfsError; until: number; delay: number }>({
    max: 4096,
  });
  return {
    recall(key) {
      const failure = failures.get(key);
      if (failure === undefined) return undefined;
      const left = failure.until - clock();
      // A clock that was set back must not lengthen it.
      return left > 0 && left <= failure.delay ? failure.error : undefined;
    },
    remember(key, error) {
      if (forgotten.has(error.code) || isMachineFault(error)) return;
      if (error.passing) {
        failures.delete(key);
        return;
      }
      const before = failures.get(key)?.delay ?? 0;
      const delay =
        error.code === 'OBJECT_MISSING' ? Math.min(longestMs, before * 2 || firstMs) : firstMs;
      failures.set(key, { error, until: clock() + delay, delay });
    },
    forget: (key) => void failures.delete(key),
  };
}
