import type { OpenPolicy } from '../policy.js';
import { openOneQueue } from './one-queue.js';

/** SIEVE (Zhang et al., NSDI 2024): as a clock whose hand goes on where it was, and what stays keeps its place. */
export const sieve: OpenPolicy = ({ sizes }, capacity) => {
  const wasVisited = new Uint8Array(sizes.length);
  let hand = -1;
  return openOneQueue(sizes, capacity, {
    mark(object, isHit) {
      wasVisited[object] = Number(isHit);
    },
    evict(queue) {
      let object = hand < 0 ? queue.oldest() : hand;
      while (wasVisited[object] === 1) {
        wasVisited[object] = 0;
        object = queue.newerThan(object);
        if (object < 0) object = queue.oldest();
      }
      hand = queue.newerThan(object);
      queue.remove(object);
      return true;
    },
  });
};
