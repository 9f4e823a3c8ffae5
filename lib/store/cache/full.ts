import { PinfsError } from '../../format/errors.js';

/** The disk of a cache has no room: unlike at a limit that the user set, reading goes on (keeper.ts). */
export class DiskFull extends PinfsError {
  constructor(message: string) {
    super('CACHE_FULL', message, {
      advice: 'Free some space, or give a directory on another disk with --cache DIR.',
    });
  }
}

/** There is no room for the plain bytes of an object, whose size is known only now. */
export class NoRoom extends Error {
  readonly bytes: number;
  /** Writing failed although the disk said that enough is free: a quota, or too few inodes. */
  readonly unmeasured: boolean;

  constructor(bytes: number, unmeasured: boolean) {
    super(`no room for ${bytes} bytes`);
    this.bytes = bytes;
    this.unmeasured = unmeasured;
  }
}

/** What is in a cache is in use, and nothing else may go. */
export function limitReached(directory: string, limit: number, byDisk: boolean): PinfsError {
  if (byDisk) {
    return new DiskFull(
      `the disk of the cache ${directory} is too full: the cache may take ${limit} bytes of it, and what is in it is in use`,
    );
  }
  return new PinfsError(
    'CACHE_FULL',
    `the cache is at its limit of ${limit} bytes, and what is in it is in use`,
    { advice: 'Raise the limit with --cache-limit SIZE.' },
  );
}
