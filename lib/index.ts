/**
 * The library: reads verified, pinned snapshots of CernVM-FS repositories, with no FUSE.
 *
 * ```ts
 * const snapshot = await open({ source: 'http://server/cvmfs/sw.example.org@v1', keys: ['sw.pub'] });
 * for (const entry of await snapshot.list('/')) console.log(entry.name.toString());
 * const text = await snapshot.read('/README.md');
 * await snapshot.close();
 * ```
 */
import { PinfsError, type ErrorCode } from './format/errors.js';
import type { CheckReport } from './repository/use/check.js';
import type { Difference } from './repository/use/diff.js';
import { namedSource } from './repository/configured/named-source.js';
import { processEnvironment } from './repository/open/environment.js';
import type { HistoryTag } from './tree/history.js';
import { inspectSource as inspectRepository, type Inspection } from './repository/inspect.js';
import type { OpenOptions } from './repository/open/options.js';
import type { MountOptions } from './mount/options.js';
import type { MountSession } from './mount/session/session.js';
import type { EntryType } from './format/catalog-row.js';
import type { Verdict } from './trust/verdict/verdict.js';

export { PinfsError, type ErrorCode };
export type { Inspection, OpenOptions, Verdict, EntryType };
export type { CheckReport, Difference };
export type { Problem as CheckProblem } from './repository/use/problems.js';
export type { MountOptions, MountSession };

/** A mount of this process. Disposed of (`await using`), it is unmounted. */
export type Session = MountSession & AsyncDisposable;

// What those are made of.
export type { Latency, MountEnd } from './drivers/driver.js';
export type { UnmountMode } from './machine/unmount.js';
export type { ProtectedAttributes } from './filesystem/magic.js';
export type { Unmounted } from './mount/control/leave.js';
export type { Log, LogFunction } from './mount/log.js';
export type { DriverChoice } from './mount/options.js';
export type { AskedPin, Repinned } from './mount/session/served.js';
export type {
  HeadStatus,
  InodesStatus,
  MountStatus,
  PreviousSnapshot,
  StoreStatus,
} from './mount/session/status.js';
export type { RecordingStatus } from './mount/session/recording.js';
export type { ReadAheadCounts } from './filesystem/chunks-ahead.js';
export type { InodeStatus } from './repository/inodes/inode-state.js';
export type { Traffic, WayTraffic } from './source/source.js';
export type { NotStored } from './store/store.js';
export type { ProfileCounts } from './filesystem/profile-counts.js';
export type { StoreSpent } from './store/spent.js';
export type { ShownFiles, SiteData } from './repository/open/options.js';
export type { NetworkData } from './source/network.js';
export type { HistoryTag };
export type { TreeStatistics } from './tree/tree.js';
export type { TrustStep } from './trust/verdict/verdict.js';
export {
  diff,
  open,
  type FileEntry,
  type Path,
  type PathDifference,
  type Snapshot,
  type CallLimits,
  type SnapshotCheck,
} from './snapshot.js';

/** The tags of SOURCE, newest first. @throws PinfsError where its history can't be had, or is refused. */
export async function tags(options: OpenOptions): Promise<readonly HistoryTag[]> {
  const { tags: found, failure } = await inspect(options);
  if (failure !== undefined) throw failure;
  return found ?? [];
}

/** What can be said of SOURCE[@PIN], tags included, also where trust refuses it. */
export async function inspect(options: OpenOptions): Promise<Inspection> {
  return await inspectRepository(await namedSource(options, processEnvironment));
}

/**
 * Mounts SOURCE[@PIN] in this process and resolves once the mount answers. FUSE is loaded only here.
 * This process must not touch the mount synchronously: it would wait for itself.
 * @param how as the options of the command; `told` gets the lines of its log where no file does, and nobody does else.
 * @throws PinfsError MOUNT_*, MOUNTPOINT_UNUSABLE, and whatever opening throws.
 */
export async function mount(
  options: OpenOptions,
  mountpoint: string,
  how: Partial<Omit<MountOptions, 'mountpoint'>> & { told?: (line: string) => void } = {},
): Promise<Session> {
  const { realParts, runMount } = await import('./mount/session/session.js');
  const { mountOptions } = await import('./mount/options.js');
  const named = await namedSource(options, processEnvironment);
  const { told = () => undefined, ...rest } = how;
  const asked = mountOptions({ ...rest, mountpoint });
  const session = await runMount(named, asked, await realParts(asked, told));
  return Object.assign(session, {
    [Symbol.asyncDispose]: async () => {
      await session.unmount();
    },
  });
}
