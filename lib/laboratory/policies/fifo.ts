import type { OpenPolicy } from '../policy.js';
import { openOneQueue } from './one-queue.js';

/** First in, first out. */
export const fifo: OpenPolicy = ({ sizes }, capacity) =>
  openOneQueue(sizes, capacity, {
    mark: () => undefined,
    evict(queue) {
      queue.remove(queue.oldest());
      return true;
    },
  });
