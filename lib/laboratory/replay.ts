import type { OpenPolicy } from './policy.js';
import type { RequestSequence } from './requests.js';
import { atOnce, sliceAccesses, type Slices } from './slices.js';

/** What a cache would have done. */
export interface ReplayResult {
  readonly accesses: number;
  readonly hits: number;
  /** Plain bytes of the objects of all accesses, and of those that were hits. */
  readonly bytes: number;
  readonly hitBytes: number;
  /** What would have been fetched (bytes as they travel). */
  readonly fetchedBytes: number;
  readonly evictions: number;
}

/** How a sequence is replayed. */
export interface Replaying {
  readonly open: OpenPolicy;
  /** In the unit of `costs`. */
  readonly capacity: number;
  /** What each object takes in the cache; without it, its size. */
  readonly costs?: Float64Array | undefined;
  /** So many accesses at the begin only fill the cache, and are not counted. */
  readonly warm?: number | undefined;
}

/** Plays accesses to a cache that is empty at first. */
export function replay(requests: RequestSequence, how: Replaying): ReplayResult {
  return atOnce(replayInSlices(requests, how));
}

/** The same, told after each slice how many accesses were played in it. */
export function* replayInSlices(
  requests: RequestSequence,
  { open, capacity, costs = requests.sizes, warm = 0 }: Replaying,
): Slices<ReplayResult> {
  const policy = open({ ...requests, sizes: costs }, capacity);
  const { objects, sizes, storedSizes = sizes } = requests;
  let evictedBefore = 0;
  const sum = { hits: 0, bytes: 0, hitBytes: 0, fetchedBytes: 0 };
  for (let index = 0; index < objects.length; index++) {
    const object = objects[index] ?? 0;
    const isHit = policy.access(object, index);
    if (index < warm) evictedBefore = policy.evictions;
    else {
      const size = sizes[object] ?? 0;
      sum.bytes += size;
      if (isHit) {
        sum.hits++;
        sum.hitBytes += size;
      } else sum.fetchedBytes += storedSizes[object] ?? size;
    }
    if (index % sliceAccesses === sliceAccesses - 1) yield sliceAccesses;
  }
  const accesses = objects.length - warm;
  return { accesses, ...sum, evictions: policy.evictions - evictedBefore };
}
