import { PinfsError } from '../../format/errors.js';
import { objectPath } from '../../format/hash.js';
import type { Source } from '../../source/source.js';
import type { Leg } from './flights.js';
import { describe, storedLimit } from '../inflate.js';
import type { Staging } from '../cache/staging.js';
import { sizeOfStored, type Stored } from '../cache/stored.js';
import type { Want } from '../want.js';

export interface Sources {
  readonly source: Source;
  /** Where external files lie. */
  readonly external?: Source | undefined;
  /** Ask no source for anything. */
  readonly offline?: boolean | undefined;
}

/** Where an object lies. @throws PinfsError SOURCE_OFFLINE, OBJECT_MISSING. */
export function sourceOf(want: Want, options: Sources): Source {
  if (options.offline === true) {
    throw new PinfsError('SOURCE_OFFLINE', `${describe(want)} is not in the cache`, {
      advice: 'Leave --offline away to have it fetched.',
    });
  }
  if (want.external === undefined) return options.source;
  if (options.external !== undefined) return options.external;
  const text = `${describe(want)} lies on an external server, and none was given`;
  throw new PinfsError('OBJECT_MISSING', text, {
    advice: 'Say where external files lie with --external URL|DIR.',
  });
}

// Of what came; a proxy may keep a copy that is damaged, cut, or compressed for others.
const mayBeMended = new Set<string>([
  'OBJECT_HASH_MISMATCH',
  'OBJECT_TOO_LARGE',
  'SOURCE_ENCODING',
]);

/** Verifies stored bytes and puts the object on a shelf. */
export type Keep = (stored: Stored) => Promise<void>;

/**
 * Gets an object and has it kept; once more, past caches on the way, when what came is not it. Where nobody
 * promised a size, both tries count in the one bound.
 */
export async function download(
  source: Source,
  want: Want,
  keep: Keep,
  leg: Leg,
  staging: Staging,
): Promise<void> {
  const limit = storedLimit(want);
  let came = 0;
  const get = async (most: number, fresh: boolean): Promise<Stored> => {
    const path = want.external?.path ?? objectPath(want.object);
    const range = want.external?.range;
    const { signal, demand, transfer } = leg;
    const { sink } = staging;
    const request = { signal, demand, sink, ...(fresh && { fresh }), ...(range && { range }) };
    sink.begin();
    return staging.take(await transfer(() => source.get(path, most, request)));
  };
  try {
    const stored = await get(limit, false);
    came = sizeOfStored(stored);
    await keep(stored);
  } catch (thrown) {
    if (!(thrown instanceof PinfsError) || !mayBeMended.has(thrown.code)) throw thrown;
    const isPromised = want.size.kind === 'exact';
    const left = isPromised ? limit : limit - came;
    const isUsedUp = !isPromised && (isTooLarge(thrown) || left <= 0);
    if (isUsedUp) throw thrown;
    const stored = await get(left, true).catch((again: unknown) => {
      // What is wrong is what used the bound up.
      throw left < limit && isTooLarge(again) ? thrown : again;
    });
    await keep(stored);
  }
}

function isTooLarge(thrown: unknown): boolean {
  return thrown instanceof PinfsError && thrown.code === 'OBJECT_TOO_LARGE';
}
