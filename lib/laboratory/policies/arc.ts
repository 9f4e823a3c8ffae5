import type { OpenPolicy } from '../policy.js';
import { openQueues } from '../queues.js';

// What was used once and more often, and the names of what left them: T1, T2, B1, B2 of the paper.
const [once, often, onceGhost, oftenGhost] = [0, 1, 2, 3];

/**
 * ARC (Megiddo and Modha, FAST 2003): the share of what was used once follows the ghosts that are asked for. Sizes count
 * where the paper counts pages, and a ghost moves the share by its size.
 */
export const arc: OpenPolicy = ({ sizes }, capacity) => {
  const queues = openQueues(sizes, 4);
  // What T1 should take: p of the paper.
  let target = 0;
  let evictions = 0;

  const { bytes, last, length, push, queueOf, remove } = queues;
  const used = (): number => bytes(once) + bytes(often);

  /** REPLACE of the paper. */
  function replace(isOftenGhost: boolean): void {
    const ofOnce =
      length(once) > 0 &&
      (bytes(once) > target || (isOftenGhost && bytes(once) === target) || length(often) === 0);
    const from = ofOnce ? once : often;
    const object = last(from);
    remove(object);
    push(ofOnce ? onceGhost : oftenGhost, object);
    evictions++;
  }

  function bringBack(object: number, queue: number, size: number): void {
    const [mine, other] = queue === onceGhost ? [onceGhost, oftenGhost] : [oftenGhost, onceGhost];
    const step = Math.max(1, bytes(other) / bytes(mine)) * size;
    target = queue === onceGhost ? Math.min(capacity, target + step) : Math.max(0, target - step);
    remove(object);
    while (used() + size > capacity) replace(queue === oftenGhost);
    push(often, object);
  }

  function bringNew(object: number, size: number): void {
    while (bytes(once) + bytes(onceGhost) + size > capacity) {
      const isGhost = length(onceGhost) > 0;
      remove(last(isGhost ? onceGhost : once));
      if (!isGhost) evictions++;
    }
    const all = (): number => used() + bytes(onceGhost) + bytes(oftenGhost);
    while (all() + size > 2 * capacity && length(oftenGhost) > 0) remove(last(oftenGhost));
    while (used() + size > capacity) replace(false);
    push(once, object);
  }

  return {
    access(object) {
      const queue = queueOf(object);
      if (queue === once || queue === often) {
        remove(object);
        push(often, object);
        return true;
      }
      const size = sizes[object] ?? 0;
      if (size > capacity) return false;
      if (queue < 0) bringNew(object, size);
      else bringBack(object, queue, size);
      return false;
    },
    has: (object) => queueOf(object) === once || queueOf(object) === often,
    get used() {
      return used();
    },
    get evictions() {
      return evictions;
    },
  };
};
