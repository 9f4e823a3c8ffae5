import { openHeap } from '../heap.js';
import type { OpenPolicy } from '../policy.js';
import type { RequestSequence } from '../requests.js';

/**
 * Belady's MIN, which knows the future: what is wanted last goes first, and what comes is not kept where it is the one.
 * Where all objects take the same, no policy has fewer misses; by bytes that is only an estimate.
 */
export const belady: OpenPolicy = (requests, capacity) => {
  const { sizes } = requests;
  const next = nextUses(requests);
  // The latest next use is the lowest.
  const heap = openHeap(sizes.length);
  let used = 0;
  let evictions = 0;
  return {
    access(object, index) {
      const nextUse = next[index] ?? Infinity;
      if (heap.has(object)) {
        heap.set(object, -nextUse);
        return true;
      }
      const size = sizes[object] ?? 0;
      if (size > capacity || nextUse === Infinity) return false;
      heap.set(object, -nextUse);
      used += size;
      while (used > capacity) {
        const last = heap.lowest();
        heap.remove(last);
        used -= sizes[last] ?? 0;
        // What was not kept at all was not evicted.
        if (last !== object) evictions++;
      }
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

/** Of each access: which one is the next of the same object; Infinity: there is none. */
function nextUses({ objects, sizes }: RequestSequence): Float64Array {
  const next = new Float64Array(objects.length);
  const upcoming = new Float64Array(sizes.length).fill(Infinity);
  for (let index = objects.length - 1; index >= 0; index--) {
    const object = objects[index] ?? 0;
    next[index] = upcoming[object] ?? Infinity;
    upcoming[object] = index;
  }
  return next;
}
