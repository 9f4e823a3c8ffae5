import { fromText, printable } from '../format/bytes.js';
import { asPinfsError } from '../format/errors.js';
import type { Failure } from '../store/want.js';
import { isIoError } from './io-errors.js';
import type { DriverStatistics, MountRequest } from './driver.js';

/** Counts what a driver does, and logs its errors without flooding the log. */
export interface DriverCounters {
  readonly statistics: DriverStatistics;
  count(operation: string): void;
  /** An errno that was answered: one with a reason is an error of ours, and is counted and logged. */
  failure(operation: string, path: string, failure: Failure): void;
  /** A fault of our own, answered with EIO. */
  fault(operation: string, path: string, thrown: unknown): void;
  /** A name, target or time that the driver can't carry. */
  notCarried(): void;
}

/** The same error of the same path is logged once until so many others have been. */
const errorsKeptMax = 256;

export function makeDriverCounters({
  log,
  failed,
}: Pick<MountRequest, 'log' | 'failed'>): DriverCounters {
  const statistics: DriverStatistics = { requests: {}, errors: {}, notCarried: 0 };
  const logged = new Set<string>();

  function note(level: 'warn' | 'error', operation: string, path: string, thrown: unknown): void {
    const error = asPinfsError(thrown);
    statistics.errors[error.code] = (statistics.errors[error.code] ?? 0) + 1;
    const key = `${error.code} ${path}`;
    if (logged.has(key)) return;
    if (logged.size >= errorsKeptMax) logged.clear();
    logged.add(key);
    log(level, `${operation} ${printable(fromText(path))}: ${error.code}: ${error.message}`);
  }

  return {
    statistics,
    count(operation) {
      statistics.requests[operation] = (statistics.requests[operation] ?? 0) + 1;
    },
    failure(operation, path, { errno: number, error }) {
      if (isIoError(number)) failed?.();
      if (error !== undefined) note('warn', operation, path, error);
    },
    fault(operation, path, thrown) {
      failed?.();
      note('error', operation, path, thrown);
    },
    notCarried() {
      statistics.notCarried += 1;
    },
  };
}
