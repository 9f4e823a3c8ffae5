import type { CachePolicy } from '../policy.js';
import { openQueues, type Queues } from '../queues.js';

/** What a policy decides that keeps its objects in one queue, newest first. */
export interface OneQueueRules {
  /** A hit, or what comes in (then it has not been used yet). */
  readonly mark: (object: number, isHit: boolean) => void;
  /** Takes one object out, or puts it elsewhere in the queue. @returns whether it went. */
  readonly evict: (queue: OneQueue) => boolean;
}

/** The queue of such a policy. */
export interface OneQueue extends Pick<Queues, 'remove' | 'newerThan'> {
  /** The one that came in first; -1: it is empty. */
  readonly oldest: () => number;
  readonly push: (object: number) => void;
}

/** A cache of one queue: what comes in goes in front, and room is made for it as the rules say. */
export function openOneQueue(
  sizes: Float64Array,
  capacity: number,
  { mark, evict }: OneQueueRules,
): CachePolicy {
  const queues = openQueues(sizes, 1);
  const queue: OneQueue = {
    oldest: () => queues.last(0),
    newerThan: queues.newerThan,
    push: (object) => {
      queues.push(0, object);
    },
    remove: queues.remove,
  };
  let evictions = 0;
  return {
    access(object) {
      const isHit = queues.queueOf(object) === 0;
      const size = sizes[object] ?? 0;
      if (!isHit && size > capacity) return false;
      while (!isHit && queues.bytes(0) + size > capacity) if (evict(queue)) evictions++;
      mark(object, isHit);
      if (!isHit) queue.push(object);
      return isHit;
    },
    has: (object) => queues.queueOf(object) === 0,
    get used() {
      return queues.bytes(0);
    },
    get evictions() {
      return evictions;
    },
  };
}
