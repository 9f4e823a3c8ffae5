import { printable } from '../../format/bytes.js';
import { isMachineFault, PinfsError } from '../../format/errors.js';
import type { WaitLimits } from '../../source/wait.js';
import { describe } from '../inflate.js';
import { openRecentFailures } from '../recent-failures.js';
import type { StoreStatistics } from '../store.js';
import type { Want } from '../want.js';

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

const failureMs = 1000;
const missingMsMax = 30_000;
// They say nothing about the object.
const forgotten = new Set<string>(['INTERRUPTED', 'SOURCE_OFFLINE', 'INTERNAL']);

export function openFailures(clock: () => number): Failures {
  const failures = openRecentFailures<PinfsError>();
  return {
    recall: (key) => failures.recall(key, clock()),
    remember(key, error) {
      if (forgotten.has(error.code) || isMachineFault(error)) return;
      if (error.passing) {
        failures.forget(key);
        return;
      }
      const doubled = (failures.lastSpan(key) ?? 0) * 2 || failureMs;
      const isMissing = error.code === 'OBJECT_MISSING';
      failures.remember(
        key,
        error,
        isMissing ? Math.min(missingMsMax, doubled) : failureMs,
        clock(),
      );
    },
    forget: (key) => {
      failures.forget(key);
    },
  };
}

export function countFailure(statistics: StoreStatistics, want: Want, error: PinfsError): void {
  const { code, message } = error;
  if (code === 'INTERRUPTED') return;
  statistics.failures[code] = (statistics.failures[code] ?? 0) + 1;
  const time = new Date().toISOString();
  statistics.lastFailure = { code, message, path: printable(want.path), time };
}

/** What a wait ends with that is over. */
export function tooLate(want: Want, { deadline }: WaitLimits): PinfsError {
  const text = `${describe(want)} did not come: nothing, or next to nothing, for ${deadline / 1000} s`;
  return new PinfsError('SOURCE_TIMEOUT', text, { passing: true });
}
