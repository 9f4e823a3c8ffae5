import { errno } from '../format/errno.js';

/** Answers that callers saw and that were I/O errors, so far. */
export interface IoErrors {
  readonly errors: number;
  /** Unix time of the last one in seconds; 0: none. */
  readonly lastError: number;
}

const numbers: ReadonlySet<number> = new Set([errno.EIO, errno.ETIMEDOUT, errno.ENOSPC]);

/** Whether an answer says that what is there can't be had, as against: it isn't there, or not for you. */
export function isIoError(number: number): boolean {
  return numbers.has(number);
}
