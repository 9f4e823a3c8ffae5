/**
 * Who wants which object when: what is left of a trace for whoever studies caches. Columns, so that ten million
 * accesses fit into memory.
 */
export interface RequestSequence {
  /** Of each access: the object, as an index into `sizes`. */
  readonly objects: Uint32Array;
  /** Of each access: microseconds, never falling. */
  readonly times: Float64Array;
  /** Of each object: what it takes in a cache (plain bytes); at least 1. */
  readonly sizes: Float64Array;
  /** Of each object: bytes that travel when it is fetched; without it, as many as it takes. */
  readonly storedSizes?: Float64Array;
  /** Of each object: 1 for a catalog or history, which the cache itself keeps for longer. */
  readonly isCatalog?: Uint8Array;
}

/** The accesses that can be studied at once: numbers of accesses and counts of uses share one double. */
export const accessesMax = 2 ** 26;

/** Costs where each object takes one place: of caches that count objects. */
export function onePlaceEach({ sizes }: RequestSequence): Float64Array {
  return new Float64Array(sizes.length).fill(1);
}

/** Sum of the sizes of all objects that are asked for: what a cache without limit would hold in the end. */
export function footprintOf(requests: RequestSequence): {
  readonly objects: number;
  readonly bytes: number;
} {
  const seen = new Uint8Array(requests.sizes.length);
  let objects = 0;
  let bytes = 0;
  for (const object of requests.objects) {
    if (seen[object] === 1) continue;
    seen[object] = 1;
    objects++;
    bytes += requests.sizes[object] ?? 0;
  }
  return { objects, bytes };
}

/** Accesses of one job, as several are put together: over the objects that they have in common. */
export type Accesses = Pick<RequestSequence, 'objects' | 'times'>;

/** Accesses of several jobs that began at once on one node, by time; of one time, in the order of the jobs. */
export function interleave(jobs: readonly Accesses[]): Accesses {
  const [only] = jobs;
  if (jobs.length === 1 && only !== undefined) return only;
  const count = jobs.reduce((sum, { objects }) => sum + objects.length, 0);
  const objects = new Uint32Array(count);
  const times = new Float64Array(count);
  const next = jobs.map(() => 0);
  for (let index = 0; index < count; index++) {
    const job = earliest(jobs, next);
    const at = next[job] ?? 0;
    objects[index] = jobs[job]?.objects[at] ?? 0;
    times[index] = jobs[job]?.times[at] ?? 0;
    next[job] = at + 1;
  }
  return { objects, times };
}

function earliest(jobs: readonly Accesses[], next: readonly number[]): number {
  let best = -1;
  let bestTime = Infinity;
  jobs.forEach(({ times }, job) => {
    const time = times[next[job] ?? 0];
    if (time === undefined || time >= bestTime) return;
    best = job;
    bestTime = time;
  });
  return best;
}

/** First one, then the other, which begins when the first has ended. */
export function concatenate(first: Accesses, second: Accesses): Accesses {
  const before = first.objects.length;
  const objects = new Uint32Array(before + second.objects.length);
  const times = new Float64Array(objects.length);
  objects.set(first.objects);
  objects.set(second.objects, before);
  times.set(first.times);
  const end = first.times.at(-1) ?? 0;
  second.times.forEach((time, index) => (times[before + index] = end + time));
  return { objects, times };
}
