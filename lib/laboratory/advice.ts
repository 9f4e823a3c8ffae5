import { pinfs } from './policies/pinfs.js';
import { replay, type ReplayResult } from './replay.js';
import { footprintOf, type RequestSequence } from './requests.js';

/** Which limit a cache needs. */
export interface Advice {
  /** Share of the accesses that are to be hits, 0 to 1, as it was asked for; and the most that any limit reaches. */
  readonly target: number;
  readonly reachable: number;
  /** What is advised: the least limit that reaches the target, or else nine tenths of what can be reached. */
  readonly limit: Limit;
  /** Whether `limit` reaches the target itself. */
  readonly isReached: boolean;
  /** Other limits, for comparison, the lowest first. */
  readonly others: readonly Limit[];
  /** Objects that are asked for, and their plain bytes. */
  readonly footprint: { readonly objects: number; readonly bytes: number };
}

/** A limit of the cache (bytes), and what comes of it. */
export interface Limit {
  readonly bytes: number;
  readonly result: ReplayResult;
}

// Limits are looked for among so many between a power of two and the next.
const stepsAnOctave = 32;
const limitBytesMin = 1024 * 1024;
// Where the target is out of reach: of what can be reached.
const shareOfReachable = 0.99;

/**
 * The least limit under which so many accesses are hits, by replaying what the cache itself does.
 * @param warm accesses at the begin that only fill the cache.
 * @param progress told how many of about a dozen replays are done.
 */
export function advise(
  requests: RequestSequence,
  target: number,
  { warm = 0, progress }: { warm?: number; progress?: (done: number) => void } = {},
): Advice {
  const footprint = footprintOf(requests);
  let done = 0;
  const at = (bytes: number): Limit => {
    const result = replay(requests, pinfs, bytes, { warm });
    progress?.(++done);
    return { bytes, result };
  };
  // Blocks, gaps and records take more than the objects themselves.
  const most = stepAbove(2 * footprint.bytes + 8192 * footprint.objects + 8 * limitBytesMin);
  const enough = at(bytesAt(most));
  const reachable = shareOfHits(enough.result);
  const isReached = reachable >= target;
  const wanted = isReached ? target : reachable * shareOfReachable;
  let limit = enough;
  // Below `low` is too little, `high` is enough.
  for (let low = 0, high = most; low < high;) {
    const middle = (low + high) >> 1;
    const tried = at(bytesAt(middle));
    if (shareOfHits(tried.result) >= wanted) {
      limit = tried;
      high = middle;
    } else low = middle + 1;
  }
  const others = [1 / 4, 1 / 2, 2]
    .map((factor) => bytesAt(stepAbove(limit.bytes * factor)))
    .filter((bytes) => bytes !== limit.bytes)
    .map(at);
  return { target, reachable, limit, isReached, others, footprint };
}

/** Share of the accesses that were hits, 0 to 1; of none, all. */
export function shareOfHits({ hits, accesses }: ReplayResult): number {
  return accesses === 0 ? 1 : hits / accesses;
}

function bytesAt(step: number): number {
  const octave = Math.floor(step / stepsAnOctave);
  return limitBytesMin * 2 ** octave * (1 + (step % stepsAnOctave) / stepsAnOctave);
}

/** The lowest step that is at least so many bytes. */
function stepAbove(bytes: number): number {
  const octave = Math.floor(Math.log2(Math.max(limitBytesMin, bytes) / limitBytesMin));
  const rest = Math.max(1, bytes / limitBytesMin / 2 ** octave) - 1;
  return octave * stepsAnOctave + Math.ceil(rest * stepsAnOctave);
}
