import { PinfsError } from '../format/errors.js';
import { objectPath } from '../format/hash.js';
import type { Source } from '../source/source.js';
import type { Disk, Prepared } from './disk.js';
import type { Leg } from './flights.js';
import { describe, storedLimit } from './inflate.js';
import { diskFull, errorCode, unusable } from './layout.js';
import { charge } from './records.js';
import type { Unpacker } from './unpacker.js';
import { wantKey, type Want } from './want.js';

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

/** Gets, verifies and writes an object; once more, past caches on the way, when what came is not it. */
export async function download(
  source: Source,
  want: Want,
  disk: Pick<Disk, 'directory' | 'temporary' | 'evict'>,
  unpacker: Pick<Unpacker, 'prepare'>,
  leg: Leg,
): Promise<Prepared> {
  try {
    return await downloadOnce(source, want, disk, unpacker, leg, false);
  } catch (thrown) {
    if (!(thrown instanceof PinfsError) || !mayBeMended.has(thrown.code)) throw thrown;
    if (isUsedUp(want, thrown)) throw thrown;
    return await downloadOnce(source, want, disk, unpacker, leg, true);
  }
}

async function downloadOnce(
  source: Source,
  want: Want,
  disk: Pick<Disk, 'directory' | 'temporary' | 'evict'>,
  unpacker: Pick<Unpacker, 'prepare'>,
  { signal, demand, transfer }: Leg,
  fresh: boolean,
): Promise<Prepared> {
  const path = want.external?.path ?? objectPath(want.object);
  const range = want.external?.range;
  const request = { signal, demand, ...(fresh && { fresh }), ...(range && { range }) };
  const stored = await transfer(() => source.get(path, storedLimit(want), request));
  const temporary = disk.temporary();
  const key = wantKey(want);
  try {
    return { key, temporary, ...(await unpacker.prepare(stored, want, temporary)) };
  } catch (thrown) {
    if (!isDiskFull(thrown)) throw translated(disk.directory, thrown);
  }
  // Room is made once; what came is still in memory.
  if (!disk.evict(2 * charge(want.size.bytes))) throw diskFull(disk.directory);
  try {
    return { key, temporary, ...(await unpacker.prepare(stored, want, temporary)) };
  } catch (thrown) {
    throw translated(disk.directory, thrown);
  }
}

function isDiskFull(thrown: unknown): boolean {
  const code = errorCode(thrown);
  return code === 'ENOSPC' || code === 'EDQUOT';
}

function translated(directory: string, thrown: unknown): PinfsError {
  return thrown instanceof PinfsError ? thrown : unusable(directory, thrown);
}
