import { PinfsError } from '../../format/errors.js';
import { objectNameOf, objectPath } from '../../format/hash.js';
import type { Manifest } from '../../format/manifest.js';
import { readObject } from '../revision/read-objects.js';
import { pruneReflog } from '../revision/reflog.js';
import type { Storage } from '../storage/storage.js';
import { walkRoots } from './check.js';
import { keptList, readNotes } from '../storage/own-notes.js';
import { readReflog, replaceReflog } from '../storage/own-reflog.js';
import { noteStatus } from './status-file.js';
import { catalogPath, nestedOf, startWalk, walkCatalog, type Walk } from './walk.js';
import { openStoredCatalog } from '../catalogs/stored-catalog.js';

export interface Garbage {
  readonly kept: number;
  readonly objects: number;
  readonly bytes: number;
}

/**
 * Finds what neither the newest revision, nor a tag, nor a hash to be kept reaches, and removes it if asked to. Whoever
 * calls holds the lock. @throws PinfsError GC_REFUSED: what is to be kept is not whole, so nobody knows what it reaches.
 */
export async function collectGarbage(
  storage: Storage,
  fqrn: string,
  {
    keep,
    remove,
    now,
  }: { readonly keep: readonly string[]; readonly remove: boolean; readonly now: Date },
): Promise<Garbage> {
  const walk = startWalk(storage);
  const manifest = await walkRoots(walk, fqrn, undefined, now);
  const kept = (await readNotes(storage, keptList)) ?? [];
  for (const hash of [...keep, ...kept]) await walkCatalog(walk, hash);
  const [first] = walk.problems.filter(({ code }) => code !== 'WHITELIST_EXPIRED');
  if (first !== undefined) {
    throw new PinfsError('GC_REFUSED', `what is to be kept is not whole: ${first.message}`, {
      advice: 'See all with pinfs repo check, mend it with pinfs repo repair. Nothing was removed.',
    });
  }
  const garbage = { kept: walk.reached.size, objects: 0, bytes: 0 };
  const paths: string[] = [];
  for await (const { path, size } of storage.list('data/')) {
    if (walk.reached.has(path)) continue;
    garbage.objects++;
    garbage.bytes += size;
    paths.push(path);
  }
  if (!remove) return garbage;
  for (const path of await inOrder(storage, paths)) await storage.remove(path);
  // Last: on a full disk there is room for it only now.
  await shortenReflog(walk, fqrn, manifest);
  await noteStatus(storage, 'last_gc', now);
  return garbage;
}

/** The reflog has no roots any more that go. */
async function shortenReflog({ storage, reached }: Walk, fqrn: string, manifest: Manifest) {
  const before = await readReflog(storage);
  if (before === undefined) return;
  const bytes = pruneReflog(before, fqrn, (object) => reached.has(objectPath(object)));
  if (bytes !== undefined) await replaceReflog(storage, manifest.rootHash.algorithm, before, bytes);
}

/**
 * Catalogs go first, each before those below it and what it names: one that is there has all that it reaches, also where
 * this ends in the middle.
 */
async function inOrder(storage: Storage, paths: readonly string[]): Promise<string[]> {
  const isCatalog = (path: string): boolean => path.endsWith(catalogSuffix);
  const below = new Map<string, readonly string[]>();
  for (const path of paths.filter(isCatalog)) below.set(path, await pathsBelow(storage, path));
  const parents = new Map([...below.keys()].map((path) => [path, 0]));
  const count = (path: string, by: number): number => {
    const number = (parents.get(path) ?? 0) + by;
    if (parents.has(path)) parents.set(path, number);
    return number;
  };
  for (const path of [...below.values()].flat()) count(path, 1);
  const ordered = [...parents].filter(([, number]) => number === 0).map(([path]) => path);
  // It grows while it is gone through.
  for (const path of ordered)
    for (const one of below.get(path) ?? [])
      if (parents.has(one) && count(one, -1) === 0) ordered.push(one);
  return [...ordered, ...paths.filter((path) => !isCatalog(path))];
}

const catalogSuffix = 'C';

/** The catalogs that one names; none where it is damaged. */
async function pathsBelow(storage: Storage, path: string): Promise<string[]> {
  const object = objectNameOf(path.slice('data/'.length).replace('/', ''));
  if (object === undefined) return [];
  try {
    const db = openStoredCatalog(await readObject(storage, object), object);
    try {
      return nestedOf(db).map(catalogPath);
    } finally {
      db.close();
    }
  } catch {
    return [];
  }
}
