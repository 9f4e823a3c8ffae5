import { openHeap } from '../heap.js';
import type { OpenPolicy } from '../policy.js';
import { accessesMax } from '../requests.js';

/** Least frequently used while it is in the cache; of those, the one that was not used for longest. */
export const lfu: OpenPolicy = ({ sizes }, capacity) => {
  const heap = openHeap(sizes.length);
  const counts = new Float64Array(sizes.length);
  let used = 0;
  let evictions = 0;

  function use(object: number, count: number, index: number): void {
    counts[object] = count;
    heap.set(object, count * accessesMax + index);
  }

  return {
    access(object, index) {
      if (heap.has(object)) {
        use(object, (counts[object] ?? 0) + 1, index);
        return true;
      }
      const size = sizes[object] ?? 0;
      if (size > capacity) return false;
      while (used + size > capacity) {
        const least = heap.lowest();
        heap.remove(least);
        used -= sizes[least] ?? 0;
        evictions++;
      }
      used += size;
      use(object, 1, index);
      return false;
    },
    has: (object) => heap.has(object),
    get used() {
      return used;
    },
    get evictions() {
      return evictions;
    },
  };
};
