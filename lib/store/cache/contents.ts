import { segmentBytesMax } from '../../eviction/amounts.js';
import { setImmediate as turn } from 'node:timers/promises';
import { parseKey, type ObjectKey } from '../key.js';
import { withRecords, writeAnyway } from './maintain.js';
import { purgeOwners } from './owners.js';
import type { Place } from './place.js';
import type { Records } from './records.js';
import { removeRecorded } from './remove.js';
import { openSegmentWriter } from './segments.js';
import { openSegmentStore } from './compact.js';

/* Which objects a cache has, and taking some of them out. Mounts may use it meanwhile. */

export interface CachedObject {
  readonly key: ObjectKey;
  /** Plain bytes. */
  readonly bytes: number;
  /** When it was used last (ms since 1970), as far as that was written down. */
  readonly usedMs: number;
  /** Whether a mount holds it. */
  readonly isHeld: boolean;
}

const pageObjects = 256;

/** All objects of a cache, as they came to it. @throws PinfsError CACHE_UNUSABLE. */
export async function eachObject(
  directory: string,
  visit: (object: CachedObject) => Promise<void> | void,
): Promise<void> {
  await withRecords(directory, undefined, async (records, place) => {
    writeAnyway(records, place, (sql) => void purgeOwners(place.at, sql, undefined));
    for (let last = 0; ;) {
      const page = records.read((sql) =>
        sql.after.all(last, pageObjects).map(({ id, key, size }) => ({
          ...{ id, bytes: size, key: parseKey(key) },
          used: sql.get.get(key)?.used ?? 0,
          isHeld: sql.held.get(key) !== undefined,
        })),
      );
      if (page.length === 0) return;
      for (const { id, key, bytes, used, isHeld } of page) {
        last = id;
        if (key !== undefined) await visit({ key, bytes, usedMs: timeOfUse(used), isHeld });
      }
      await turn();
    }
  });
}

// What is volatile counts as used that much earlier (eviction/policy.ts); microseconds.
const volatileShiftUs = 2 ** 51;

function timeOfUse(used: number): number {
  return Math.floor((used < 0 ? used + volatileShiftUs : used) / 1000);
}

export interface Evicted {
  readonly objects: number;
  /** Plain bytes. */
  readonly bytes: number;
  /** Objects that stay, because a mount holds them. */
  readonly held: number;
}

/**
 * Removes these objects from a cache, unless a mount holds them. Whoever reads one later fetches it again.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export async function evictObjects(
  directory: string,
  keys: readonly ObjectKey[],
): Promise<Evicted> {
  const evicted = { objects: 0, bytes: 0, held: 0 };
  return withRecords(directory, evicted, async (records, place) => {
    for (let at = 0; at < keys.length; at += pageObjects) {
      const page = keys.slice(at, at + pageObjects);
      const removed = writeAnyway(records, place, (sql) => {
        if (at === 0) purgeOwners(place.at, sql, undefined);
        const found = { objects: 0, bytes: 0, held: 0 };
        for (const key of page) {
          const record = sql.get.get(key);
          if (record === undefined) continue;
          if (sql.held.get(key) !== undefined) {
            found.held += 1;
            continue;
          }
          removeRecorded(sql, place.at, { ...record, key });
          found.objects += 1;
          found.bytes += record.size;
        }
        return found;
      });
      evicted.objects += removed.objects;
      evicted.bytes += removed.bytes;
      evicted.held += removed.held;
      await turn();
    }
    closeGaps(records, place);
    return evicted;
  });
}

/** What went from segments leaves gaps, which take room. */
function closeGaps(records: Records, place: Place): void {
  const segments = openSegmentStore(
    openSegmentWriter(),
    () => place.at,
    () => segmentBytesMax,
  );
  try {
    writeAnyway(records, place, (sql) => segments.compact(sql));
  } finally {
    segments.close();
  }
}
