import { PinfsError } from '../../format/errors.js';
import { keepPart, keptBytes, unkeepPart, type Part } from '../../store/cache/kept-parts.js';
import type { ObjectKey } from '../../store/key.js';
import { wantKey } from '../../store/want.js';
import type { Entry } from '../../tree/entry.js';
import type { Repository } from '../repository.js';
import { fetchListed, type FetchList, type FetchReport } from './fetch.js';
import { valueOf } from './path.js';

// What is kept leaves room for all else that is read.
const shareOfLimitMax = 3 / 4;

/** What is at or below an entry, as a part to be kept. */
export function partOf({ fqrn, descriptor }: Repository, { path }: Pick<Entry, 'path'>): Part {
  return { repository: fqrn, root: descriptor.identity.rootHash, path };
}

/**
 * Fetches what was listed, and keeps it with the catalogs above it. What can't be made complete is not kept, unless it
 * was before.
 * @param keys of all that was listed.
 * @throws PinfsError CACHE_FULL: what is kept would leave no room for anything else; CACHE_UNUSABLE.
 */
export async function keepListed(
  list: FetchList,
  keys: ReadonlySet<ObjectKey>,
  fetchAll: (list: FetchList) => Promise<FetchReport> = fetchListed,
): Promise<FetchReport> {
  const { repository, start, onDisk } = list;
  const { directory, statistics } = repository.store;
  const part = partOf(repository, start);
  if (onDisk + (await keptBytes(directory)) > statistics.limit * shareOfLimitMax) {
    const text =
      'with this, what is kept would be more than three quarters of what the cache may take';
    throw new PinfsError('CACHE_FULL', text, {
      advice: '--cache-limit SIZE raises the limit; pinfs cache unkeep lets go of what was kept.',
    });
  }
  const all = new Set([...keys, ...(await catalogsAbove(repository, start))]);
  // Before it is fetched: what came first would go for what comes last.
  const isNew = await keepPart(directory, part, [...all]);
  let isComplete = false;
  try {
    const report = await fetchAll(list);
    isComplete =
      report.problems.length === 0 && report.notKept === 0 && report.endedEarly === undefined;
    return report;
  } finally {
    if (isNew && !isComplete) await unkeepPart(directory, part);
  }
}

/** The keys of the catalogs on the way from the root to an entry. */
async function catalogsAbove(repository: Repository, { path }: Entry): Promise<Set<ObjectKey>> {
  const { tree } = repository;
  const keys = new Set<ObjectKey>();
  const names = path.split('/');
  for (let count = 1; count <= names.length; count++) {
    const above = names.slice(0, count).join('/');
    const { node } = await valueOf(repository, above, () => tree.resolve(above));
    const catalog = await valueOf(repository, above, () => tree.catalogOf(node));
    keys.add(wantKey(catalog.want));
  }
  return keys;
}
