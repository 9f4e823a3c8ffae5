import type { StatFs } from './filesystem.js';
import type { LiveFacts } from './live-facts.js';

/** Unit of statfs, as the reference has it (docs/format.md, 9.2). */
const unitBytes = 512;

/**
 * statfs: the cache as blocks. No number of files, as of iso9660 and others that have no limit of their own: all
 * of it "used" would look like a file system that is full. How many entries there are is in `user.repo_counters`.
 */
export function statfsOf(live: () => LiveFacts): () => StatFs {
  return () => {
    const { cacheBytes, cacheLimit } = live();
    const blocks = Math.floor(Math.max(cacheLimit, cacheBytes) / unitBytes);
    return {
      blockSize: unitBytes,
      blocks,
      blocksFree: Math.max(0, blocks - Math.ceil(cacheBytes / unitBytes)),
      files: 0,
      filesFree: 0,
      nameMax: 255,
    };
  };
}
