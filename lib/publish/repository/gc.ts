import { PinfsError } from '../../format/errors.js';
import type { Storage } from '../storage/storage.js';
import { walkRoots } from './check.js';
import { keptList, readNotes } from './own-notes.js';
import { startWalk, walkCatalog } from './walk.js';

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
  await walkRoots(walk, fqrn, undefined, now);
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
  if (remove) for (const path of paths) await storage.remove(path);
  return garbage;
}
