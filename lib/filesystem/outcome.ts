import { constants } from 'node:os';
import type { PinfsError } from '../format/errors.js';
import type { Failure, Outcome } from '../store/want.js';

export const errno = constants.errno;

/** A failure with this errno; `error` only for faults of the data. */
export function failure(code: number, error?: PinfsError): Failure {
  return error === undefined
    ? { kind: 'failure', errno: code }
    : { kind: 'failure', errno: code, error };
}

/** Goes on with the value, if there is one; a miss or a failure is handed through. */
export function andThen<T, U>(outcome: Outcome<T>, next: (value: T) => Outcome<U>): Outcome<U> {
  return outcome.kind === 'done' ? next(outcome.value) : outcome;
}
