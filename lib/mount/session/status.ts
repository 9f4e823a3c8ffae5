import { fromText, printable } from '../../format/bytes.js';
import type { ReadAheadCounts } from '../../filesystem/chunks-ahead.js';
import type { ProfileCounts } from '../../filesystem/profile-counts.js';
import type { DriverStatistics, Latency } from '../../drivers/driver.js';
import type { RecordingStatus } from './recording.js';
import type { Repository } from '../../repository/repository.js';
import type { InodeStatus } from '../../repository/inodes/inode-state.js';
import { hitRate } from '../../store/cache/counted.js';
import type { StoreSpent } from '../../store/spent.js';
import type { StoreStatistics } from '../../store/store.js';
import type { Traffic } from '../../source/source.js';
import type { TreeStatistics } from '../../tree/tree.js';
import type { Verdict } from '../../trust/verdict/verdict.js';

/** Raised when a field changes its meaning, so that an older `pinfs status` does not misread it. */
export const statusVersion = 1;

/** What `pinfs status` knows of one running mount. Plain JSON. */
export interface MountStatus {
  readonly version: number;
  /** `detached`: out of its place, and served for those who still hold it. */
  readonly state: 'running' | 'detached' | 'stopping';
  readonly mountpoint: string;
  /** Where it really lies, since directories above it can be renamed; null: nowhere that is seen. */
  readonly place?: string | null;
  /** Without credentials. */
  readonly source: string;
  readonly repository: string;
  readonly pid: number;
  /** ISO 8601 UTC. */
  readonly since: string;
  readonly driver: string;
  /** `major:minor` of what is mounted; null where that is not known. */
  readonly device: string | null;
  readonly pinned: boolean;
  readonly verdict: Verdict;
  readonly store: StoreStatus;
  readonly traffic: Traffic;
  readonly requests: Readonly<Record<string, number>>;
  /** By code, those of the driver and of the store together. */
  readonly errors: Readonly<Record<string, number>>;
  readonly notCarried: number;
  /** Microseconds by operation, where the driver measures them. */
  readonly latencies: Readonly<Partial<Record<string, Latency>>>;
  /** By operation: upper ends of classes in microseconds, and how many fell into each. Undefined: an older version. */
  readonly latencyClasses?: Readonly<Record<string, readonly (readonly [number, number])[]>>;
  /** Milliseconds in each layer, summed over what went on at once. Undefined: an older version. */
  readonly layers?: Readonly<Record<string, number>>;
  /** What was asked for before anybody read it (objects, plain bytes); null: the driver does not do that. */
  readonly ahead: Readonly<ReadAheadCounts> | null;
  /** What became of the profile; null: none was given, or the driver can't use one. Undefined: an older version. */
  readonly profile?: Readonly<ProfileCounts> | null;
  readonly tree: TreeStatistics;
  /** Undefined: the process is of version 0.1. */
  readonly inodes?: InodesStatus;
  readonly head: HeadStatus | null;
  /** What was served before, the oldest first. Undefined: the process is of an older version. */
  readonly previous?: readonly PreviousSnapshot[];
  /** Resident memory in bytes. */
  readonly rss: number;
  readonly log: string | null;
  /** Null: nothing is recorded. Undefined: the process is of an older version. */
  readonly recording?: RecordingStatus | null;
}

export interface StoreStatus extends StoreStatistics {
  /** Hits of all reads, 0 to 1; null before the first. */
  readonly hitRate: number | null;
  readonly directory: string;
  /** What all catalogs of the snapshot take at the least (bytes). Undefined: the process is of version 0.1. */
  readonly catalogBytes?: number;
}

export interface InodesStatus {
  readonly bits: 32 | 63;
  /** Of numbers of 32 bits; null where they have 63. */
  readonly given: (InodeStatus & { readonly whole: boolean }) | null;
}

/** Following a head; a pin has none. Times are ISO 8601 UTC. */
export interface HeadStatus {
  readonly lastCheck: string | null;
  readonly nextCheck: string | null;
  readonly lastProblem: { readonly code: string; readonly message: string } | null;
}

/** A snapshot that was served before; what is open in it stays what it was. */
export interface PreviousSnapshot {
  /** Of its nodes, by which it is seen who is still in it (machine/old-holders.ts). */
  readonly generation: number;
  readonly rootHash: string;
  readonly tag: string | null;
  readonly revision: number | null;
  /** When another one took its place, ISO 8601 UTC. */
  readonly until: string;
}

export interface StatusFacts {
  readonly state: MountStatus['state'];
  readonly mountpoint: string;
  readonly place?: string | null;
  readonly since: string;
  readonly driver: string;
  readonly device: string | null;
  readonly repository: Repository;
  readonly statistics: DriverStatistics;
  readonly head: HeadStatus | null;
  readonly previous: readonly PreviousSnapshot[];
  readonly log: string | null;
  readonly recording?: RecordingStatus | null;
}

export function mountStatus(facts: StatusFacts): MountStatus {
  const { repository, statistics } = facts;
  const { served } = statistics;
  // A thread of the driver's own does the reading; the main thread counts only what had to be fetched.
  const own = repository.store.statistics;
  const store = {
    ...own,
    hits: own.hits + (served?.hits ?? 0),
    catalogHits: own.catalogHits + (served?.catalogHits ?? 0),
  };
  return {
    version: statusVersion,
    state: facts.state,
    mountpoint: facts.mountpoint,
    place: facts.place ?? null,
    source: repository.descriptor.identity.sourceLabel,
    repository: repository.fqrn,
    pid: process.pid,
    since: facts.since,
    driver: facts.driver,
    device: facts.device,
    pinned: repository.pinned,
    verdict: repository.verdict,
    store: {
      ...store,
      hitRate: hitRate(store) ?? null,
      directory: repository.store.directory,
      catalogBytes: repository.catalogBytes,
    },
    traffic: repository.traffic,
    requests: counted(statistics.requests),
    errors: summed(statistics.errors, store.failures),
    notCarried: statistics.notCarried,
    latencies: statistics.latencies ?? {},
    latencyClasses: statistics.latencyClasses?.() ?? {},
    layers: layersOf(statistics, own.spent),
    ahead: served?.ahead ?? null,
    profile: served?.profile ?? null,
    tree: served?.tree ?? repository.tree.statistics,
    inodes: inodesStatus(repository, served?.inodes),
    head: facts.head,
    previous: facts.previous,
    rss: process.memoryUsage.rss(),
    log: facts.log,
    recording: facts.recording ?? null,
  };
}

/** What the kernel asked for, from its request to our answer; then where that time went, as far as it is measured. */
function layersOf(
  { histograms, spent: worker }: DriverStatistics,
  store: StoreSpent | undefined,
): Record<string, number> {
  const times = Object.values(histograms?.() ?? {});
  const request = times.reduce((sum, one) => sum + (one?.microseconds ?? 0), 0) / 1000;
  return {
    ...(worker && {
      'kernel request': request,
      ...worker,
    }),
    ...store,
  };
}

function inodesStatus({ inodes }: Repository, served: InodeStatus | undefined): InodesStatus {
  if (inodes === undefined) return { bits: 63, given: null };
  return { bits: 32, given: { ...(served ?? inodes.state.status), whole: inodes.whole } };
}

function counted(counts: Partial<Record<string, number>>): Record<string, number> {
  return summed(counts, {});
}

/** A failed fetch and the answer that it led to are two counts of one name; the larger one tells. */
function summed(
  first: Partial<Record<string, number>>,
  second: Partial<Record<string, number>>,
): Record<string, number> {
  const result: Record<string, number> = {};
  for (const [name, count] of [...Object.entries(first), ...Object.entries(second)]) {
    if (count !== undefined && count > 0) result[name] = Math.max(result[name] ?? 0, count);
  }
  return result;
}

/** Where there is a choice, or a proxy. */
function wayLines({ way, changes = 0, damaged = {} }: Traffic): string[] {
  const names = Object.entries(damaged).map(([name, count]) => `${clean(name)} ${count}`);
  return [
    ...(way === undefined ? [] : [`  asked       ${clean(way)}, ${changes} changes so far`]),
    ...(names.length === 0 ? [] : [`  DAMAGED     what came from ${names.join(', ')}`]),
  ];
}

function aheadLines(ahead: MountStatus['ahead'], size: (bytes: number) => string): string[] {
  if (ahead === null || ahead.asked === 0) return [];
  const unread = size(Math.max(0, ahead.askedBytes - ahead.usedBytes));
  return [
    `  ahead       ${ahead.asked} files asked for ahead, ${ahead.used} of them read, ${unread} not read`,
  ];
}

function profileLines(profile: Readonly<ProfileCounts> | null): string[] {
  if (profile === null) return [];
  const { uses, asked, used, overtaken, absent, changed, strayed, stopped } = profile;
  const end = stopped === 0 ? '' : '; STOPPED: the job went another way';
  return [
    `  profile     ${asked} of ${uses} objects asked for ahead, ${used} of them read, ${overtaken} were here first, ${absent} are not in this tree, ${changed} have changed, ${strayed} reads of others${end}`,
  ];
}

/** A status for people, with no control characters of a server or a path in it. */
export function statusLines(status: MountStatus, size: (bytes: number) => string): string[] {
  const { store, traffic, verdict } = status;
  const rate =
    store.hitRate === null ? 'no reads yet' : `${(store.hitRate * 100).toFixed(1)} % hits`;
  const revision = verdict.revision === undefined ? '' : `, revision ${verdict.revision}`;
  const tag = verdict.tag === undefined ? '' : `, tag ${clean(verdict.tag)}`;
  return [
    clean(status.mountpoint),
    `  trust       ${verdict.status}: ${clean(verdict.summary)}`,
    ...placeLines(status),
    `  repository  ${clean(status.repository)}${revision}${tag}`,
    `  root hash   ${verdict.rootHash ?? 'unknown'}`,
    `  source      ${clean(status.source)}`,
    ...judgedLines(verdict),
    `  process     ${status.pid}, ${status.driver}, ${status.state} since ${status.since}, ${size(status.rss)} resident`,
    `  reads       ${rate} (${store.hits} of ${store.hits + store.misses})`,
    `  cache       ${size(store.bytes)} of ${size(store.limit)}, ${size(store.stored)} stored, ${store.evicted} evicted, in ${clean(store.directory)}`,
    ...tooSmallLines(store, size),
    ...notStoredLines(store.notStored),
    `  network     ${traffic.requests} requests, ${size(traffic.bytes)}, ${traffic.failures} failures`,
    ...wayLines(traffic),
    ...aheadLines(status.ahead, size),
    ...profileLines(status.profile ?? null),
    `  tree        ${status.tree.catalogsOpen} catalogs open of ${status.tree.catalogsOpened} used, ${status.tree.directoriesLoaded} directories loaded, ${status.tree.rowsRefused} rows refused`,
    ...inodesLines(status.inodes),
    `  requests    ${countsText(status.requests)}`,
    ...latencyLines(status.latencies),
    `  errors      ${countsText(status.errors)}`,
    ...lastFailureLines(store.lastFailure),
    ...(status.notCarried === 0
      ? []
      : [`  not shown   ${status.notCarried} names or times that this driver can't carry`]),
    ...headLines(status.head),
    ...(status.log === null ? [] : [`  log         ${clean(status.log)}`]),
    ...recordingLines(status.recording ?? null, size),
  ];
}

/** Nothing where it lies on its mountpoint. */
function placeLines({ mountpoint, place }: MountStatus): string[] {
  if (place === undefined || place === null || place === mountpoint) return [];
  return [`  MOVED       it lies on ${clean(place)}: a directory above it was renamed`];
}

/** The dates of a chain of signatures; a bare root hash has none. */
function judgedLines({ judgedAt, trustAtGiven, whitelist }: Verdict): string[] {
  if (whitelist === undefined) return [];
  const as = trustAtGiven ? ' (as was asked for)' : '';
  return [`  judged      as of ${judgedAt}${as}, whitelist good until ${clean(whitelist.expires)}`];
}

/**
 * Why a cache is too small to be of use, if it is: not even the catalogs fit, so that each walk through the tree fetches
 * them again. `size` writes a number of bytes.
 */
export function tooSmall(
  { limit, catalogBytes = 0 }: Pick<StoreStatus, 'limit' | 'catalogBytes'>,
  size: (bytes: number) => string = (bytes) => `${bytes} bytes`,
): string | undefined {
  // Where nothing can be stored at all, that is said by itself.
  if (limit === 0 || catalogBytes <= limit) return undefined;
  return `the cache may take ${size(limit)}, and the catalogs of this snapshot alone need ${size(catalogBytes)} or more: much will be fetched again and again`;
}

/** What to do about it. */
export const tooSmallAdvice = '--cache-limit SIZE raises the limit, as far as the disk has room.';

function tooSmallLines(store: StoreStatus, size: (bytes: number) => string): string[] {
  const problem = tooSmall(store, size);
  return problem === undefined ? [] : [`  TOO SMALL   ${problem}. ${tooSmallAdvice}`];
}

function notStoredLines(notStored: StoreStatistics['notStored']): string[] {
  if (notStored === undefined) return [];
  const { since, reason, advice = '', objects, directory } = notStored;
  const passed =
    directory === undefined ? '' : `; ${objects} objects passed through ${clean(directory)}`;
  return [`  not stored  nothing since ${since}: ${clean(reason)}${passed}. ${clean(advice)}`];
}

function lastFailureLines(failure: StoreStatistics['lastFailure']): string[] {
  if (failure === undefined) return [];
  return [
    `  last error  ${failure.time} ${failure.code}: ${clean(failure.message)} (for ${clean(failure.path)})`,
  ];
}

function inodesLines(inodes: InodesStatus | undefined): string[] {
  if (inodes === undefined) return [];
  const { bits, given } = inodes;
  if (given === null) return [`  inodes      ${bits} bits`];
  const whole = given.whole ? 'given to the whole snapshot at once' : 'given as names are seen';
  const kept = given.kept ? '' : '; NOT KEPT, see the log';
  const counts = `${given.seen} numbers, ${given.moved} of them moved`;
  return [`  inodes      ${bits} bits, ${counts}, ${whole}${kept}`];
}

function headLines(head: HeadStatus | null): string[] {
  if (head === null) return ['  head        pinned, never moves'];
  const problem =
    head.lastProblem === null
      ? ''
      : `; last answer: ${head.lastProblem.code}: ${clean(head.lastProblem.message)}`;
  return [
    `  head        followed, asked ${head.lastCheck ?? 'at the start only'}, next ${head.nextCheck ?? 'never'}${problem}`,
  ];
}

function recordingLines(
  recording: RecordingStatus | null,
  size: (bytes: number) => string,
): string[] {
  if (recording === null) return [];
  const { file, since, accesses, bytes, failure } = recording;
  const what = `${accesses} accesses, ${size(bytes)}, to ${clean(file)}`;
  if (failure === null) return [`  recording   ${what}, since ${since}`];
  return [`  NOT RECORDED any more: ${clean(failure)}; before: ${what}, since ${since}`];
}

/** The five operations that came most. */
function latencyLines(latencies: MountStatus['latencies']): string[] {
  const most = Object.entries(latencies)
    .flatMap(([name, latency]) => (latency === undefined ? [] : [{ name, latency }]))
    .sort((a, b) => b.latency.count - a.latency.count)
    .slice(0, 5);
  if (most.length === 0) return [];
  const texts = most.map(({ name, latency: { p50, p99 } }) => `${clean(name)} ${p50}/${p99}`);
  return [`  latency     ${texts.join(', ')} (microseconds, half and 99 % of them)`];
}

function countsText(counts: Readonly<Record<string, number>>): string {
  const entries = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  if (entries.length === 0) return 'none';
  return entries.map(([name, count]) => `${clean(name)} ${count}`).join(', ');
}

function clean(text: string): string {
  return printable(fromText(text));
}
