import type { OpenPolicy } from '../policy.js';
import { openOneQueue } from './one-queue.js';

/** Second chance (Corbató 1968): what was used since the hand came by last stays for one more round. */
export const clock: OpenPolicy = ({ sizes }, capacity) => {
  const wasUsed = new Uint8Array(sizes.length);
  return openOneQueue(sizes, capacity, {
    mark(object, isHit) {
      wasUsed[object] = Number(isHit);
    },
    evict(queue) {
      const object = queue.oldest();
      queue.remove(object);
      if (wasUsed[object] !== 1) return true;
      wasUsed[object] = 0;
      queue.push(object);
      return false;
    },
  });
};
