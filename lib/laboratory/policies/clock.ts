import type { OpenPolicy } from '../policy.js';
import { openQueues } from '../queues.js';

/** Second chance (Corbató 1968): what was used since the hand came by last stays for one more round. */
export const clock: OpenPolicy = ({ sizes }, capacity) => {
  const queues = openQueues(sizes, 1);
  const wasUsed = new Uint8Array(sizes.length);
  let evictions = 0;

  function evict(): void {
    const object = queues.last(0);
    queues.remove(object);
    if (wasUsed[object] === 1) {
      wasUsed[object] = 0;
      queues.push(0, object);
    } else evictions++;
  }

  return {
    access(object) {
      if (queues.queueOf(object) === 0) {
        wasUsed[object] = 1;
        return true;
      }
      const size = sizes[object] ?? 0;
      if (size > capacity) return false;
      while (queues.bytes(0) + size > capacity) evict();
      wasUsed[object] = 0;
      queues.push(0, object);
      return false;
    },
    has: (object) => queues.queueOf(object) === 0,
    get used() {
      return queues.bytes(0);
    },
    get evictions() {
      return evictions;
    },
  };
};
