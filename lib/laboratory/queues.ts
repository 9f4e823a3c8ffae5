/** Queues that share their objects: each is in one of them at most. Everything takes constant time. */
export interface Queues {
  /** In which queue it is; -1: in none. */
  readonly queueOf: (object: number) => number;
  /** Puts one in that is in none. */
  readonly push: (queue: number, object: number) => void;
  readonly remove: (object: number) => void;
  /** The one that came in first; -1: it is empty. */
  readonly last: (queue: number) => number;
  /** The one that came in next behind it; -1: it was the newest. */
  readonly newerThan: (object: number) => number;
  /** Objects in it. */
  readonly length: (queue: number) => number;
  /** What they take. */
  readonly bytes: (queue: number) => number;
}

/** @param sizes of all objects that there are. */
export function openQueues(sizes: Float64Array, count: number): Queues {
  const objects = sizes.length;
  // Behind the objects each queue has a place of its own, at which its ring begins and ends.
  const newer = new Int32Array(objects + count);
  const older = new Int32Array(objects + count);
  const queues = new Int8Array(objects).fill(-1);
  const lengths = new Float64Array(count);
  const bytes = new Float64Array(count);
  for (let queue = 0; queue < count; queue++) {
    newer[objects + queue] = older[objects + queue] = objects + queue;
  }
  const inRing = (place: number): number => (place < objects ? place : -1);
  return {
    queueOf: (object) => queues[object] ?? -1,
    push(queue, object) {
      const ring = objects + queue;
      const newest = older[ring] ?? ring;
      newer[newest] = object;
      older[object] = newest;
      newer[object] = ring;
      older[ring] = object;
      queues[object] = queue;
      lengths[queue] = (lengths[queue] ?? 0) + 1;
      bytes[queue] = (bytes[queue] ?? 0) + (sizes[object] ?? 0);
    },
    remove(object) {
      const queue = queues[object] ?? -1;
      const [before, behind] = [older[object] ?? 0, newer[object] ?? 0];
      newer[before] = behind;
      older[behind] = before;
      queues[object] = -1;
      lengths[queue] = (lengths[queue] ?? 0) - 1;
      bytes[queue] = (bytes[queue] ?? 0) - (sizes[object] ?? 0);
    },
    last: (queue) => inRing(newer[objects + queue] ?? objects),
    newerThan: (object) => inRing(newer[object] ?? objects),
    length: (queue) => lengths[queue] ?? 0,
    bytes: (queue) => bytes[queue] ?? 0,
  };
}
