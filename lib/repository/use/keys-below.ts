import { wantKey } from '../../store/want.js';
import type { ObjectKey } from '../../store/key.js';
import type { Entry } from '../../tree/entry.js';
import type { Repository } from '../repository.js';
import { isBelow, reachCatalogs, reachObjects } from './reach.js';

/**
 * The objects at or below a path, as far as the catalogs that are here know: the content of files, and the catalogs whose
 * root is there. Nothing is fetched but the catalogs on the way to the path.
 * @throws PinfsError if the catalog of the path can't be read.
 */
export async function keysBelow(repository: Repository, start: Entry): Promise<ObjectKey[]> {
  const keys = new Set<ObjectKey>();
  const reach = { problem: () => undefined, isOver: () => false };
  await reachCatalogs(repository, start, {
    ...reach,
    enters: ({ want }) => repository.store.isKept?.(wantKey(want)) === true,
    async catalog(catalog) {
      if (isBelow(catalog.mountpoint, start.path)) keys.add(wantKey(catalog.want));
      for await (const { wants } of reachObjects(repository, catalog, start.path, reach))
        for (const want of wants) keys.add(wantKey(want));
    },
  });
  return [...keys];
}
