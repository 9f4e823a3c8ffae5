import { PinfsError } from '../../format/errors.js';
import { objectPath, type ContentHash } from '../../format/hash.js';
import type { Storage } from './storage.js';

/*
 * What a storage notes for itself below `.pinfs/`: lists of hashes, one a line; what stands behind a hash is for people.
 */

/** Root hashes that are kept whatever has no tag. */
export const keptList = '.pinfs/kept';
/** Root hashes of a mirror that has not all tags of its history; without the list it has all. */
export const mirroredList = '.pinfs/mirrored';
/** Hashes of a reflog that the manifest may not name: that of a mirror, one that was made shorter, one of a head to come. */
export const reflogList = '.pinfs/reflog';

const listBytesMax = 16 * 1024 * 1024;

/** undefined: there is no such list. @throws PinfsError STORAGE_FAILED, OBJECT_TOO_LARGE */
export async function readNotes(storage: Storage, path: string): Promise<string[] | undefined> {
  const found = await storage.read(path, listBytesMax);
  if (found === undefined) return undefined;
  const lines = found.bytes.toString('utf8').split('\n');
  return lines.map((line) => line.replace(/[\s#].*/, '')).filter((line) => line !== '');
}

export async function writeNotes(
  storage: Storage,
  path: string,
  hashes: Iterable<string>,
): Promise<void> {
  await storage.write(path, Buffer.from([...hashes].map((hash) => `${hash}\n`).join('')));
}

/**
 * Adds a snapshot to those that are kept whatever has no tag. Whoever calls holds the lock.
 * @param why for people. @throws PinfsError OBJECT_MISSING: the storage has no such snapshot.
 */
export async function keepRoot(storage: Storage, hash: ContentHash, why: string): Promise<void> {
  if (!(await storage.has(objectPath({ hash, kind: 'catalog' })))) {
    const text = `there is no snapshot ${hash.text} in ${storage.name}`;
    throw new PinfsError('OBJECT_MISSING', text, {
      advice: 'Name the storage of this repository, or one that has all of its tags.',
    });
  }
  if ((await readNotes(storage, keptList))?.includes(hash.text) === true) return;
  const before = (await storage.read(keptList, listBytesMax))?.bytes.toString('utf8') ?? '';
  const whole = before === '' || before.endsWith('\n') ? before : `${before}\n`;
  await storage.write(keptList, Buffer.from(`${whole}${hash.text} # ${why}\n`));
}
