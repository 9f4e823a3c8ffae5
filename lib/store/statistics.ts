import type { Disk } from './cache/disk.js';
import type { Keeper } from './cache/keeper.js';
import type { Shelf } from './shelf.js';
import type { StoreSpent } from './spent.js';
import type { StoreStatistics } from './store.js';

/** Counts that begin at nothing, beside what shelf, cache and keeper count themselves. */
export function openStatistics(
  disk: Disk | undefined,
  shelf: Shelf,
  keeper: Keeper,
  spent: StoreSpent,
): StoreStatistics {
  return {
    spent,
    get hits() {
      return shelf.hits ?? 0;
    },
    get catalogHits() {
      return shelf.catalogHits ?? 0;
    },
    misses: 0,
    catalogMisses: 0,
    stored: 0,
    get evicted() {
      return disk?.evicted ?? 0;
    },
    get bytes() {
      return disk?.bytes ?? 0;
    },
    get limit() {
      return disk?.limit ?? 0;
    },
    get notStored() {
      return keeper.notStored;
    },
    get rebuilt() {
      return disk?.rebuilt ?? 0;
    },
    failures: {},
    lastFailure: undefined,
  };
}
