import { errno } from '../../format/errno.js';
import { printable, type ByteString } from '../../format/bytes.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { failure, type Failure } from '../../store/want.js';

/** EIO, with the cause. */
export function damage(code: ErrorCode, message: string, cause?: unknown): Failure {
  return failure(errno.EIO, new PinfsError(code, message, { cause }));
}

/**
 * Rows that were asked for in the order of their ids came in another one: a file whose pages lead to
 * each other gives rows without end.
 */
export function disorder(path: ByteString): PinfsError {
  const message = `the rows of the catalog at ${printable(path) || '/'} are in disorder`;
  return new PinfsError('CATALOG_NOT_SQLITE', message);
}
