import { resolve } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { fileShares } from '../../machine/file-budget.js';
import { alwaysMiss } from './always-miss.js';
import { countedShelf } from './counted.js';
import { DiskShelf } from './disk-shelf.js';
import { DiskFull } from './full.js';
import { openPlace } from './place.js';
import { Records } from './records.js';
import { recordedShelf } from '../recorded.js';
import type { Shelf } from '../shelf.js';
import { findSpareDirectory } from './spare-directory.js';
import { withSpare } from './two-shelves.js';

// A cache that can't be opened now is tried again, not before so long (ms).
const triesIntervalMs = 1000;

/**
 * Opens the reading side of a cache, in any thread. Keeps up to `fileLimit` files open, so that a
 * read of one is a single call. An object that the store of another thread or process has fetched is
 * here as soon as its `fetch` has resolved. `ALWAYS_MISS=1` in the environment: see always-miss.ts.
 * @param options `at` of the store of this process, where there is one: then what can't be opened, or can't any
 *   more, is read where that store keeps what it can't put there.
 * @throws PinfsError CACHE_UNUSABLE, where no such `at` is given.
 */
export function openShelf(
  directory: string,
  options: { fileLimit?: number; at?: string | undefined } = {},
): Shelf {
  const absolute = resolve(directory);
  const { fileLimit = fileShares().objects, at } = options;
  let cache = tryToOpen(() => openDiskShelf(absolute, fileLimit, at), at !== undefined);
  let spare: DiskShelf | undefined;
  let lastTry = performance.now();
  let isLeft = false;
  const leaveCache = (): void => {
    isLeft = true;
    cache?.close();
    cache = undefined;
  };
  return shelfForReaders({
    ...withSpare(
      () => {
        const isEarly = isLeft || performance.now() - lastTry < triesIntervalMs;
        if (cache !== undefined || isEarly) return cache;
        lastTry = performance.now();
        return (cache = tryToOpen(() => openDiskShelf(absolute, fileLimit), true));
      },
      () => (spare ??= openSpareShelf(absolute, Math.ceil(fileLimit / 4))),
    ),
    leaveCache,
  });
}

/** @returns undefined where its disk is full, or, with `anyway`, whatever is wrong with it. */
function tryToOpen(open: () => DiskShelf, anyway: boolean): DiskShelf | undefined {
  try {
    return open();
  } catch (thrown) {
    const isUnusable = thrown instanceof PinfsError && thrown.code === 'CACHE_UNUSABLE';
    if (thrown instanceof DiskFull || (anyway && isUnusable)) return undefined;
    throw thrown;
  }
}

/** Where the store of this process has what it could not put into the cache. */
function openSpareShelf(cache: string, fileLimit: number): DiskShelf | undefined {
  const directory = findSpareDirectory(cache);
  // Or it is being made, or removed.
  return directory === undefined
    ? undefined
    : tryToOpen(() => openDiskShelf(directory, fileLimit), true);
}

function openDiskShelf(directory: string, fileLimit: number, at?: string): DiskShelf {
  const place = openPlace(directory, { make: false, at });
  let records: Records;
  try {
    records = new Records(place);
  } catch (thrown) {
    place.close();
    throw thrown;
  }
  const close = (): void => {
    records.close();
    place.close();
  };
  return new DiskShelf(place, records, fileLimit, close);
}

/** A shelf as readers have it: it counts, can be recorded, and in the slow order it lies. */
export function shelfForReaders(shelf: Shelf): Shelf {
  const counted = countedShelf(shelf);
  return recordedShelf(process.env['ALWAYS_MISS'] === '1' ? alwaysMiss(counted) : counted);
}
