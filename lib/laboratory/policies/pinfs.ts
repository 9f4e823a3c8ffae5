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
  const { sizes, times } = requests;
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
      const size = sizes[object] ?? 0;
      const excess = contents.bytes() + contents.need(size) - room();
      if (excess > 0) victims.removeUntil(from, evictionGoal(excess, limit));
      if (contents.bytes() + contents.need(size) <= room()) contents.add(object, lastUse);
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

/** What the cache has, and what it takes. @param segmentLengthMax 0: each object has a file of its own. */
function openContents({ sizes, isCatalog }: RequestSequence, segmentLengthMax: number) {
  const used = new Float64Array(sizes.length);
  const segmentOf: (Segment | undefined)[] = [];
  const listed = openLowest(sizes.length);
  const gappy = new Set<Segment>();
  let current: Segment | undefined;
  let bytes = 0;
  let countMax = 0;

  const sizeOf = (object: number): number => sizes[object] ?? 0;
  const isSmall = (object: number): boolean =>
    segmentLengthMax > 0 && sizeOf(object) <= smallObjectBytesMax && isCatalog?.[object] !== 1;

  /** @returns by how much the cache grew. */
  function append(object: number): number {
    if (current === undefined || current.length >= segmentLengthMax)
      current = { bytes: 0, length: 0, live: 0, objects: new Set() };
    const before = current.bytes;
    current.length += sizeOf(object);
    current.live += sizeOf(object);
    current.bytes = segmentCharge(current.length);
    current.objects.add(object);
    segmentOf[object] = current;
    bytes += current.bytes - before;
    return current.bytes - before;
  }

  function giveUp(segment: Segment): number {
    bytes -= segment.bytes;
    if (segment === current) current = undefined;
    gappy.delete(segment);
    return segment.bytes;
  }

  return {
    bytes: () => bytes,
    count: () => listed.count,
    countMax: () => countMax,
    has: (object: number) => listed.has(object),
    /** What an object takes at most. */
    need: (size: number): number =>
      segmentLengthMax > 0 && size <= smallObjectBytesMax ? size : charge(size),
    use(object: number, now: number): boolean {
      if (!listed.has(object)) return false;
      used[object] = rules.nextUse(used[object] ?? 0, now);
      return true;
    },
    add(object: number, now: number): void {
      used[object] = rules.firstUse(isCatalog?.[object] === 1, now, false);
      listed.add(object);
      countMax = Math.max(countMax, listed.count);
      if (isSmall(object)) append(object);
      else bytes += charge(sizeOf(object));
    },
    oldest: (behind: Pick<Ranked, 'rank' | 'id'>, most: number): Ranked[] =>
      listed
        .lowest((id) => rules.rank(used[id] ?? 0, isCatalog?.[id] === 1), behind, most)
        .map(({ id, key }) => ({ id, rank: key, used: used[id] ?? 0 })),
    now: ({ id, used: then }: Ranked) =>
      listed.has(id) && used[id] === then ? { id, size: sizeOf(id) } : undefined,
    remove({ id, size }: { readonly id: number; readonly size: number }): number {
      listed.remove(id);
      const segment = segmentOf[id];
      if (segment === undefined) {
        bytes -= charge(size);
        return charge(size);
      }
      segmentOf[id] = undefined;
      segment.objects.delete(id);
      segment.live -= size;
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
