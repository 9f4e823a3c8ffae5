import { LRUCache } from 'lru-cache';
import type { OpenPolicy } from '../policy.js';

/** Least recently used, as lru-cache has it. */
export const lru: OpenPolicy = ({ sizes }, capacity) => {
  let evictions = 0;
  const cache = new LRUCache<number, true>({
    maxSize: Math.max(1, Math.floor(capacity)),
    sizeCalculation: (_, object) => sizes[object] ?? 1,
    dispose: (_, __, reason) => {
      if (reason === 'evict') evictions++;
    },
  });
  return {
    access(object) {
      if (cache.get(object) === true) return true;
      if ((sizes[object] ?? 0) <= capacity) cache.set(object, true);
      return false;
    },
    has: (object) => cache.has(object),
    get used() {
      return cache.calculatedSize;
    },
    get evictions() {
      return evictions;
    },
  };
};
