import { PinfsError } from '../../format/errors.js';
import { objectPath } from '../../format/hash.js';
import type { Served, Source } from '../../source/source.js';
import type { Begun } from './batch.js';
import type { Leg } from './flight.js';
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
 * Gets an object and has it kept; when what came is not it, once more, past caches on the way, and then by each other
 * way that the source has. Where nobody promised a size, both tries of the first way count in the one bound, and each
 * other way has its own.
 * @param begun the first try was made, as far as that.
 */
export async function download(
  source: Source,
  want: Want,
  keep: Keep,
  leg: Leg,
  staging: Staging,
  begun: Begun = {},
): Promise<void> {
  const limit = storedLimit(want);
  const isPromised = want.size.kind === 'exact';
  const served: Served[] = [];
  let came = 0;
  const get = async (most: number, isFirst: boolean): Promise<Stored> => {
    if (isFirst && begun.stored !== undefined) {
      served.push(begun.served);
      return begun.stored;
    }
    const path = pathOf(want);
    const range = want.external?.range;
    const { signal, demand, transfer } = leg;
    const { sink } = staging;
    const request = {
      signal,
      demand,
      sink,
      served,
      ...(isFirst ? { tried: begun.tried } : { fresh: true }),
      ...(range && { range }),
    };
    sink.begin();
    return staging.take(await transfer(() => source.get(path, most, request)));
  };
  let first: PinfsError | undefined;
  let left = limit;
  for (let tries = 1; ; tries++) {
    try {
      const stored = await get(left, tries === 1);
      came = sizeOfStored(stored);
      await keep(stored);
      if (tries > 1) source.judged?.(served, undefined);
      return;
    } catch (thrown) {
      const error = whatIsWrong(thrown, first, left < limit);
      if (!(error instanceof PinfsError) || !mayBeMended.has(error.code)) throw error;
      first ??= error;
      const others = source.judged?.(served, error) ?? 0;
      const isUsedUp = !isPromised && (isTooLarge(error) || came >= limit);
      if (others === 0 && (tries > 1 || isUsedUp)) throw withGivers(error, source, want, served);
      left = isPromised || isUsedUp || tries > 1 ? limit : limit - came;
    }
  }
}

function pathOf(want: Want): string {
  return want.external?.path ?? objectPath(want.object);
}

/** What is damaged does not say by itself who gave it. */
function withGivers(
  error: PinfsError,
  source: Source,
  want: Want,
  served: readonly Served[],
): PinfsError {
  if (error.code !== 'OBJECT_HASH_MISMATCH') return error;
  const names = served.map((one) => source.nameOf?.(one) ?? source.label);
  const from = [...new Set(names.length === 0 ? [source.label] : names)].join(', and ');
  return new PinfsError(error.code, `${error.message} (${pathOf(want)} of ${from})`, {
    advice: error.advice,
    cause: error.cause,
    passing: error.passing,
  });
}

/** What came first says more than that its bytes used the bound up, or that nobody else has it. */
function whatIsWrong(thrown: unknown, first: PinfsError | undefined, isCut: boolean): unknown {
  if (first === undefined || !(thrown instanceof PinfsError)) return thrown;
  const isOfBound = isCut && isTooLarge(thrown);
  return isOfBound || thrown.code === 'OBJECT_MISSING' ? first : thrown;
}

function isTooLarge(thrown: unknown): boolean {
  return thrown instanceof PinfsError && thrown.code === 'OBJECT_TOO_LARGE';
}
