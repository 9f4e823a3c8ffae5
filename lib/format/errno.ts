import { constants } from 'node:os';

/** Errno numbers by name, as this system counts them. */
export const { errno } = constants;

const words: Readonly<Record<number, string>> = {
  [errno.ENOENT]: 'no such file or directory',
  [errno.EINTR]: 'interrupted',
  [errno.EIO]: 'damaged or not available',
  [errno.EACCES]: 'permission denied',
  [errno.EBUSY]: 'busy',
  [errno.ENOTDIR]: 'not a directory',
  [errno.EISDIR]: 'is a directory',
  [errno.EINVAL]: 'invalid argument',
  [errno.ENOSPC]: 'no space left',
  [errno.EROFS]: 'read-only file system',
  [errno.ERANGE]: 'too large for the space given',
  [errno.ENAMETOOLONG]: 'name too long',
  [errno.ENOSYS]: 'not supported',
  [errno.ELOOP]: 'too many levels of symbolic links',
  [errno.ENODATA]: 'no such attribute',
  [errno.ETIMEDOUT]: 'timed out',
};

export function errnoWords(number: number): string {
  return words[number] ?? `error ${number}`;
}

/** The `code` of an error of Node or SQLite (`ENOENT`, `SQLITE_BUSY` …); undefined where it has none. */
export function errorCode(thrown: unknown): string | undefined {
  if (!(thrown instanceof Error) || !('code' in thrown)) return undefined;
  return typeof thrown.code === 'string' ? thrown.code : undefined;
}

/** Why something failed, in a word where there is one: the code, else the message, else the value as text. */
export function errorReason(thrown: unknown): string {
  return errorCode(thrown) ?? (thrown instanceof Error ? thrown.message : String(thrown));
}
