import type { CachePolicy, OpenPolicy } from './policy.js';
import type { RequestSequence } from './requests.js';

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

/** The unit of the limit of a cache. */
export type Unit = 'object' | 'bytes';

/**
 * Plays accesses to a cache that is empty at first.
 * @param capacity in the unit of `costs`.
 * @param warm so many accesses at the begin only fill it, and are not counted.
 * @param costs what objects take in the cache, where that is not their size.
 */
export function replay(
  requests: RequestSequence,
  open: OpenPolicy,
  capacity: number,
  { warm = 0, costs = requests.sizes }: { warm?: number; costs?: Float64Array } = {},
): ReplayResult {
  const policy = open({ ...requests, sizes: costs }, capacity);
  const { objects } = requests;
  for (let index = 0; index < warm; index++) policy.access(objects[index] ?? 0, index);
  return count(requests, policy, warm);
}

function count(requests: RequestSequence, policy: CachePolicy, from: number): ReplayResult {
  const { objects, sizes, storedSizes = sizes } = requests;
  const evictedBefore = policy.evictions;
  let hits = 0;
  let bytes = 0;
  let hitBytes = 0;
  let fetchedBytes = 0;
  for (let index = from; index < objects.length; index++) {
    const object = objects[index] ?? 0;
    const size = sizes[object] ?? 0;
    bytes += size;
    if (policy.access(object, index)) {
      hits++;
      hitBytes += size;
    } else fetchedBytes += storedSizes[object] ?? size;
  }
  return {
    accesses: objects.length - from,
    hits,
    bytes,
    hitBytes,
    fetchedBytes,
    evictions: policy.evictions - evictedBefore,
  };
}
