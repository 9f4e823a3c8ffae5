import { readFile } from 'node:fs/promises';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { hasherOf, objectPath } from '../../format/hash.js';
import type { Demand } from '../../source/http/demand.js';
import type { Source } from '../../source/source.js';
import { openStaging } from '../../store/cache/staging.js';
import { piecesOf, sizeOfStored, type Stored } from '../../store/cache/stored.js';
import { download } from '../../store/fetch/download.js';
import { checkHash } from '../../store/inflate.js';
import type { Want } from '../../store/want.js';
import type { NewContent, Storage } from '../storage/storage.js';

/** What brings objects from a source into a storage, as they are stored. */
export interface Porter {
  readonly source: Source;
  readonly storage: Storage;
  readonly signal: AbortSignal;
  /** A new name for a file of what is under way. */
  readonly temporaryName: () => string;
  /** Objects that are new in the storage, and their bytes as they are stored. */
  readonly brought: { objects: number; bytes: number };
}

// As somebody who waits a while; how long is the source's own affair.
const demand: Demand = {
  urgency: 'wanted',
  persistent: false,
  watch: () => () => undefined,
  came: () => undefined,
  failed: () => undefined,
};

/**
 * Gets an object, verifies it by its hash, and has it taken. What came damaged is asked for again, by every way that
 * the source has; small ones are in memory, others in a file.
 * @throws PinfsError with the name of the object and of who gave it; STORAGE_FAILED: there is no room for it.
 */
export async function receive(
  porter: Porter,
  want: Want,
  take: (content: NewContent) => Promise<void>,
): Promise<void> {
  const { source, signal, temporaryName } = porter;
  const directory = porter.storage.name;
  const staging = openStaging((index) =>
    index > 0
      ? undefined
      : {
          directory,
          limit: Infinity,
          limitedByDisk: true,
          temporary: temporaryName,
          makeRoom: () => false,
        },
  );
  const keep = async (stored: Stored): Promise<void> => {
    const hasher = hasherOf(want.object.hash.algorithm);
    for (const piece of piecesOf(stored)) hasher.update(piece);
    const size = sizeOfStored(stored);
    checkHash(hasher.digest(), size, want);
    await take(Buffer.isBuffer(stored) ? stored : { file: stored.path, size });
  };
  const leg = { signal, demand, transfer: <T>(run: () => Promise<T>) => run() };
  try {
    await download(source, want, keep, leg, staging);
  } catch (thrown) {
    throw ofStorage(porter.storage, asPinfsError(thrown));
  } finally {
    staging.close();
  }
}

/** Where what is under way can't be written, that is no fault of a cache. */
function ofStorage(storage: Storage, error: PinfsError): PinfsError {
  if (!error.code.startsWith('CACHE_')) return error;
  const text = `there is no room for what goes to the storage ${storage.name}, or it can't be written`;
  return new PinfsError('STORAGE_FAILED', text, {
    advice: 'Free some space, or mend its owner and mode; the same command goes on.',
    cause: error,
  });
}

/** Brings an object, unless the storage has it. @throws PinfsError */
export async function bring(porter: Porter, want: Want): Promise<void> {
  const path = objectPath(want.object);
  if (await porter.storage.has(path)) return;
  await receive(porter, want, (content) => put(porter, path, content));
}

/** Puts what was received where it belongs. */
export async function put(porter: Porter, path: string, content: NewContent): Promise<void> {
  const { storage, brought } = porter;
  const size = Buffer.isBuffer(content) ? content.length : content.size;
  if ((await storage.write(path, content, 'absent')) === 'refused') return;
  brought.objects += 1;
  brought.bytes += size;
}

/** The bytes of what was received, of something that is known to fit into memory. */
export async function bytesOf(content: NewContent): Promise<Buffer> {
  return Buffer.isBuffer(content) ? content : await readFile(content.file);
}
