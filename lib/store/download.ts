import { PinfsError } from '../format/errors.js';
import { objectPath } from '../format/hash.js';
import type { Source } from '../source/source.js';
import type { Leg } from './flights.js';
import { describe, storedLimit } from './inflate.js';
import type { Want } from './want.js';

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

/** Where nobody promised a size, both tries count in the one bound, and this one has used it up. */
function isUsedUp(want: Want, { code }: PinfsError): boolean {
  return want.size.kind === 'limit' && code === 'OBJECT_TOO_LARGE';
}

/** Verifies stored bytes and puts the object on a shelf. */
export type Keep = (stored: Buffer) => Promise<void>;

/** Gets an object and has it kept; once more, past caches on the way, when what came is not it. */
export async function download(source: Source, want: Want, keep: Keep, leg: Leg): Promise<void> {
  try {
    await downloadOnce(source, want, keep, leg, false);
  } catch (thrown) {
    if (!(thrown instanceof PinfsError) || !mayBeMended.has(thrown.code)) throw thrown;
    if (isUsedUp(want, thrown)) throw thrown;
    await downloadOnce(source, want, keep, leg, true);
  }
}

async function downloadOnce(
  source: Source,
  want: Want,
  keep: Keep,
  { signal, demand, transfer }: Leg,
  fresh: boolean,
): Promise<void> {
  const path = want.external?.path ?? objectPath(want.object);
  const range = want.external?.range;
  const request = { signal, demand, ...(fresh && { fresh }), ...(range && { range }) };
  await keep(await transfer(() => source.get(path, storedLimit(want), request)));
}
