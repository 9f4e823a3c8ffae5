import type { Entry } from '../../tree/entry.js';
import type { Reached } from './reach.js';

/** What is below a directory, as its catalog counts it. */
export interface TreeTotals {
  /** All that is no directory. */
  readonly files: number;
  /** Bytes of files, those with the same content each time. */
  readonly bytes: number;
}

/**
 * How much is below a directory that a catalog begins with; undefined for any other, whose part of its catalog nobody
 * counted, and where the catalog's counters can't be had or are not of use.
 */
export async function totalsBelow(
  repository: Reached,
  directory: Entry,
): Promise<TreeTotals | undefined> {
  if (directory.type !== 'directory') return undefined;
  const catalog = await repository.run(() => repository.tree.catalogOf(directory.node));
  if (catalog.kind !== 'done' || catalog.value.mountpoint !== directory.path) return undefined;
  const count = (name: string): number => {
    const { self, subtree } = catalog.value.counters.get(name) ?? { self: 0n, subtree: 0n };
    return Number(self + subtree);
  };
  const files = count('regular') + count('symlink') + count('special');
  return files > 0 ? { files, bytes: count('file_size') } : undefined;
}
