import { hashBytes, type HashAlgorithm } from '../../format/hash.js';
import type { Storage } from './storage.js';
import { readNotes, reflogList, writeNotes } from './own-notes.js';

const reflogBytesMax = 2 ** 30;

/** The reflog of a storage, if it has one. @throws PinfsError STORAGE_FAILED, OBJECT_TOO_LARGE */
export async function readReflog(storage: Storage): Promise<Buffer | undefined> {
  return (await storage.read('.cvmfsreflog', reflogBytesMax))?.bytes;
}

/**
 * Notes that two reflogs count although the manifest names neither or one of them: before it is replaced, since who ends
 * then has left the manifest of before.
 */
export async function noteReflogs(
  storage: Storage,
  algorithm: HashAlgorithm,
  before: Buffer | undefined,
  bytes: Buffer,
): Promise<void> {
  const both = [before, bytes].flatMap((one) =>
    one === undefined ? [] : [hashBytes(algorithm, one).text],
  );
  await writeNotes(storage, reflogList, new Set(both));
}

/** Replaces the reflog by one that the manifest does not name. */
export async function replaceReflog(
  storage: Storage,
  algorithm: HashAlgorithm,
  before: Buffer | undefined,
  bytes: Buffer,
): Promise<void> {
  await noteReflogs(storage, algorithm, before, bytes);
  await storage.write('.cvmfsreflog', bytes);
}

/** Whether a reflog is one that the storage itself made. */
export async function isOwnReflog(
  storage: Storage,
  algorithm: HashAlgorithm,
  bytes: Buffer,
): Promise<boolean> {
  const hashes = await readNotes(storage, reflogList);
  return hashes?.includes(hashBytes(algorithm, bytes).text) ?? false;
}
