import { constants } from 'node:os';
import { fromText, printable } from '../format/bytes.js';
import { PinfsError, type ErrorCode } from '../format/errors.js';
import type { Failure } from '../store/want.js';

/** Error numbers that a tree gives back, as this system counts them. */
export const errnos = constants.errno;

/** An operation that ends with an errno, and why where the data is to blame. */
export function failure(errno: number, error?: PinfsError): Failure {
  return error === undefined ? { kind: 'failure', errno } : { kind: 'failure', errno, error };
}

/** EIO, with the cause. */
export function damage(code: ErrorCode, message: string, cause?: unknown): Failure {
  return failure(errnos.EIO, new PinfsError(code, message, { cause }));
}

/** Text out of somebody's database in a message: in quotes, and unable to write to a terminal. */
export function quoted(text: string): string {
  return `"${printable(fromText(text.slice(0, 200)))}"`;
}
