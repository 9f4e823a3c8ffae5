import type { ErrorCode } from '../format/errors.js';
import type { LiveFacts } from '../filesystem/live-facts.js';
import type { ProtectedAttributes } from '../filesystem/magic.js';
import type { ReadAheadCounts } from '../filesystem/chunks-ahead.js';
import type { ProfileCounts } from '../filesystem/profile-counts.js';
import type { Filesystem } from '../filesystem/filesystem.js';
import type { WaitLimits } from '../source/wait.js';
import type { SnapshotDescriptor } from '../filesystem/snapshot-descriptor.js';
import type { TreeStatistics } from '../tree/tree.js';
import type { InodeStatus } from '../repository/inodes/inode-state.js';
import type { Store } from '../store/store.js';
import type { MountLine } from '../machine/mountinfo.js';
import type { HeldPlace } from '../machine/held-place.js';
import type { RecordSink } from './recorder.js';
import type { UnmountMode } from '../machine/unmount.js';

/** Serves a filesystem to the kernel. Seam: fuse-native, kernel, none (the library). */
export interface Driver {
  readonly name: 'fuse-native' | 'kernel';
  /** Begins what takes time before any mount; worth calling before the repository is opened. */
  prepare?(): void;
  /** Mounts and resolves once the mount answers. @throws PinfsError MOUNT_*. */
  mount(request: MountRequest): Promise<Mounted>;
}

/** What is fetched ahead, where nobody says otherwise: some 0.1 s of a fast line (bytes). */
export const aheadBytesMaxUsual = 16 * 1024 * 1024;

/** What to mount, and how; the limits are those of a request that waits for the network. */
export interface MountRequest extends WaitLimits {
  readonly mountpoint: string;
  /** The mountpoint, held since it was checked; the caller's to close. */
  readonly place?: HeldPlace | undefined;
  /** What the kernel shows as the source: mount(8) compares it with fstab's. */
  readonly source: string;
  /** How to build the filesystem again in another thread; the main thread's own one is `filesystem`. */
  readonly descriptor: SnapshotDescriptor;
  readonly filesystem: Filesystem;
  readonly store: Store;
  /** `pinned`: the kernel may keep everything for ever. Otherwise the lifetime of names and attributes in seconds. */
  readonly lifetime: 'pinned' | number;
  readonly allowOther: boolean;
  readonly suid: boolean;
  readonly dev: boolean;
  readonly noExec?: boolean | undefined;
  /** Plain bytes that are fetched before anybody asks, and may wait to be read, at most (kernel driver). */
  readonly aheadBytesMax?: number | undefined;
  /** Answer ENOSYS to extended attributes, so that the kernel stops asking. */
  readonly noXattrs: boolean;
  /** Attributes that only some groups may read. A driver that can't tell who asks shows them to nobody. */
  readonly protectedXattrs?: ProtectedAttributes | undefined;
  readonly log: (level: 'info' | 'warn' | 'error', message: string) => void;
  /** Facts for the magic attributes of a filesystem that is built in another thread. */
  readonly live?: (() => LiveFacts) | undefined;
  /** Told of each answer that was an I/O error, by a driver that answers in this thread; others count them in their facts. */
  readonly failed?: (() => void) | undefined;
  /** A file that gets one line for each request (kernel driver; its grammar is in kernel/worker/trace.ts). */
  readonly trace?: string | undefined;
  /** Takes the records of all accesses from the beginning (docs/trace-format.md). */
  readonly record?: RecordSink | undefined;
  /** The kernel keeps nothing, so that each read of a process comes here (kernel driver). */
  readonly keepsNothing?: boolean | undefined;
  /**
   * Large files that the cache holds in one piece are read by the kernel itself, not through us (kernel
   * driver, as root). For few large files: it costs two requests for each open of every file.
   */
  readonly passthrough?: boolean | undefined;
}

export interface Mounted {
  /** Resolves when the mount is gone, from whatever side. */
  readonly ended: Promise<MountEnd>;
  /** Goes over to another snapshot (a head that moved). */
  replace(descriptor: SnapshotDescriptor, filesystem: Filesystem): Promise<void>;
  /** Resolves when it has ended, or soon, where somebody still holds it. @throws PinfsError MOUNT_BUSY, MOUNT_FAILED. */
  unmount(mode: UnmountMode): Promise<void>;
  /** Its line in the mount table when it was made; undefined: somebody else made it, and it could not be found. */
  readonly line: MountLine | undefined;
  readonly statistics: DriverStatistics;
  /** Gives records of accesses to this from now on; undefined: ends, and resolves when the last were given. */
  record(sink: RecordSink | undefined): Promise<void>;
  /** A thread of the driver's own keeps nothing of the cache open to write from now on. */
  readonly leaveCache?: () => void;
  /** Goes over to the file that lies at the path of the trace now, if there is a trace. */
  readonly reopenTrace?: () => void;
}

export interface MountEnd {
  readonly reason: 'unmounted' | 'aborted' | 'failed';
  readonly message: string;
}

export interface DriverStatistics {
  /** Requests by operation. */
  requests: Partial<Record<string, number>>;
  /** Answers that were errors of ours (not ENOENT and the like), by code. */
  errors: Partial<Record<ErrorCode, number>>;
  /** Names that the driver can't carry (not UTF-8), times it can't. */
  notCarried: number;
  /** What a thread of the driver's own found in the cache and in the tree; undefined: it has none. */
  served?: ServedMount | undefined;
  /** By operation, from a request's arrival to its answer in microseconds, where it is measured. */
  latencies?: Partial<Record<string, Latency>>;
  /** By operation: the upper end of each fine class in microseconds, and how many fell into it. */
  readonly latencyClasses?: () => Readonly<Record<string, readonly [number, number][]>>;
  /** Milliseconds that a thread of the driver's own spent; undefined: it has none. */
  readonly spent?: WorkerSpent | undefined;
  /** The same times in classes, for those who add them up. */
  histograms?: () => Partial<Record<string, LatencyHistogram>>;
}

/** Milliseconds in the thread that serves. */
export interface WorkerSpent {
  /** Operations that ran, on what is on this machine: mostly rows of catalogs. */
  catalog: number;
  /** Reading objects. */
  shelf: number;
  /** Writing replies, which wakes those who asked. */
  reply: number;
}

export interface ServedMount {
  /** Objects found in the cache. */
  readonly hits: number;
  readonly catalogHits: number;
  readonly tree: TreeStatistics;
  /** What was fetched before anybody asked, where that is done. */
  readonly ahead?: ReadAheadCounts | undefined;
  /** What became of the profile, where one was given. */
  readonly profile?: Readonly<ProfileCounts> | undefined;
  /** Of the inode numbers of 32 bits, where they have so many. */
  readonly inodes?: InodeStatus | undefined;
}

/** How many requests, and within how many microseconds half, 90 % and 99 % of them were answered. */
export interface Latency {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** Upper ends of the classes of a LatencyHistogram; above the last one there is one more. */
export const latencyBoundsMicroseconds: readonly number[] = Array.from(
  { length: 12 },
  (_, index) => 2 ** (4 + 2 * index),
);

export interface LatencyHistogram {
  /** Requests in each class. */
  readonly counts: readonly number[];
  /** All their times together, as finer classes estimate it. */
  readonly microseconds: number;
}

/** How long a request waits. */
export function waitLimitsOf({ deadline, minRate, longest }: WaitLimits): WaitLimits {
  return { deadline, minRate, longest };
}
