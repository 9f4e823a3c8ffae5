import {
  charge,
  evictionGoal,
  isGappy,
  roomForObjects,
  segmentCharge,
  segmentLimit,
  smallObjectBytesMax,
} from '../../eviction/amounts.js';
import { leastRecentlyUsed as rules } from '../../eviction/policy.js';
import { openVictims, type Evictable, type Ranked } from '../../eviction/victims.js';
import type { OpenPolicy } from '../policy.js';
import type { RequestSequence } from '../requests.js';
import { openLowest } from '../lowest.js';

// What a record takes in the database with its share of the index; and the log of the database, which grows to this or a
// share of the limit and is cut then: half of it on average (bytes).
const recordBytes = 300;
const logBytesMin = 1024 * 1024;

/**
 * The cache of this program: its own rules of what goes first, how much at once, and what objects take on the disk, run
 * on the accesses of a trace. It is as if one client asked, nothing was fetched ahead, and the disk had room.
 */
export const pinfs: OpenPolicy = (requests, capacity) => openPinfs(requests, capacity, false);

/** The same where `capacity` is a number of objects, which take one block each. */
export const pinfsByObject: OpenPolicy = (requests, capacity) =>
  openPinfs(requests, capacity * charge(1), true);

function openPinfs(requests: RequestSequence, limit: number, isByObject: boolean) {
  const { times } = requests;
  const segments = isByObject ? 0 : segmentLimit(limit);
  const contents = openContents(requests, segments);
  const victims = openVictims();
  let evictions = 0;
  let lastUse = 0;
  const from: Evictable<Ranked, { readonly id: number; readonly size: number }> = {
    ...contents,
    remove(object) {
      evictions++;
      return contents.remove(object);
    },
    listAgain: () => undefined,
  };

  function use(index: number): number {
    return (lastUse = Math.max(lastUse + 1, times[index] ?? 0));
  }

  const room = (): number => {
    const records = contents.countMax() * recordBytes + Math.max(logBytesMin, limit / 32) / 2;
    return isByObject ? limit : roomForObjects(limit, records);
  };

  return {
    access(object: number, index: number): boolean {
      const isHit = contents.use(object, use(index));
      if (isHit) return true;
      const excess = contents.bytes() + contents.need(object) - room();
      if (excess > 0) victims.removeUntil(from, evictionGoal(excess, limit));
      if (contents.bytes() + contents.need(object) <= room()) contents.add(object, lastUse);
      return false;
    },
    has: (object: number) => contents.has(object),
    get used() {
      return isByObject ? contents.bytes() / charge(1) : contents.bytes();
    },
    get evictions() {
      return evictions;
    },
  };
}

interface Segment {
  bytes: number;
  length: number;
  live: number;
  readonly objects: Set<number>;
}

/** Objects that lie one behind the other. @param grew told by how much all of it grew. */
function openSegments(
  sizeOf: (object: number) => number,
  lengthMax: number,
  grew: (bytes: number) => void,
) {
  const segmentOf: (Segment | undefined)[] = [];
  const gappy = new Set<Segment>();
  let current: Segment | undefined;

  /** @returns by how much it grew. */
  function append(object: number): number {
    if (current === undefined || current.length >= lengthMax)
      current = { bytes: 0, length: 0, live: 0, objects: new Set() };
    const before = current.bytes;
    current.length += sizeOf(object);
    current.live += sizeOf(object);
    current.bytes = segmentCharge(current.length);
    current.objects.add(object);
    segmentOf[object] = current;
    grew(current.bytes - before);
    return current.bytes - before;
  }

  function giveUp(segment: Segment): number {
    if (segment === current) current = undefined;
    gappy.delete(segment);
    grew(-segment.bytes);
    return segment.bytes;
  }

  return {
    append,
    has: (object: number) => segmentOf[object] !== undefined,
    /** @returns bytes that are free now. */
    remove(object: number): number {
      const segment = segmentOf[object];
      if (segment === undefined) return 0;
      segmentOf[object] = undefined;
      segment.objects.delete(object);
      segment.live -= sizeOf(object);
      if (segment.objects.size === 0) return giveUp(segment);
      if (isGappy(segment.bytes, segment.live)) gappy.add(segment);
      return 0;
    },
    compact(): number {
      let freed = 0;
      for (const segment of [...gappy].sort((one, other) => one.live - other.live)) {
        freed += giveUp(segment);
        for (const object of segment.objects) freed -= append(object);
      }
      return freed;
    },
  };
}

/** What the cache has, and what it takes. @param segmentLengthMax 0: each object has a file of its own. */
function openContents({ sizes, isCatalog }: RequestSequence, segmentLengthMax: number) {
  const used = new Float64Array(sizes.length);
  const listed = openLowest(sizes.length);
  let bytes = 0;
  let countMax = 0;

  const sizeOf = (object: number): number => sizes[object] ?? 0;
  const segments = openSegments(sizeOf, segmentLengthMax, (grown) => (bytes += grown));
  const isCatalogAt = (object: number): boolean => isCatalog?.[object] === 1;
  const isSmall = (object: number): boolean =>
    segmentLengthMax > 0 && sizeOf(object) <= smallObjectBytesMax && !isCatalogAt(object);

  return {
    bytes: () => bytes,
    count: () => listed.count,
    countMax: () => countMax,
    has: (object: number) => listed.has(object),
    /** What an object takes at most. */
    need: (object: number) => (isSmall(object) ? sizeOf(object) : charge(sizeOf(object))),
    use(object: number, now: number): boolean {
      if (!listed.has(object)) return false;
      used[object] = rules.nextUse(used[object] ?? 0, now);
      return true;
    },
    add(object: number, now: number): void {
      used[object] = rules.firstUse(isCatalogAt(object), now, false);
      listed.add(object);
      countMax = Math.max(countMax, listed.count);
      if (isSmall(object)) segments.append(object);
      else bytes += charge(sizeOf(object));
    },
    oldest: (behind: Pick<Ranked, 'rank' | 'id'>, most: number): Ranked[] =>
      listed
        .lowest((id) => rules.rank(used[id] ?? 0, isCatalogAt(id)), behind, most)
        .map(({ id, key }) => ({ id, rank: key, used: used[id] ?? 0 })),
    now: ({ id, used: then }: Ranked) =>
      listed.has(id) && used[id] === then ? { id, size: sizeOf(id) } : undefined,
    remove({ id }: { readonly id: number }): number {
      listed.remove(id);
      if (segments.has(id)) return segments.remove(id);
      const freed = charge(sizeOf(id));
      bytes -= freed;
      return freed;
    },
    compact: () => segments.compact(),
  };
}
