import { charge } from '../../eviction/amounts.js';
import { asPinfsError } from '../../format/errors.js';
import { runNow } from '../../store/run.js';
import type { Want } from '../../store/want.js';
import type { Entry } from '../../tree/entry.js';
import type { Repository } from '../repository.js';
import { isBelow } from './reach.js';

/** Fetches the nested catalogs that a walk will come to, several at once. */
export interface CatalogsAhead {
  /** The walk has read a directory: the catalogs named by the one that serves it come next. */
  entered(directory: Entry): void;
  /** Nothing more is begun. */
  end(): void;
}

const atOnceMax = 16;
// Of the cache's limit: what is fetched too early is gone again when the walk comes to it.
const shareOfLimitMax = 1 / 2;

/** For one walk over what is at or below `start`. Failures are left to the walk, which comes to them. */
export function openCatalogsAhead(repository: Repository, start: Entry): CatalogsAhead {
  const { store, tree, opening } = repository;
  const known = new Set<number>();
  const waiting: Want[] = [];
  // One at first: where the source is gone, the walk waits for this one too, and no more is asked for.
  let [busy, atOnce, fetchedBytes] = [0, 1, 0];
  let isOver = false;

  const settle = (): void => {
    const bytesMax = store.statistics.limit * shareOfLimitMax;
    while (!isOver && busy < atOnce && fetchedBytes < bytesMax) {
      const want = waiting.shift();
      if (want === undefined) return;
      busy += 1;
      fetchedBytes += charge(want.size.kind === 'exact' ? want.size.bytes : 0);
      void fetchOne(want);
    }
  };
  const fetchOne = async (want: Want): Promise<void> => {
    try {
      await store.fetch(want, opening.signal, { brief: true, readElsewhere: true });
      atOnce = Math.min(atOnceMax, atOnce * 2);
    } catch (thrown) {
      const { exit } = asPinfsError(thrown);
      // What is missing or damaged says nothing of the others; a source that fails is tried once more, by one.
      if (exit !== 5 && (exit !== 4 || atOnce === 1)) isOver = true;
      if (exit === 4) atOnce = 1;
    }
    busy -= 1;
    settle();
  };

  return {
    entered({ node }) {
      if (isOver) return;
      const catalog = runNow(() => tree.catalogOf(node), store.shelf);
      if (catalog.kind !== 'done' || known.has(catalog.value.number)) return;
      known.add(catalog.value.number);
      const nested = runNow(() => tree.nested(catalog.value), store.shelf);
      if (nested.kind !== 'done') return;
      const next = nested.value.catalogs
        .filter(({ mountpoint }) => isBelow(mountpoint, start.path))
        .sort((a, b) => (a.mountpoint < b.mountpoint ? -1 : 1));
      // Those below the directory that the walk is in come before what it left for later.
      waiting.unshift(...next.map(({ want }) => want));
      settle();
    },
    end() {
      isOver = true;
    },
  };
}
