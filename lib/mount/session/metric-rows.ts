import type { DriverStatistics, LatencyHistogram } from '../../drivers/driver.js';
import { version } from '../../machine/version.js';
import { verdictStatuses } from '../../trust/verdict/verdict.js';
import type { MountStatus } from './status.js';

/** What the metrics of a mount are made of. */
export interface MetricFacts {
  readonly status: MountStatus;
  /** By operation, where the driver measures them. */
  readonly latencies: Readonly<Partial<Record<string, LatencyHistogram>>>;
  /** Milliseconds since 1970. */
  readonly now: number;
  readonly version: string;
  /** Of the whole process; seconds. */
  readonly cpuSeconds: number;
}

export function metricFactsOf(
  status: MountStatus,
  { histograms }: DriverStatistics,
  now = Date.now(),
): MetricFacts {
  const { user, system } = process.cpuUsage();
  return {
    status,
    latencies: histograms?.() ?? {},
    now,
    version,
    cpuSeconds: (user + system) / 1e6,
  };
}

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/**
 * One metric. Each has the label `repository` as well; no label holds what a user or a server may choose without end, nor
 * credentials or queries.
 */
export interface MetricRow {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly help: string;
  readonly labels: readonly string[];
  /** None: it is not known. */
  readonly samples: (facts: MetricFacts) => readonly Sample[];
}

type Values = (facts: MetricFacts) => number | undefined;

function one(value: Values): MetricRow['samples'] {
  return (facts) => {
    const found = value(facts);
    return found === undefined || !Number.isFinite(found) ? [] : [{ labels: {}, value: found }];
  };
}

function row(
  kind: MetricRow['kind'],
  name: string,
  help: string,
  labels: readonly string[],
  samples: MetricRow['samples'],
): MetricRow {
  return { name: `pinfs_${name}`, kind, help, labels, samples };
}

const counter = (name: string, help: string, value: Values): MetricRow =>
  row('counter', name, help, [], one(value));
const gauge = (name: string, help: string, value: Values): MetricRow =>
  row('gauge', name, help, [], one(value));

/** One sample for each name that was counted. */
function byName(
  label: string,
  counts: (facts: MetricFacts) => Readonly<Record<string, number>>,
): MetricRow['samples'] {
  return (facts) =>
    Object.entries(counts(facts)).map(([name, value]) => ({ labels: { [label]: name }, value }));
}

/** Catalogs, and all else. */
function byKind(counts: (facts: MetricFacts) => readonly [all: number, catalogs: number]) {
  return (facts: MetricFacts): readonly Sample[] => {
    const [all, catalogs] = counts(facts);
    return [
      { labels: { kind: 'catalog' }, value: catalogs },
      { labels: { kind: 'content' }, value: Math.max(0, all - catalogs) },
    ];
  };
}

type WayCounts = NonNullable<MountStatus['traffic']['ways']>[number];

function byWay(value: (way: WayCounts) => number): MetricRow['samples'] {
  return ({ status }) =>
    (status.traffic.ways ?? []).map((way) => ({ labels: wayLabels(way), value: value(way) }));
}

export function wayLabels({ mirror, proxy }: WayCounts): { mirror: string; proxy: string } {
  return { mirror, proxy };
}

const seconds = (text: string | null | undefined): number | undefined =>
  text === null || text === undefined ? undefined : Date.parse(text) / 1000;

function since(text: string | null | undefined, { now }: MetricFacts): number | undefined {
  const at = seconds(text);
  return at === undefined ? undefined : now / 1000 - at;
}

const ways = ['mirror', 'proxy'];

const readerRows: readonly MetricRow[] = [
  row(
    'counter',
    'requests_total',
    'Requests of the kernel, by operation.',
    ['operation'],
    byName('operation', ({ status }) => status.requests),
  ),
  row(
    'counter',
    'errors_total',
    'Answers to the kernel and fetches that failed, by the code of the error (docs/errors.md).',
    ['code'],
    byName('code', ({ status }) => status.errors),
  ),
  counter(
    'names_not_carried_total',
    'Names and times that the driver can not carry.',
    ({ status }) => status.notCarried,
  ),
  row(
    'counter',
    'cache_hits_total',
    'Objects that were found in the cache: catalogs, and content (all else).',
    ['kind'],
    byKind(({ status: { store } }) => [store.hits, store.catalogHits]),
  ),
  row(
    'counter',
    'cache_misses_total',
    'Objects that had to be fetched: catalogs, and content (all else).',
    ['kind'],
    byKind(({ status: { store } }) => [store.misses, store.catalogMisses]),
  ),
];

const networkRows: readonly MetricRow[] = [
  row(
    'counter',
    'network_requests_total',
    'Requests that were sent, by mirror and proxy.',
    ways,
    byWay(({ requests }) => requests),
  ),
  row(
    'counter',
    'network_received_bytes_total',
    'Bytes of answers, by mirror and proxy; headers are not counted.',
    ways,
    byWay(({ bytes }) => bytes),
  ),
  row(
    'counter',
    'network_errors_total',
    'What went wrong with a request, or was damaged, by code, mirror and proxy.',
    ['code', ...ways],
    ({ status }) =>
      (status.traffic.ways ?? []).flatMap((way) =>
        Object.entries(way.errors).map(([code, value]) => ({
          labels: { code, ...wayLabels(way) },
          value,
        })),
      ),
  ),
  counter(
    'network_changes_total',
    'Changes of the mirror or proxy that is asked first.',
    ({ status }) => status.traffic.changes ?? 0,
  ),
];

const cacheRows: readonly MetricRow[] = [
  gauge(
    'cache_size_bytes',
    'What the cache takes on its disk.',
    ({ status }) => status.store.bytes,
  ),
  gauge('cache_limit_bytes', 'What the cache may take.', ({ status }) => status.store.limit),
  counter(
    'cache_stored_bytes_total',
    'Bytes of objects, unpacked, that this process stored.',
    ({ status }) => status.store.stored,
  ),
  counter(
    'cache_evictions_total',
    'Objects that had to make room for others.',
    ({ status }) => status.store.evicted,
  ),
  counter(
    'cache_rebuilds_total',
    'Times that the records of the cache were damaged or gone.',
    ({ status }) => status.store.rebuilt,
  ),
  gauge(
    'cache_usable',
    '1: what is fetched is stored; 0: it only passes through (a full disk, a cache that was lost).',
    ({ status }) => (status.store.notStored === undefined ? 1 : 0),
  ),
];

const aheadRows: readonly MetricRow[] = [
  counter(
    'ahead_fetched_objects_total',
    'Objects that were asked for before anybody read them.',
    ({ status }) => status.ahead?.asked,
  ),
  counter(
    'ahead_used_objects_total',
    'Objects that were asked for ahead, and were read then.',
    ({ status }) => status.ahead?.used,
  ),
  counter(
    'ahead_fetched_bytes_total',
    'Bytes, unpacked, that were asked for before anybody read them.',
    ({ status }) => status.ahead?.askedBytes,
  ),
  counter(
    'ahead_used_bytes_total',
    'Bytes, unpacked, that were asked for ahead, and were read then.',
    ({ status }) => status.ahead?.usedBytes,
  ),
];

const treeRows: readonly MetricRow[] = [
  gauge('catalogs_open', 'Catalogs that are open.', ({ status }) => status.tree.catalogsOpen),
  counter(
    'catalogs_opened_total',
    'Catalogs that were opened.',
    ({ status }) => status.tree.catalogsOpened,
  ),
  counter(
    'directories_loaded_total',
    'Directories that were read from catalogs.',
    ({ status }) => status.tree.directoriesLoaded,
  ),
  counter(
    'rows_refused_total',
    'Rows of catalogs that are damaged, and are not shown.',
    ({ status }) => status.tree.rowsRefused,
  ),
];

const trustRows: readonly MetricRow[] = [
  row(
    'gauge',
    'mount_info',
    'What is mounted, and how; always 1.',
    ['mountpoint', 'source', 'driver', 'version', 'pin', 'tag', 'root_hash'],
    ({ status, version }) => [
      {
        labels: {
          mountpoint: status.mountpoint,
          source: status.source,
          driver: status.driver,
          version,
          pin: status.pinned ? (status.verdict.tag === undefined ? 'hash' : 'tag') : 'head',
          tag: status.verdict.tag ?? '',
          root_hash: status.verdict.rootHash ?? '',
        },
        value: 1,
      },
    ],
  ),
  row(
    'gauge',
    'verdict',
    'How the snapshot was judged last: 1 for that one, 0 for the others.',
    ['status'],
    ({ status }) =>
      verdictStatuses.map((name) => ({
        labels: { status: name },
        value: status.verdict.status === name ? 1 : 0,
      })),
  ),
  gauge('revision', 'Revision of the snapshot.', ({ status }) => status.verdict.revision),
  gauge('pinned', '1: the snapshot never changes; 0: a head is followed.', ({ status }) =>
    status.pinned ? 1 : 0,
  ),
  gauge('published_timestamp_seconds', 'When the snapshot was signed.', ({ status }) =>
    seconds(status.verdict.published),
  ),
  gauge('judged_age_seconds', 'Since the snapshot was judged last.', (facts) =>
    since(facts.status.verdict.judgedAt, facts),
  ),
  gauge('whitelist_age_seconds', 'Since the whitelist was signed.', (facts) =>
    since(facts.status.verdict.whitelist?.created, facts),
  ),
  gauge('whitelist_expiry_timestamp_seconds', 'When the whitelist runs out.', ({ status }) =>
    seconds(status.verdict.whitelist?.expires),
  ),
  gauge(
    'head_refresh_age_seconds',
    'Since a followed head was asked for last, or else since it was mounted.',
    (facts) =>
      facts.status.head === null
        ? undefined
        : since(facts.status.head.lastCheck ?? facts.status.since, facts),
  ),
  gauge(
    'head_refresh_ok',
    '1: the last answer for a followed head was a valid one; 0: see the log.',
    ({ status: { head } }) => (head === null ? undefined : Number(head.lastProblem === null)),
  ),
];

const processRows: readonly MetricRow[] = [
  {
    name: 'process_resident_memory_bytes',
    kind: 'gauge',
    help: 'Resident memory of the process of the mount.',
    labels: [],
    samples: one(({ status }) => status.rss),
  },
  {
    name: 'process_cpu_seconds_total',
    kind: 'counter',
    help: 'Time of processors that the process of the mount took.',
    labels: [],
    samples: one(({ cpuSeconds }) => cpuSeconds),
  },
  {
    name: 'process_start_time_seconds',
    kind: 'gauge',
    help: 'When it was mounted, since 1970.',
    labels: [],
    samples: one(({ status }) => seconds(status.since)),
  },
];

export const metricRows: readonly MetricRow[] = [
  ...readerRows,
  ...networkRows,
  ...cacheRows,
  ...aheadRows,
  ...treeRows,
  ...trustRows,
  ...processRows,
];
