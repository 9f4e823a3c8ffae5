import { charge } from '../../eviction/amounts.js';
import { fstatSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import type { ByteString } from '../../format/bytes.js';
import { readAllOf } from '../../store/run.js';
import { flightKey, wantKey, type Want } from '../../store/want.js';
import type { CatalogInfo } from '../../tree/tree.js';
import type { Repository } from '../repository.js';
import { valueOf, walk } from './path.js';
import { openPlaces, type Places } from './places.js';
import { openProblems, type Problem, type Problems } from './problems.js';
import { reachCatalogs, reachObjects } from './reach.js';

export interface CheckReport {
  catalogs: number;
  /** Objects fetched and verified, each once. */
  objects: number;
  bytes: number;
  /** External files that were left out, because no `--external` says where they lie. */
  externalSkipped: number;
  problems: CheckProblem[];
  /**
   * Bytes that those of the objects and catalogs would take on the disk that the cache does not have: they did not fit,
   * or could not be stored. 0: all of it is in the cache now.
   */
  notKept: number;
  /** Why not everything was looked at: the source answers no more. */
  endedEarly: string | undefined;
}

export type CheckProblem = Problem;

export interface CheckOptions {
  /** Only what is at or below this path. */
  readonly path: ByteString;
  /** Only catalogs, no content. */
  readonly catalogsOnly: boolean;
  readonly external: boolean;
  readonly progress: (report: CheckReport) => void;
}

/** Objects that are waited for at once; the store fetches as many as it will. */
export const objectsAtOnceMax = 32;
/** Objects that are looked for in the cache in one go, at the end. */
const keysAtOnce = 4096;

interface Check {
  readonly repository: Repository;
  readonly options: CheckOptions;
  readonly report: CheckReport;
  /** Objects that were met, by `flightKey`. */
  readonly done: Set<string>;
  readonly problems: Problems;
  readonly places: Places;
  /** Plain bytes of what was fetched, by `wantKey`. */
  readonly met: Map<string, number>;
}

/**
 * Fetches and verifies everything that is reachable from a snapshot's root, catalog by catalog;
 * what is missing or damaged is listed, by path, and does not end the check; a source that answers no more does.
 */
export async function check(repository: Repository, options: CheckOptions): Promise<CheckReport> {
  const report: CheckReport = {
    catalogs: 0,
    objects: 0,
    bytes: 0,
    externalSkipped: 0,
    notKept: 0,
    problems: [],
    endedEarly: undefined,
  };
  const problems = openProblems(repository.store);
  const places = openPlaces(objectsAtOnceMax);
  const run: Check = {
    repository,
    options,
    report,
    done: new Set(),
    problems,
    places,
    met: new Map(),
  };
  const start = await walk(repository, options.path, false);
  const reach = {
    problem: problems.add,
    isOver: () => problems.endedEarly !== undefined || repository.opening.signal.aborted,
  };
  await reachCatalogs(repository, start, {
    ...reach,
    async catalog(catalog) {
      report.catalogs += 1;
      run.met.set(wantKey(catalog.want), sizeOfCatalog(repository, catalog));
      options.progress(report);
      if (options.catalogsOnly) return;
      try {
        for await (const { wants } of reachObjects(repository, catalog, start.path, reach))
          await fetchAll(run, wants);
      } catch (thrown) {
        problems.add(catalog.mountpoint, thrown);
      }
    },
  });
  await places.end();
  report.notKept = await bytesNotKept(repository, run.met);
  report.problems = problems.sorted();
  report.endedEarly = problems.endedEarly;
  return report;
}

/** What all files of a snapshot have (bytes), identical ones each time, as its root catalog says. */
export async function bytesOfFiles(repository: Repository): Promise<number> {
  const { tree } = repository;
  const { counters } = await valueOf(repository, '', () => tree.catalogOf(tree.root));
  const { self = 0n, subtree = 0n } = counters.get('file_size') ?? {};
  return Number(self + subtree);
}

/** Bytes on the disk of those objects that the cache does not have. @param met plain bytes, by `wantKey`. */
export async function bytesNotKept(
  { store }: Repository,
  met: ReadonlyMap<string, number>,
): Promise<number> {
  let bytes = 0;
  let some: string[] = [];
  const look = (): void => {
    const kept = store.keptOf?.(some);
    for (const key of some) if (kept?.has(key) === false) bytes += charge(met.get(key) ?? 0);
    some = [];
  };
  for (const key of met.keys()) {
    if (some.push(key) < keysAtOnce) continue;
    look();
    await turn();
  }
  look();
  return bytes;
}

/** The size of a catalog that was here just now; one that is gone from the cache again has the promised one. */
export function sizeOfCatalog({ store }: Repository, { want }: CatalogInfo): number {
  if (want.size.kind === 'exact') return want.size.bytes;
  const fd = store.shelf.descriptor(want);
  if (fd !== undefined) return fstatSync(fd).size;
  const whole = readAllOf(store.shelf, want);
  return whole.kind === 'done' ? whole.value.length : 0;
}

/** Begins to fetch those that were not met before, as there are places. */
async function fetchAll(run: Check, wants: readonly Want[]): Promise<void> {
  const { report, places, problems } = run;
  for (const want of wants) {
    const key = flightKey(want);
    if (run.done.has(key)) continue;
    run.done.add(key);
    if (want.external !== undefined && !run.options.external) {
      report.externalSkipped += 1;
      continue;
    }
    await places.begin(() => fetchOne(run, want));
    if (problems.endedEarly !== undefined || run.repository.opening.signal.aborted) return;
  }
}

async function fetchOne(run: Check, want: Want): Promise<void> {
  const { repository, report, problems } = run;
  if (problems.endedEarly !== undefined) return;
  try {
    const { signal } = repository.opening;
    await repository.store.fetch(want, signal, { readElsewhere: true });
    report.objects += 1;
    report.bytes += want.size.bytes;
    run.met.set(wantKey(want), want.size.bytes);
  } catch (thrown) {
    problems.add(want.path, thrown);
  }
  run.options.progress(report);
}
