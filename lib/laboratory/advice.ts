import { pinfs } from './policies/pinfs.js';
import { replayInSlices, type ReplayResult } from './replay.js';
import { footprintOf, type RequestSequence } from './requests.js';
import type { Slices } from './slices.js';

/** Which limit a cache needs. */
export interface Advice {
  /** Share of the accesses that are to be hits, 0 to 1, as it was asked for; and the most that any limit reaches. */
  readonly target: number;
  readonly reachable: number;
  /** What is advised: the least limit that reaches the target, or else nine tenths of what can be reached. */
  readonly limit: TriedLimit;
  /** Whether `limit` reaches the target itself. */
  readonly isReached: boolean;
  /** Other limits, for comparison, the lowest first. */
  readonly others: readonly TriedLimit[];
  /** Objects that are asked for, and their plain bytes. */
  readonly footprint: { readonly objects: number; readonly bytes: number };
}

/** A limit of the cache (bytes), and what comes of it. */
export interface TriedLimit {
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
 * About a dozen replays; told after each slice how many accesses were played in it.
 */
export function* adviseInSlices(
  requests: RequestSequence,
  target: number,
  warm = 0,
): Slices<Advice> {
  const footprint = footprintOf(requests);
  function* at(bytes: number): Slices<TriedLimit> {
    const how = { open: pinfs, capacity: bytes, warm };
    return { bytes, result: yield* replayInSlices(requests, how) };
  }
  // Blocks, gaps and records take more than the objects themselves.
  const most = stepAbove(2 * footprint.bytes + 8192 * footprint.objects + 8 * limitBytesMin);
  const enough = yield* at(bytesAt(most));
  const reachable = shareOfHits(enough.result);
  const isReached = reachable >= target;
  const wanted = isReached ? target : reachable * shareOfReachable;
  let limit = enough;
  // Below `low` is too little, `high` is enough.
  for (let low = 0, high = most; low < high;) {
    const middle = (low + high) >> 1;
    const tried = yield* at(bytesAt(middle));
    if (shareOfHits(tried.result) >= wanted) {
      limit = tried;
      high = middle;
    } else low = middle + 1;
  }
  const others: TriedLimit[] = [];
  for (const factor of [1 / 4, 1 / 2, 2]) {
    const bytes = bytesAt(stepAbove(limit.bytes * factor));
    if (bytes !== limit.bytes) others.push(yield* at(bytes));
  }
  return { target, reachable, limit, isReached, others, footprint };
}

/** Share of the accesses that were hits, 0 to 1; of none, all. */
function shareOfHits({ hits, accesses }: ReplayResult): number {
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

/** The advice in one sentence. @param sizeText a size for people. */
export function adviceSentence(
  { limit, target, reachable, isReached, footprint }: Advice,
  jobs: number,
  sizeText: (bytes: number) => string,
): string {
  const percent = (share: number): string => `${(100 * share).toFixed(1)} %`;
  const { result, bytes } = limit;
  const whose = jobs === 1 ? 'this job' : `these ${jobs} jobs at once`;
  const reached = percent(shareOfHits(result));
  const fetched = `${sizeText(result.fetchedBytes)} fetched`;
  const used = `${footprint.objects.toLocaleString('en')} objects of ${sizeText(footprint.bytes)}`;
  if (isReached) {
    return `With --cache-limit ${limitText(bytes)}, ${reached} of what ${whose} used would be hits (${used}, ${fetched}).`;
  }
  return (
    `No limit gives ${percent(target)} hits for ${whose}, since what is used first is not there yet: at most ` +
    `${percent(reachable)}; --cache-limit ${limitText(bytes)} gives ${reached} (${used}, ${fetched}).`
  );
}

/** As `--cache-limit` takes it. */
function limitText(bytes: number): string {
  return bytes % limitBytesMin === 0 ? `${bytes / limitBytesMin}M` : `${Math.ceil(bytes / 1024)}K`;
}
