import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { smallObjectBytesMax } from '../../eviction/amounts.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { hasherOf, objectPath, type ObjectName } from '../../format/hash.js';
import type { Demand } from '../../source/http/demand.js';
import type { Source } from '../../source/source.js';
import { openStaging } from '../../store/cache/staging.js';
import { piecesOf, sizeOfStored, type Stored } from '../../store/cache/stored.js';
import { download } from '../../store/fetch/download.js';
import { tryOneRequest } from '../../store/fetch/one-request.js';
import { checkHash } from '../../store/inflate.js';
import type { Want } from '../../store/want.js';
import { placeObject } from '../objects/place.js';
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
    // What is larger is written to a file as it comes.
    const isSmall = want.size.kind === 'exact' && want.size.bytes <= smallObjectBytesMax;
    const begun = isSmall ? await tryOneRequest(source, want, signal) : undefined;
    await download(source, want, keep, leg, staging, begun);
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
  if (await storageHas(porter.storage, want.object)) return;
  await receive(porter, want, (content) => put(porter, want.object, content));
}

/** On a disk that is asked at once: a way through other threads takes several times as long. */
export async function storageHas(storage: Storage, object: ObjectName): Promise<boolean> {
  const path = objectPath(object);
  if (storage.folder === undefined) return await storage.has(path);
  const file = join(storage.folder.root, path);
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

/** Puts what was received where it belongs. @throws PinfsError STORAGE_FAILED */
export async function put(porter: Porter, object: ObjectName, content: NewContent): Promise<void> {
  const { storage, brought, temporaryName } = porter;
  const size = Buffer.isBuffer(content) ? content.length : content.size;
  if (storage.folder === undefined) {
    if ((await storage.write(objectPath(object), content, 'absent')) === 'refused') return;
  } else {
    const { folder } = storage;
    await folder.begin();
    try {
      const place = { root: folder.root, kind: object.kind };
      if (!placeObject(content, object.hash, place, temporaryName()).isNew) return;
    } catch (thrown) {
      throw folder.failed(objectPath(object), thrown);
    }
  }
  brought.objects += 1;
  brought.bytes += size;
}

/** The bytes of what was received, of something that is known to fit into memory. */
export async function bytesOf(content: NewContent): Promise<Buffer> {
  return Buffer.isBuffer(content) ? content : await readFile(content.file);
}
