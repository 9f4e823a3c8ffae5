import { charge, segmentLimit, smallObjectBytesMax } from '../../eviction/amounts.js';
import { PinfsError } from '../../format/errors.js';
import type { ObjectKey } from '../../store/key.js';
import type { StoreStatistics } from '../../store/store.js';
import { flightKey, wantKey, type Want } from '../../store/want.js';
import { meetUse } from '../../filesystem/profile-wants.js';
import type { Profile } from '../../profile/profile.js';
import type { Entry } from '../../tree/entry.js';
import type { CatalogInfo } from '../../tree/tree.js';
import type { Repository } from '../repository.js';
import { bytesNotKept, objectsAtOnceMax, sizeOfCatalog } from './check.js';
import { openArrivals } from './arrivals.js';
import { failureError } from './path.js';
import { openPlaces } from './places.js';
import { openProblems, type Problem, type Problems } from './problems.js';
import { reachAgain, reachCatalogs, reachObjects } from './reach.js';

export interface FetchOptions {
  /** Only catalogs, no content. */
  readonly catalogsOnly: boolean;
  /** External files too; else they are left out, and counted. */
  readonly external: boolean;
  /** Told of the key of each object, catalogs too. */
  readonly noted?: (key: ObjectKey) => void;
  /** Objects that are fetched at once, at most `objectsAtOnceMax`. */
  readonly jobs: number;
}

/** Plain objects, each once, and their plain bytes. */
export interface Amount {
  objects: number;
  bytes: number;
}

/** All that there is to fetch below a path. Its catalogs are here by then. */
export interface FetchList {
  readonly repository: Repository;
  readonly start: Entry;
  readonly options: FetchOptions;
  readonly catalogs: Amount;
  /** Content. */
  readonly total: Amount;
  /** What it all takes in the cache, with the catalogs (bytes). */
  readonly onDisk: number;
  /** External objects that are left out, by `flightKey`. */
  readonly leftOut: ReadonlySet<string>;
  readonly problems: Problems;
  /** Plain bytes by `wantKey`, catalogs too. */
  readonly met: Map<string, number>;
  /** Content that was not taken on yet, by `flightKey`. */
  readonly todo: Set<string>;
  readonly listed: readonly Want[];
  /** Where the wants lie that are too many to be kept. */
  readonly unlisted: readonly { readonly catalog: CatalogInfo; readonly from: number }[];
}

export interface FetchReport {
  readonly catalogs: Amount;
  /** All content below the path, each object once. */
  readonly total: Amount;
  /** Of the content: what is here now, whether it came now or before. */
  readonly done: Amount;
  readonly externalSkipped: number;
  readonly problems: readonly Problem[];
  /** Bytes on the disk of what was here and is not in the cache any more, or could not be stored. */
  readonly notKept: number;
  /** Why not everything was asked for: the source answers no more, or nothing can be stored. */
  readonly endedEarly: string | undefined;
}

// Each takes about half a KiB; what is beyond is read from its catalog again (wants).
const listedMax = 100_000;

/**
 * Fetches all catalogs below a path, and finds out what content there is: objects that several files have, once.
 * @throws PinfsError if the first catalog can't be read, or nothing can be stored in the cache.
 */
export async function listToFetch(
  repository: Repository,
  start: Entry,
  options: FetchOptions,
  progress: (catalogs: number, total: Amount) => void = () => undefined,
): Promise<FetchList> {
  const list = emptyList(repository, start, options);
  const { problems, listed, unlisted } = list;
  const reach = { problem: problems.add, isOver: () => problems.endedEarly !== undefined };
  await reachCatalogs(repository, start, {
    ...reach,
    async catalog(catalog) {
      noteCatalog(list, catalog);
      try {
        if (!options.catalogsOnly)
          for await (const { wants, from } of reachObjects(
            repository,
            catalog,
            start.path,
            reach,
          )) {
            const fresh = wants.filter((want) => note(list, want));
            if (listed.length + fresh.length <= listedMax) listed.push(...fresh);
            else if (fresh.length > 0) unlisted.push({ catalog, from });
          }
      } catch (thrown) {
        problems.add(catalog.mountpoint, thrown);
      }
      progress(list.catalogs.objects, list.total);
    },
  });
  return list;
}

/** @throws PinfsError why nothing can be stored in the cache. */
function emptyList(repository: Repository, start: Entry, options: FetchOptions) {
  refuseUnstored(repository.store.statistics);
  const problems = openProblems(repository.store);
  const [listed, unlisted] = [[] as Want[], [] as { catalog: CatalogInfo; from: number }[]];
  return {
    ...{ repository, start, options, problems, listed, unlisted },
    catalogs: { objects: 0, bytes: 0 },
    total: { objects: 0, bytes: 0 },
    onDisk: 0,
    leftOut: new Set<string>(),
    met: new Map<string, number>(),
    todo: new Set<string>(),
  };
}

/**
 * What a profile names at or below a path, in its order; the catalogs on the way are fetched for that. What is not in the
 * tree is nothing to be told of: a profile is a hint.
 * @throws PinfsError if nothing can be stored in the cache.
 */
export async function listOfProfile(
  repository: Repository,
  start: Entry,
  { uses }: Profile,
  options: FetchOptions,
  progress: (looked: number, total: Amount) => void = () => undefined,
): Promise<FetchList> {
  const list = emptyList(repository, start, options);
  const { opening, tree } = repository;
  for (const [index, use] of uses.entries()) {
    if (list.problems.endedEarly !== undefined) break;
    const isBelow = use.path === start.path || use.path.startsWith(`${start.path}/`);
    if (!isBelow || (options.catalogsOnly && use.kind === 'file')) continue;
    const met = await repository.run(() => meetUse(tree, use), opening.signal);
    if (met.kind === 'failure') {
      if (met.error !== undefined) list.problems.add(use.path, failureError(met, use.path));
    } else if (use.kind === 'catalog') list.catalogs.objects += 1;
    else if (met.value !== undefined && note(list, met.value.want))
      list.listed.push(met.value.want);
    progress(index + 1, list.total);
  }
  return list;
}

/** @throws PinfsError why nothing can be stored in the cache. */
function refuseUnstored({ notStored }: StoreStatistics): void {
  if (notStored === undefined) return;
  const { reason, advice } = notStored;
  throw new PinfsError('CACHE_UNUSABLE', reason, advice === undefined ? {} : { advice });
}

type Noted = Pick<FetchList, 'repository' | 'options' | 'total' | 'met' | 'todo'> & {
  onDisk: number;
  readonly leftOut: Set<string>;
};

function noteCatalog(
  list: Noted & Pick<FetchList, 'repository' | 'catalogs'>,
  catalog: CatalogInfo,
): void {
  const bytes = sizeOfCatalog(list.repository, catalog);
  list.catalogs.objects += 1;
  list.catalogs.bytes += bytes;
  list.onDisk += charge(bytes);
  list.met.set(wantKey(catalog.want), bytes);
  list.options.noted?.(wantKey(catalog.want));
}

/** What content takes in the cache: in one that isn't small, small objects lie one behind the other. */
function onDiskOf(bytes: number, { store }: Repository): number {
  const isBesideOthers = bytes <= smallObjectBytesMax && segmentLimit(store.statistics.limit) > 0;
  return isBesideOthers ? bytes : charge(bytes);
}

/** Notes an object, unless it was met before. @returns whether it is to be fetched. */
function note(list: Noted, want: Want): boolean {
  const key = flightKey(want);
  if (list.todo.has(key)) return false;
  if (want.external !== undefined && !list.options.external) {
    list.leftOut.add(key);
    return false;
  }
  list.todo.add(key);
  list.options.noted?.(wantKey(want));
  list.total.objects += 1;
  list.total.bytes += want.size.bytes;
  list.onDisk += onDiskOf(want.size.bytes, list.repository);
  return true;
}

/**
 * Fetches what was listed into the cache, so many objects at once; what is here already is asked for nowhere. What can't be
 * had is told in the report.
 * @param progress told of what is done so far, often.
 */
export async function fetchListed(
  list: FetchList,
  progress: (done: Amount) => void = () => undefined,
): Promise<FetchReport> {
  const { repository, problems, start } = list;
  const done = { objects: 0, bytes: 0 };
  const places = openPlaces(Math.min(list.options.jobs, objectsAtOnceMax));
  const fetching: Fetching = { list, done, progress };
  const arrivals = openArrivals<Want>(repository, places, {
    came(want, isNew) {
      // What was recorded before is looked at.
      if (!isNew) return false;
      countOne(fetching, want);
      return true;
    },
    lacks: (want) => fetchOne(fetching, want),
    isOver: () => problems.endedEarly !== undefined,
  });
  // Whoever wants fewer at once than the store would has them one by one.
  const isAhead = (want: Want): boolean =>
    list.options.jobs >= objectsAtOnceMax && arrivals.takes(want);
  const fetchAll = async (wants: readonly Want[]): Promise<void> => {
    for (const want of wants) {
      if (problems.endedEarly !== undefined) return;
      if (!list.todo.delete(flightKey(want))) continue;
      if (isAhead(want)) await arrivals.add(want, want);
      else await places.begin(() => fetchOne(fetching, want));
    }
  };
  try {
    await fetchAll(list.listed);
    for (const { catalog, from } of list.unlisted) {
      try {
        await fetchAll(await reachAgain(repository, catalog, start.path, from));
      } catch (thrown) {
        problems.add(catalog.mountpoint, thrown);
      }
    }
    await arrivals.end();
    await places.end();
  } finally {
    arrivals.close();
  }
  return {
    ...{ catalogs: list.catalogs, total: list.total, done },
    externalSkipped: list.leftOut.size,
    problems: problems.sorted(),
    notKept: await bytesNotKept(repository, list.met),
    endedEarly: problems.endedEarly,
  };
}

interface Fetching {
  readonly list: FetchList;
  readonly done: Amount;
  readonly progress: (done: Amount) => void;
}

async function fetchOne(fetching: Fetching, want: Want): Promise<void> {
  const { repository, problems } = fetching.list;
  if (problems.endedEarly !== undefined) return;
  try {
    await repository.store.fetch(want, repository.opening.signal, { readElsewhere: true });
    countOne(fetching, want);
  } catch (thrown) {
    problems.add(want.path, thrown);
    endIfUnstored(fetching);
  }
}

/** An object is here. */
function countOne(fetching: Fetching, want: Want): void {
  const { list, done, progress } = fetching;
  done.objects += 1;
  done.bytes += want.size.bytes;
  list.met.set(wantKey(want), want.size.bytes);
  endIfUnstored(fetching);
  progress(done);
}

function endIfUnstored({ list: { repository, problems } }: Fetching): void {
  const { notStored } = repository.store.statistics;
  if (notStored !== undefined) problems.endFor(`Nothing can be stored: ${notStored.reason}`);
}
