/** Linux errno numbers (errno.h) that pinfs answers with, and their words for people. */
export const errno = {
  ENOENT: 2,
  EINTR: 4,
  EIO: 5,
  EACCES: 13,
  EBUSY: 16,
  ENOTDIR: 20,
  EISDIR: 21,
  EINVAL: 22,
  ENOSPC: 28,
  EROFS: 30,
  ERANGE: 34,
  ENAMETOOLONG: 36,
  ENOSYS: 38,
  ELOOP: 40,
  ENODATA: 61,
  ETIMEDOUT: 110,
} as const;

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
