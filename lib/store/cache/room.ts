import { statfsSync } from 'node:fs';
import { errorCode } from '../../format/errno.js';

/**
 * What stays free beside an object that is written: the records need a little room for each. Nothing
 * else is left to them where others fill the disk.
 */
export const slackBytes = 128 * 1024;

/** Bytes that may still be written to the disk of a directory. */
export function freeBytes(directory: string): number {
  const status = statfsSync(directory);
  return status.bavail * status.bsize;
}

/** Whether a directory's disk has no room for so much more. @throws errors of the file system. */
export function isFull(directory: string, bytes: number): boolean {
  try {
    return freeBytes(directory) < bytes + slackBytes;
  } catch (thrown) {
    // Someone emptied the cache below us.
    if (errorCode(thrown) === 'ENOENT') return false;
    throw thrown;
  }
}

/** What `openRoom` works with. */
export interface RoomParts {
  /** Bytes that are free on the disk. */
  readonly free: () => number;
  /** Bytes that could go. */
  readonly removable: () => number;
  /** Lets a loop remove what was not used for longest, one by one, and gives what it gives. */
  readonly remove: (loop: (removeOne: RemoveOne) => boolean) => boolean;
  /** Milliseconds. */
  readonly clock: () => number;
}

/** Bytes that were removed; undefined: there is nothing left. */
export type RemoveOne = () => number | undefined;

export interface Room {
  /**
   * Removes so much that `bytes` fit, and no more. Where free room could not be written to (`unmeasured`: a quota,
   * or too few inodes), the bytes that are removed are the measure.
   * @returns false if that is of no use just now.
   */
  make(bytes: number, unmeasured?: boolean): boolean;
  /** There was no room all the same when it came to writing. */
  failed(): void;
}

// After something was removed in vain: somebody has it open, or others filled the room as soon as it was there.
const pauseMsMin = 5000;
const pauseMsMax = 600_000;

/**
 * Room on a disk that others fill as well. Removing is of no use where the room does not appear; then it is
 * left alone for a while, so that no more than one object in many seconds is lost for nothing.
 */
export function openRoom(parts: RoomParts): Room {
  // What was free when something was removed in vain, and until when nothing is removed for that.
  let vain: { readonly free: number; readonly until: number; readonly pause: number } | undefined;

  function inVain(free: number): false {
    const pause = vain === undefined ? pauseMsMin : Math.min(pauseMsMax, vain.pause * 2);
    vain = { free, until: parts.clock() + pause, pause };
    return false;
  }

  function removeFor(bytes: number, before: number, blind: boolean, removeOne: RemoveOne): boolean {
    let free = before;
    for (let removed = 0; blind ? removed < bytes : free < bytes;) {
      // Others take it as fast as it comes.
      if (removed > 2 * bytes) return inVain(free);
      const one = removeOne();
      if (one === undefined) return inVain(free);
      removed += one;
      const now = parts.free();
      if (!blind && now <= free) return inVain(now);
      free = now;
    }
    return true;
  }

  return {
    make(bytes, unmeasured = false) {
      const free = parts.free();
      const blind = free >= bytes;
      if (blind && !unmeasured) return true;
      if (vain !== undefined && free > vain.free) vain = undefined;
      if (vain !== undefined && parts.clock() < vain.until) return false;
      if (!blind && free + parts.removable() < bytes) return false;
      return parts.remove((removeOne) => removeFor(bytes, free, blind, removeOne));
    },
    failed: () => void inVain(parts.free()),
  };
}
