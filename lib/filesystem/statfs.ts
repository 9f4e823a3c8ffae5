import type { Tree } from '../tree/tree.js';
import type { StatFs } from './filesystem.js';
import type { LiveFacts } from './live-facts.js';

/** Unit of statfs, as the reference has it (format document, 9.2). */
const unit = 512;

/**
 * statfs: the cache as blocks, the entries of the repository as files. Never waits: where the root
 * catalog's counters aren't at hand, the number of files is 0.
 */
export function statfsOf(tree: Tree, live: () => LiveFacts): () => StatFs {
  let files: number | undefined;
  return () => {
    files ??= countFiles(tree);
    const { cacheBytes, cacheLimit } = live();
    const blocks = Math.floor(Math.max(cacheLimit, cacheBytes) / unit);
    return {
      blockSize: unit,
      blocks,
      blocksFree: Math.max(0, blocks - Math.ceil(cacheBytes / unit)),
      files: files ?? 0,
      filesFree: 0,
      nameMax: 255,
    };
  };
}

function countFiles(tree: Tree): number | undefined {
  const catalog = tree.catalogOf(tree.root);
  if (catalog.kind !== 'done') return undefined;
  let sum = 0n;
  for (const counter of ['regular', 'symlink', 'special', 'dir']) {
    const value = catalog.value.counters.get(counter);
    if (value !== undefined) sum += value.self + value.subtree;
  }
  // The counters are the publisher's word; what no 53 bits hold is not a number of files.
  return sum >= 0n && sum <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(sum) : 0;
}
