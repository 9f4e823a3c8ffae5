import type { PinfsError } from '../../format/errors.js';
import { openCommitter } from './committer.js';
import { Disk } from './disk.js';
import { DiskFull } from './full.js';
import type { Target } from './keeper.js';
import { cacheUnusable } from './layout.js';
import { openLower, type Lower } from './lower.js';

/** A cache, or why nothing can be stored in it: what is read passes through the spare then. */
export type OpenedCache =
  | { readonly cache: Target; readonly lower?: undefined; readonly reason?: undefined }
  | { readonly cache?: undefined; readonly lower?: Lower | undefined; readonly reason: PinfsError };

/**
 * Opens the cache of a directory to be written to.
 * @param limit bytes that it may take on the disk.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export function openCache(
  directory: string,
  { limit, clock }: { readonly limit: number; readonly clock?: (() => number) | undefined },
): OpenedCache {
  try {
    const lower = openLower(directory);
    if (lower !== undefined) return { lower, reason: lower.reason };
    const disk = new Disk(directory, limit, { clock });
    return { cache: { disk, committer: openCommitter(disk) } };
  } catch (thrown) {
    if (thrown instanceof DiskFull) return { reason: thrown };
    throw cacheUnusable(directory, thrown);
  }
}
