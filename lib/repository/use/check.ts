import { fstatSync } from 'node:fs';
import { setImmediate as turn } from 'node:timers/promises';
import { printable, type ByteString } from '../../format/bytes.js';
import { asPinfsError, PinfsError, type ErrorCode } from '../../format/errors.js';
import { objectText } from '../../format/hash.js';
import { charge } from '../../store/cache/records.js';
import { flightKey, wantKey, type Want } from '../../store/want.js';
import type { CatalogInfo, NestedCatalog } from '../../tree/tree.js';
import { valueOf, walk } from './path.js';
import { openWalkFailures, type WalkFailures } from './walk-failures.js';
import type { Repository } from '../repository.js';

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

export interface CheckProblem {
  readonly path: string;
  readonly code: ErrorCode;
  readonly message: string;
}

export interface CheckOptions {
  /** Only what is at or below this path. */
  readonly path: ByteString;
  /** Only catalogs, no content. */
  readonly catalogsOnly: boolean;
  readonly external: boolean;
  readonly progress: (report: CheckReport) => void;
}

/** Catalogs, and objects of each, that are waited for at once; the store fetches as many as it will. */
const fetchesAtOnceMax = 16;
const pageRowsMax = 512;
/** Objects that are looked for in the cache in one go, at the end. */
const keysAtOnce = 4096;

interface Check {
  readonly repository: Repository;
  readonly options: CheckOptions;
  readonly report: CheckReport;
  /** Objects that were met, by `flightKey`. */
  readonly done: Set<string>;
  /** Catalogs that were met, likewise: none is checked twice, whatever the catalogs above lead to. */
  readonly visited: Set<string>;
  readonly failures: WalkFailures;
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
  const failures = openWalkFailures(repository.store);
  const run: Check = {
    repository,
    options,
    report,
    done: new Set(),
    visited: new Set(),
    failures,
    met: new Map(),
  };
  const start = await walk(repository, options.path, false);
  const first = await valueOf(repository, start.path, () => repository.tree.catalogOf(start.node));
  run.visited.add(wantKey(first.want));
  meetCatalog(run, first);
  for (let level = [first]; level.length > 0;) {
    const next: CatalogInfo[] = [];
    await inFlight(run, level, async (catalog) => {
      next.push(...(await checkCatalog(run, catalog, start.path)));
    });
    level = next;
  }
  report.notKept = await bytesNotKept(run);
  report.problems.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
  return report;
}

/** What all files of a snapshot have (bytes), identical ones each time, as its root catalog says. */
export async function bytesOfFiles(repository: Repository): Promise<number> {
  const { tree } = repository;
  const { counters } = await valueOf(repository, '', () => tree.catalogOf(tree.root));
  const { self = 0n, subtree = 0n } = counters.get('file_size') ?? {};
  return Number(self + subtree);
}

async function bytesNotKept({ repository, met }: Check): Promise<number> {
  let [bytes, looked] = [0, 0];
  for (const [key, size] of met) {
    if (repository.store.isKept?.(key) === false) bytes += charge(size);
    if (++looked % keysAtOnce === 0) await turn();
  }
  return bytes;
}

/** Notes a catalog with its size; one that is gone from the cache again has the promised one. */
function meetCatalog({ repository, met }: Check, { want }: CatalogInfo): void {
  const fd = repository.store.shelf.descriptor(want);
  const promised = want.size.kind === 'exact' ? want.size.bytes : 0;
  met.set(wantKey(want), fd === undefined ? promised : fstatSync(fd).size);
}

/** Checks one catalog that is here, and fetches those below it. */
async function checkCatalog(
  run: Check,
  catalog: CatalogInfo,
  below: ByteString,
): Promise<CatalogInfo[]> {
  run.report.catalogs += 1;
  run.options.progress(run.report);
  try {
    if (!run.options.catalogsOnly) await checkObjects(run, catalog, below);
    return await nestedCatalogs(run, catalog, below);
  } catch (thrown) {
    problem(run, catalog.mountpoint, thrown);
    return [];
  }
}

async function nestedCatalogs(
  run: Check,
  catalog: CatalogInfo,
  below: ByteString,
): Promise<CatalogInfo[]> {
  const { repository } = run;
  const nested = await valueOf(repository, catalog.mountpoint, () =>
    repository.tree.nested(catalog),
  );
  for (const broken of nested.broken) {
    if (isBelow(broken.path, below)) problem(run, broken.path, broken.error);
  }
  const wanted = nested.catalogs.filter(
    // A snapshot bound into the tree is a repository of its own, checked by its tag.
    ({ bind, mountpoint }) => !bind && (isBelow(mountpoint, below) || isBelow(below, mountpoint)),
  );
  const found: CatalogInfo[] = [];
  await inFlight(run, wanted, async (listed) => {
    const { mountpoint } = listed;
    try {
      const mounted = await mountedCatalog(repository, listed);
      const key = wantKey(mounted.want);
      if (run.visited.has(key)) return;
      run.visited.add(key);
      meetCatalog(run, mounted);
      found.push(mounted);
    } catch (thrown) {
      if (isBelow(mountpoint, below)) problem(run, mountpoint, thrown);
    }
  });
  return found;
}

/**
 * The catalog that pinfs shows at a listed place. Without the flag of a mount point (docs/format.md, 5.5) the catalog
 * above serves the directory too, and what it has there may be nothing. The reference, which searches by the list
 * (docs/format.md, 5.10), would show the listed one: all the more is it a problem.
 * @throws PinfsError CATALOG_SCHEMA if it isn't the one that is listed.
 */
async function mountedCatalog(repository: Repository, listed: NestedCatalog): Promise<CatalogInfo> {
  const { mountpoint, want } = listed;
  const { node } = await valueOf(repository, mountpoint, () => repository.tree.resolve(mountpoint));
  const found = await valueOf(repository, mountpoint, () => repository.tree.catalogOf(node));
  if (found.mountpoint === mountpoint && wantKey(found.want) === wantKey(want)) return found;
  const what = `the catalog ${objectText(want.object)} is listed for ${printable(mountpoint)}`;
  throw new PinfsError('CATALOG_SCHEMA', `${what}, but no mount point there leads to it`);
}

/** Works on all of them, so many at a time, as long as the source answers. */
async function inFlight<T>(
  { report }: Check,
  all: readonly T[],
  work: (one: T) => Promise<void>,
): Promise<void> {
  const queue = [...all];
  const worker = async (): Promise<void> => {
    for (let one = queue.shift(); one !== undefined; one = queue.shift()) {
      if (report.endedEarly === undefined) await work(one);
    }
  };
  await Promise.all(Array.from({ length: fetchesAtOnceMax }, worker));
}

async function checkObjects(run: Check, catalog: CatalogInfo, below: ByteString): Promise<void> {
  const { repository } = run;
  let after: number | undefined = 0;
  while (after !== undefined && run.report.endedEarly === undefined) {
    const from: number = after;
    const page = await valueOf(repository, catalog.mountpoint, () =>
      repository.tree.objects(catalog, from, pageRowsMax),
    );
    for (const broken of page.broken) {
      if (isBelow(broken.path, below)) problem(run, broken.path, broken.error);
    }
    await fetchAll(
      run,
      page.wants.filter((want) => isBelow(want.path, below)),
    );
    after = page.next;
  }
}

async function fetchAll(run: Check, wants: readonly Want[]): Promise<void> {
  const queue = wants.filter((want) => {
    const key = flightKey(want);
    if (run.done.has(key)) return false;
    run.done.add(key);
    if (want.external !== undefined && !run.options.external) {
      run.report.externalSkipped += 1;
      return false;
    }
    return true;
  });
  await inFlight(run, queue, async (want) => {
    try {
      await run.repository.store.fetch(want, run.repository.opening.signal);
      run.report.objects += 1;
      run.report.bytes += want.size.bytes;
      run.met.set(wantKey(want), want.size.bytes);
    } catch (thrown) {
      problem(run, want.path, thrown);
    }
    run.options.progress(run.report);
  });
}

function problem(run: Check, path: ByteString, thrown: unknown): void {
  const error = asPinfsError(thrown);
  const shown = printable(path) || '/';
  const { code } = error;
  // Errors of the tree begin with the path.
  const prefix = `${shown}: `;
  const message = error.message.startsWith(prefix)
    ? error.message.slice(prefix.length)
    : error.message;
  run.report.problems.push({ path: shown, code, message });
  if (error.exit !== 4) return;
  try {
    run.failures.orEnd(error);
  } catch (ending) {
    run.report.endedEarly ??= asPinfsError(ending).advice;
  }
}

/** Whether `path` is at or below `directory`, by whole components. */
function isBelow(path: ByteString, directory: ByteString): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}
