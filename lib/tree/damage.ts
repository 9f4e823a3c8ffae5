import { errno } from '../format/errno.js';
import { PinfsError, type ErrorCode } from '../format/errors.js';
import { failure, type Failure } from '../store/want.js';

/** EIO, with the cause. */
export function damage(code: ErrorCode, message: string, cause?: unknown): Failure {
  return failure(errno.EIO, new PinfsError(code, message, { cause }));
}
