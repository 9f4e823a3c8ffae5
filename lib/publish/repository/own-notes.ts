import type { Storage } from '../storage/storage.js';

/*
 * What a storage notes for itself below `.pinfs/`: lists of hashes, one a line; what stands behind a hash is for people.
 */

/** Root hashes that are kept whatever has no tag. */
export const keptList = '.pinfs/kept';
/** Root hashes of a mirror that has not all tags of its history; without the list it has all. */
export const mirroredList = '.pinfs/mirrored';
/** Hashes of a reflog that the manifest does not name: that of a mirror, and one that was made shorter. */
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
