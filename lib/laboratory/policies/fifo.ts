import type { OpenPolicy } from '../policy.js';
import { openQueues } from '../queues.js';

/** First in, first out. */
export const fifo: OpenPolicy = ({ sizes }, capacity) => {
  const queues = openQueues(sizes, 1);
  let evictions = 0;
  return {
    access(object) {
      if (queues.queueOf(object) === 0) return true;
      const size = sizes[object] ?? 0;
      if (size > capacity) return false;
      while (queues.bytes(0) + size > capacity) {
        queues.remove(queues.last(0));
        evictions++;
      }
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
