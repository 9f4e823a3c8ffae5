import { printable, type ByteString } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { objectText } from '../../format/hash.js';
import { wantKey, type Want } from '../../store/want.js';
import type { Entry } from '../../tree/entry.js';
import type { BrokenPath, CatalogInfo, NestedCatalog } from '../../tree/tree.js';
import type { Repository } from '../repository.js';
import { valueOf } from './path.js';
import { openPlaces } from './places.js';

/* All that is reachable from a snapshot's root, or from a directory in it: catalog by catalog, and the objects of each. */

/** What is walked through: a tree, and how objects that it lacks are had. */
export type Reached = Pick<Repository, 'tree' | 'run'>;

/** What is done with what is met. */
export interface Reach {
  /** A catalog that is here now, each once, whatever the catalogs above lead to; several at a time. */
  readonly catalog: (catalog: CatalogInfo) => Promise<void> | void;
  /** What is damaged, missing or not reachable at or below the start. */
  readonly problem: (path: ByteString, thrown: unknown) => void;
  /** Whether a catalog is looked into, where that is not so for each. */
  readonly enters?: (catalog: NestedCatalog) => boolean;
  /** Whether nothing more shall be asked for. */
  readonly isOver: () => boolean;
}

/** Catalogs that are waited for at once. */
const catalogsAtOnce = 16;
const pageRowsMax = 512;

/**
 * Fetches the catalog that serves `start`, and all those below it, several at a time.
 * @throws PinfsError where the first one can't be read; what `reach` throws.
 */
export async function reachCatalogs(
  repository: Reached,
  start: Pick<Entry, 'node' | 'path'>,
  reach: Reach,
): Promise<void> {
  const below = start.path;
  const first = await valueOf(repository, below, () => repository.tree.catalogOf(start.node));
  const met = new Set([wantKey(first.want)]);
  const pending: NestedCatalog[] = [];
  const enter = async (catalog: CatalogInfo): Promise<void> => {
    try {
      // The last one is taken first: nearly the order of the tree.
      pending.push(...(await nestedCatalogs(repository, catalog, below, reach)).reverse());
    } catch (thrown) {
      reach.problem(catalog.mountpoint, thrown);
    }
    await reach.catalog(catalog);
  };
  const follow = async (listed: NestedCatalog): Promise<void> => {
    let catalog: CatalogInfo;
    try {
      catalog = await mountedCatalog(repository, listed);
    } catch (thrown) {
      if (isBelow(listed.mountpoint, below)) reach.problem(listed.mountpoint, thrown);
      return;
    }
    const key = wantKey(catalog.want);
    if (met.has(key)) return;
    met.add(key);
    await enter(catalog);
  };
  const places = openPlaces(catalogsAtOnce);
  await places.begin(() => enter(first));
  while (!reach.isOver()) {
    const next = pending.pop();
    if (next !== undefined) await places.begin(() => follow(next));
    else if (places.busy > 0) await places.change();
    else break;
  }
  await places.end();
}

/**
 * The catalogs named by one that are on the way to what is below a path. Of damaged ones `reach` is told.
 * A snapshot bound into the tree is a repository of its own, and left out.
 */
async function nestedCatalogs(
  repository: Reached,
  catalog: CatalogInfo,
  below: ByteString,
  reach: Pick<Reach, 'problem' | 'enters'>,
): Promise<NestedCatalog[]> {
  const nested = await valueOf(repository, catalog.mountpoint, () =>
    repository.tree.nested(catalog),
  );
  tellBroken(nested.broken, below, reach);
  return nested.catalogs.filter(
    (listed) =>
      !listed.bind &&
      (isBelow(listed.mountpoint, below) || isBelow(below, listed.mountpoint)) &&
      reach.enters?.(listed) !== false,
  );
}

/**
 * The catalog that pinfs shows at a listed place. Without the flag of a mount point (docs/format.md, 5.5) the catalog
 * above serves the directory too, and what it has there may be nothing. The reference, which searches by the list
 * (docs/format.md, 5.10), would show the listed one: all the more is it a problem.
 * @throws PinfsError CATALOG_SCHEMA if it isn't the one that is listed.
 */
async function mountedCatalog(repository: Reached, listed: NestedCatalog): Promise<CatalogInfo> {
  const { mountpoint, want } = listed;
  const { node } = await valueOf(repository, mountpoint, () => repository.tree.resolve(mountpoint));
  const found = await valueOf(repository, mountpoint, () => repository.tree.catalogOf(node));
  if (found.mountpoint === mountpoint && wantKey(found.want) === wantKey(want)) return found;
  const what = `the catalog ${objectText(want.object)} is listed for ${printable(mountpoint)}`;
  throw new PinfsError('CATALOG_SCHEMA', `${what}, but no mount point there leads to it`);
}

/** Objects of some rows of a catalog. */
export interface ReachedObjects {
  /** Those at or below the start; the same one may come several times. */
  readonly wants: readonly Want[];
  /** Give it as `after` to read these again. */
  readonly from: number;
}

/** The objects of one catalog that is here, page by page; of damaged rows `reach` is told. */
export async function* reachObjects(
  repository: Reached,
  catalog: CatalogInfo,
  below: ByteString,
  reach: Pick<Reach, 'problem' | 'isOver'>,
): AsyncGenerator<ReachedObjects> {
  let after: number | undefined = 0;
  while (after !== undefined && !reach.isOver()) {
    const from: number = after;
    const page = await objectsPage(repository, catalog, from);
    tellBroken(page.broken, below, reach);
    yield { wants: page.wants.filter(({ path }) => isBelow(path, below)), from };
    after = page.next;
  }
}

/** One page of them, that was read before. */
export async function reachAgain(
  repository: Reached,
  catalog: CatalogInfo,
  below: ByteString,
  from: number,
): Promise<Want[]> {
  const { wants } = await objectsPage(repository, catalog, from);
  return wants.filter(({ path }) => isBelow(path, below));
}

function objectsPage(repository: Reached, catalog: CatalogInfo, from: number) {
  return valueOf(repository, catalog.mountpoint, () =>
    repository.tree.objects(catalog, from, pageRowsMax),
  );
}

function tellBroken(
  broken: readonly BrokenPath[],
  below: ByteString,
  { problem }: Pick<Reach, 'problem'>,
): void {
  for (const { path, error } of broken) if (isBelow(path, below)) problem(path, error);
}

/** Whether `path` is at or below `directory`, by whole components. */
export function isBelow(path: ByteString, directory: ByteString): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}
