import type { CatalogInfo } from '../tree/tree.js';

// An empty catalog of cvmfs_server: its tables and indices, a page of 4 KiB each.
const catalogBytesMin = 14 * 4096;
// A row with its hash and name, and its place in two indices.
const entryBytesMin = 100;

const entryCounters = ['regular', 'symlink', 'special', 'dir'];

/**
 * What all catalogs of a snapshot take at the least (bytes), by the counters of its root catalog. The publisher's
 * counters are bound by no hash to what they count: good for a warning, and for nothing else.
 */
export function catalogBytesLeast({ counters }: Pick<CatalogInfo, 'counters'>): number {
  const all = (name: string): number => {
    const { self = 0n, subtree = 0n } = counters.get(name) ?? {};
    return Number(self + subtree);
  };
  const entries = entryCounters.reduce((sum, name) => sum + all(name), 0);
  return Math.max((1 + all('nested')) * catalogBytesMin, entries * entryBytesMin);
}
