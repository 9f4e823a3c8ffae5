import type { OpenPolicy } from '../policy.js';
import { openQueues } from '../queues.js';

// A1in, Am and A1out of the paper.
const [recent, frequent, ghost] = [0, 1, 2];
const recentShare = 1 / 4;
const ghostShare = 1 / 2;

/**
 * 2Q, the full version (Johnson and Shasha, VLDB 1994), with the shares that the paper advises. Sizes count where it
 * counts pages.
 */
export const twoQueues: OpenPolicy = ({ sizes }, capacity) => {
  const queues = openQueues(sizes, 3);
  const { bytes, last, length, push, queueOf, remove } = queues;
  let evictions = 0;

  const used = (): number => bytes(recent) + bytes(frequent);

  function reclaim(): void {
    const isRecent = bytes(recent) > recentShare * capacity || length(frequent) === 0;
    const object = last(isRecent ? recent : frequent);
    remove(object);
    evictions++;
    if (!isRecent) return;
    push(ghost, object);
    while (bytes(ghost) > ghostShare * capacity) remove(last(ghost));
  }

  return {
    access(object) {
      const queue = queueOf(object);
      if (queue === recent) return true;
      if (queue === frequent) {
        remove(object);
        push(frequent, object);
        return true;
      }
      const size = sizes[object] ?? 0;
      if (size > capacity) return false;
      if (queue === ghost) remove(object);
      while (used() + size > capacity) reclaim();
      push(queue === ghost ? frequent : recent, object);
      return false;
    },
    has: (object) => queueOf(object) === recent || queueOf(object) === frequent,
    get used() {
      return used();
    },
    get evictions() {
      return evictions;
    },
  };
};
