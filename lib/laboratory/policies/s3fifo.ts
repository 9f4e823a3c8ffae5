import type { OpenPolicy } from '../policy.js';
import { openQueues } from '../queues.js';

const small = 0;
const main = 1;
const ghost = 2;
const smallShare = 0.1;
const frequencyMax = 3;

/** The queues of S3-FIFO: what goes when, by the pseudo-code of the paper. */
function openS3Queues(sizes: Float64Array, capacity: number) {
  const queues = openQueues(sizes, 3);
  const frequencies = new Uint8Array(sizes.length);
  const smallMax = smallShare * capacity;
  const mainMax = capacity - smallMax;

  function evictSmall(): number {
    for (let evicted = 0; ;) {
      const object = queues.last(small);
      if (object < 0) return evicted;
      queues.remove(object);
      if ((frequencies[object] ?? 0) <= 1) {
        queues.push(ghost, object);
        while (queues.bytes(ghost) > mainMax) queues.remove(queues.last(ghost));
        return evicted + 1;
      }
      queues.push(main, object);
      if (queues.bytes(main) > mainMax) evicted += evictMain();
    }
  }

  function evictMain(): number {
    for (;;) {
      const object = queues.last(main);
      if (object < 0) return 0;
      queues.remove(object);
      const frequency = frequencies[object] ?? 0;
      if (frequency === 0) return 1;
      frequencies[object] = frequency - 1;
      queues.push(main, object);
    }
  }

  /** @returns how many went. */
  function evict(): number {
    const isSmallFull = queues.length(small) > 0 && queues.bytes(small) >= smallMax;
    return isSmallFull || queues.length(main) === 0 ? evictSmall() : evictMain();
  }

  return { ...queues, frequencies, evict };
}

/**
 * S3-FIFO (Yang et al., SOSP 2023): a small queue for what is new, a main one for what was used again, and the names of
 * what the small one gave up. Sizes count where the paper counts objects.
 */
export const s3fifo: OpenPolicy = ({ sizes }, capacity) => {
  const { frequencies, evict, bytes, push, queueOf, remove } = openS3Queues(sizes, capacity);
  const used = (): number => bytes(small) + bytes(main);
  let evictions = 0;
  return {
    access(object) {
      const queue = queueOf(object);
      if (queue === small || queue === main) {
        frequencies[object] = Math.min((frequencies[object] ?? 0) + 1, frequencyMax);
        return true;
      }
      const size = sizes[object] ?? 0;
      if (size > capacity) return false;
      while (used() + size > capacity) evictions += evict();
      frequencies[object] = 0;
      // What is made room for may have pushed its name out.
      const isGhost = queueOf(object) === ghost;
      if (isGhost) remove(object);
      push(isGhost ? main : small, object);
      return false;
    },
    has(object) {
      const queue = queueOf(object);
      return queue === small || queue === main;
    },
    get used() {
      return used();
    },
    get evictions() {
      return evictions;
    },
  };
};
