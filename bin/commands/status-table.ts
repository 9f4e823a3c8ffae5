import { printableText } from '../../lib/format/bytes.js';
import type { ListedMount } from '../../lib/mount/list.js';
import type { MountStatus } from '../../lib/mount/session/status.js';
import { formatSize } from './sizes.js';
import type { Column } from './table.js';

/* Several mounts, a row for each: as they are, and as they go on from one second to the next. */

export const statusColumns: readonly Column[] = [
  { head: 'mountpoint' },
  { head: 'snapshot' },
  { head: 'trust' },
  { head: 'hits', right: true },
  { head: 'cache', right: true },
  { head: 'network', right: true },
  { head: 'requests', right: true },
  { head: 'errors', right: true },
];

export function statusRow(mount: ListedMount): string[] {
  const { status } = mount;
  const { mountpoint, snapshot, trust } = namesOf(mount);
  if (status === null) return [mountpoint, snapshot, trust];
  return [
    ...[mountpoint, snapshot, trust],
    percent(status.store.hitRate),
    formatSize(status.store.bytes),
    formatSize(status.traffic.bytes),
    String(total(status.requests)),
    String(total(status.errors)),
  ];
}

/** What the mounts were at one moment. */
export interface WatchSample {
  /** Milliseconds, by a clock that never goes back. */
  readonly at: number;
  readonly mounts: readonly WatchedMount[];
}

export interface WatchedMount {
  readonly mount: ListedMount;
  /** Requests that the kernel waits for; undefined: it does not tell. */
  readonly queue: number | undefined;
}

/** The figures come first: a screen that is too narrow cuts off names. */
export const watchColumns: readonly Column[] = [
  { head: 'hits', right: true },
  { head: 'bytes/s', right: true },
  { head: 'requests/s', right: true },
  { head: 'queue', right: true },
  { head: 'errors', right: true },
  { head: 'trust' },
  { head: 'mountpoint' },
  { head: 'snapshot' },
];

/** What went on since another sample; without one, rates are not known yet. */
export function watchRow(
  { mount, queue }: WatchedMount,
  now: WatchSample,
  before: WatchSample | undefined,
): string[] {
  const { status } = mount;
  const { mountpoint, snapshot, trust } = namesOf(mount);
  if (status === null) return ['-', '-', '-', '-', '-', trust, mountpoint, snapshot];
  const last = before?.mounts.find(({ mount: other }) => isSame(other, mount))?.mount.status;
  const seconds = (now.at - (before?.at ?? now.at)) / 1000;
  const rate = (of: (one: MountStatus) => number): number | undefined =>
    last === undefined || last === null || seconds <= 0
      ? undefined
      : Math.max(0, of(status) - of(last)) / seconds;
  const bytes = rate(({ traffic }) => traffic.bytes);
  const requests = rate((one) => total(one.requests));
  return [
    percent(hitsSince(status, last ?? undefined)),
    bytes === undefined ? '-' : formatSize(Math.round(bytes)),
    requests === undefined ? '-' : requests.toFixed(0),
    queue === undefined ? '-' : String(queue),
    String(total(status.errors)),
    ...[trust, mountpoint, snapshot],
  ];
}

/** Of the reads since then; where there were none, of all. */
function hitsSince({ store }: MountStatus, last: MountStatus | undefined): number | null {
  const hits = store.hits - (last?.store.hits ?? 0);
  const misses = store.misses - (last?.store.misses ?? 0);
  return hits + misses > 0 ? hits / (hits + misses) : store.hitRate;
}

function isSame(one: ListedMount, other: ListedMount): boolean {
  return one.mountpoint === other.mountpoint && one.pid === other.pid;
}

interface Names {
  readonly mountpoint: string;
  readonly snapshot: string;
  /** With its state, where that is not the usual one; alone where no status was given. */
  readonly trust: string;
}

function namesOf({ mountpoint, source, state, status }: ListedMount): Names {
  const clean = printableText;
  const place = clean(mountpoint);
  if (status === null) return { mountpoint: place, snapshot: clean(source ?? '-'), trust: state };
  const { repository, verdict } = status;
  const revision = verdict.revision === undefined ? '' : `, revision ${verdict.revision}`;
  const name = verdict.tag === undefined ? revision : `@${verdict.tag}`;
  return {
    mountpoint: place,
    snapshot: clean(`${repository}${name}`),
    trust: status.state === 'running' ? verdict.status : `${verdict.status}, ${status.state}`,
  };
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

function percent(rate: number | null): string {
  return rate === null ? '-' : `${(rate * 100).toFixed(1)} %`;
}
