import { PinfsError } from '../format/errors.js';
import type { Disk } from './cache/disk.js';
import { mayFit } from './cache/keeper.js';
import { diskFull } from './cache/layout.js';
import type { Spare } from './cache/spare.js';
import { describe, largestObject } from './inflate.js';
import type { Want } from './want.js';

/* What a promised size means before anything has come. */

/** What stored and plain bytes take of the disk; where only a limit is known, what such objects usually need. */
export function weightOf(want: Want): number {
  const plain = want.size.kind === 'exact' ? want.size.bytes : Math.min(want.size.bytes, 2 ** 23);
  return 2 * plain;
}

/** Refuses before anything is downloaded. @param cache it, or why nothing can be stored in it. */
export function checkPromise(want: Want, cache: Disk | PinfsError | undefined, spare: Spare): void {
  if (want.size.kind === 'limit') return;
  const { bytes } = want.size;
  if (bytes > largestObject) {
    const text = `${describe(want)} is too large: ${bytes} bytes, and at most ${largestObject} can be unpacked`;
    throw new PinfsError('OBJECT_TOO_LARGE', text);
  }
  if (cache === undefined || cache instanceof PinfsError) {
    if (spare.mayFit(bytes)) return;
    throw cache ?? new PinfsError('INTERNAL', 'there is no cache');
  }
  const { limit, limitedByDisk, directory } = cache;
  if (mayFit(want, limit)) return;
  const text = `${describe(want)} has ${bytes} bytes, and the whole cache may have ${limit}`;
  if (limitedByDisk) {
    if (spare.mayFit(bytes)) return;
    throw diskFull(directory, `${text}: its disk is too full (${directory})`);
  }
  throw new PinfsError('CACHE_FULL', text, { advice: 'Raise the limit with --cache-limit SIZE.' });
}
