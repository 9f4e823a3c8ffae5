import type { OpenPolicy } from '../policy.js';
import { openQueues } from '../queues.js';

/** SIEVE (Zhang et al., NSDI 2024): as a clock whose hand goes on where it was, and what stays keeps its place. */
export const sieve: OpenPolicy = ({ sizes }, capacity) => {
  const queues = openQueues(sizes, 1);
  const wasVisited = new Uint8Array(sizes.length);
  let hand = -1;
  let evictions = 0;

  function evict(): void {
    let object = hand < 0 ? queues.last(0) : hand;
    while (wasVisited[object] === 1) {
      wasVisited[object] = 0;
      object = queues.newerThan(object);
      if (object < 0) object = queues.last(0);
    }
    hand = queues.newerThan(object);
    queues.remove(object);
    evictions++;
  }

  return {
    access(object) {
      if (queues.queueOf(object) === 0) {
        wasVisited[object] = 1;
        return true;
      }
      const size = sizes[object] ?? 0;
      if (size > capacity) return false;
      while (queues.bytes(0) + size > capacity) evict();
      wasVisited[object] = 0;
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
