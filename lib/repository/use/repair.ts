import { asPinfsError, PinfsError, type ErrorCode } from '../../format/errors.js';
import { openSource } from '../../source/open.js';
import type { LostObject } from '../../store/cache/maintain.js';
import { parseKey, partsOfKey } from '../../store/key.js';
import { openStore } from '../../store/open.js';
import type { Want } from '../../store/want.js';
import { openPlaces } from './places.js';

export interface Repaired {
  /** Objects that were fetched again. */
  readonly repaired: number;
  /** Keys of those that no source had, with the last reason. */
  readonly notRepaired: readonly { readonly key: string; readonly code: ErrorCode }[];
}

const objectsAtOnce = 16;

/**
 * Fetches objects that a cache lost from the first of these sources that has them.
 * @param sources URLs or directories of repositories.
 * @throws PinfsError CACHE_UNUSABLE.
 */
export async function repair(
  directory: string,
  lost: readonly LostObject[],
  sources: readonly string[],
): Promise<Repaired> {
  let left = lost;
  const reasons = new Map<string, ErrorCode>();
  for (const text of sources) {
    if (left.length === 0) break;
    try {
      left = await repairFrom(text, directory, left, reasons);
    } catch (thrown) {
      // A directory that is gone, or a URL that is none.
      const error = asPinfsError(thrown);
      if (error.code === 'CACHE_UNUSABLE') throw error;
      for (const { key } of left) reasons.set(key, error.code);
    }
  }
  return {
    repaired: lost.length - left.length,
    notRepaired: left.map(({ key }) => ({ key, code: reasons.get(key) ?? 'SOURCE_OFFLINE' })),
  };
}

/** @returns what this source does not have. */
async function repairFrom(
  text: string,
  directory: string,
  lost: readonly LostObject[],
  reasons: Map<string, ErrorCode>,
): Promise<LostObject[]> {
  const source = openSource(text);
  // A limit that is lower than that of who uses the cache would push out what he has.
  const store = openStore({ directory, limit: Number.MAX_SAFE_INTEGER, source });
  const left: LostObject[] = [];
  const places = openPlaces(objectsAtOnce);
  try {
    for (const one of lost)
      await places.begin(async () => {
        try {
          await store.fetch(wantOf(one), undefined, { brief: true, readElsewhere: true });
        } catch (thrown) {
          reasons.set(one.key, asPinfsError(thrown).code);
          left.push(one);
        }
      });
    await places.end();
  } finally {
    await store.close();
    await source.close();
  }
  return left;
}

function wantOf({ key, bytes }: LostObject): Want {
  const parsed = parseKey(key);
  if (parsed === undefined)
    throw new PinfsError('OBJECT_MISSING', 'a record had no name of an object');
  return { ...partsOfKey(parsed), size: { kind: 'exact', bytes }, path: '' };
}
