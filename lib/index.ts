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
import { fromText, printable, toBytes, type ByteString } from './format/bytes.js';
import type { Entry } from './tree/entry.js';
import { PinfsError, type ErrorCode } from './format/errors.js';
import { list, readRange, valueOf, walk } from './repository/use/path.js';
import { namedSource } from './repository/configured/named-source.js';
import { processEnvironment } from './repository/open/environment.js';
import { openRepository } from './repository/open.js';
import { inspectSource as inspectRepository, type Inspection } from './repository/inspect.js';
import type { OpenOptions } from './repository/open/options.js';
import type { MountOptions } from './mount/options.js';
import type { MountSession } from './mount/session/session.js';
import type { EntryType } from './format/catalog-row.js';
import type { Verdict } from './trust/verdict/verdict.js';

export { PinfsError, type ErrorCode };
export type { Inspection, OpenOptions, Verdict, EntryType };
export type { MountOptions, MountSession as Session };
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
export type { HistoryTag } from './tree/history.js';
export type { TreeStatistics } from './tree/tree.js';
export type { TrustStep } from './trust/verdict/verdict.js';

/** A path in the repository: text is taken as UTF-8, a Buffer as the bytes it is. */
export type Path = string | Buffer;

/** One entry as `lstat` and `readdir` show it. */
export interface FileEntry {
  readonly name: Buffer;
  readonly path: Buffer;
  readonly type: EntryType;
  /** Permission bits and setuid, setgid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  /** 63 bits; the same for the same path in every mount of this snapshot. */
  readonly ino: bigint;
  /** Seconds since 1970, may be negative; and the nanoseconds beside them. */
  readonly mtime: number;
  readonly mtimeNs: number;
  /** Device number as glibc packs it; 0 for what is no device. */
  readonly rdev: number;
  /** Of a symlink: the target with its variables expanded. */
  readonly target: Buffer | undefined;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** Why this entry can't be used: the publisher's record of it makes no sense. The others are whole. */
  readonly damaged: PinfsError | undefined;
}

/**
 * An opened snapshot. Every method throws PinfsError: NOT_FOUND, IS_DIRECTORY, NOT_DIRECTORY, LINK_LOOP,
 * ACCESS_DENIED, OBJECT_*, CATALOG_*, SOURCE_*, USAGE (a range that is none), INTERRUPTED (it was closed).
 */
export interface Snapshot {
  readonly repository: string;
  readonly rootHash: string;
  readonly revision: number;
  readonly tag: string | undefined;
  readonly verdict: Verdict;
  /** The entry at a path; the last component is followed unless `follow` is false. */
  stat(path: Path, options?: { follow?: boolean }): Promise<FileEntry>;
  /** The entries of a directory, without `.` and `..`. */
  list(path: Path): Promise<FileEntry[]>;
  /** A file, or `length` bytes of it from `offset`; less where it ends before. */
  read(path: Path, range?: { offset?: number; length?: number }): Promise<Buffer>;
  /** The same in pieces of at most 1 MiB, for files larger than memory. */
  stream(path: Path, range?: { offset?: number; length?: number }): AsyncGenerator<Buffer>;
  /** Of a symlink, with its variables expanded. @throws PinfsError USAGE for anything else. */
  readlink(path: Path): Promise<Buffer>;
  close(): Promise<void>;
}

/**
 * Opens SOURCE[@PIN] for reading, verified as the options ask.
 * @throws PinfsError with the code of what was refused, missing, damaged or not reachable.
 */
export async function open(options: OpenOptions): Promise<Snapshot> {
  const repository = await openRepository(await namedSource(options, processEnvironment));
  const { identity } = repository.descriptor;
  let closing: Promise<void> | undefined;
  const find = async (path: Path, follow: boolean): Promise<Entry> => {
    if (closing !== undefined) throw new PinfsError('INTERRUPTED', 'the snapshot was closed');
    return await walk(repository, bytesOf(path), follow);
  };
  const stream: Snapshot['stream'] = async function* (path, { offset, length } = {}) {
    checkRange(offset, length);
    const file = await find(path, true);
    yield* readRange(repository, file, offset, length);
  };
  return {
    repository: repository.fqrn,
    rootHash: identity.rootHash,
    revision: identity.revision,
    tag: identity.tag,
    verdict: repository.verdict,
    async stat(path, { follow = true } = {}) {
      return fileEntry(await find(path, follow));
    },
    async list(path) {
      const directory = await find(path, true);
      const entries: FileEntry[] = [];
      for await (const attributes of list(repository, directory))
        entries.push(fileEntry(attributes));
      return entries;
    },
    async read(path, range) {
      const pieces: Buffer[] = [];
      for await (const piece of stream(path, range)) pieces.push(piece);
      return Buffer.concat(pieces);
    },
    stream,
    async readlink(path) {
      const entry = await find(path, false);
      const { node } = entry;
      if (entry.type !== 'symlink') {
        throw new PinfsError('USAGE', `${printable(entry.path) || '/'} is no symlink`);
      }
      const { filesystem } = repository;
      return toBytes(await valueOf(repository, entry.path, () => filesystem.readlink(node)));
    },
    async close() {
      await (closing ??= repository.close());
    },
  };
}

/** What can be said of SOURCE[@PIN], tags included, also where trust refuses it. */
export async function inspect(options: OpenOptions): Promise<Inspection> {
  return await inspectRepository(await namedSource(options, processEnvironment));
}

/**
 * Mounts SOURCE[@PIN] in this process and resolves once the mount answers. FUSE is loaded only here.
 * This process must not touch the mount synchronously: it would wait for itself.
 * @throws PinfsError MOUNT_*, MOUNTPOINT_UNUSABLE, and whatever opening throws.
 */
export async function mount(
  options: OpenOptions,
  mountpoint: string,
  how: Partial<Omit<MountOptions, 'mountpoint'>> = {},
): Promise<MountSession> {
  const { runMount } = await import('./mount/session/session.js');
  const { mountOptions } = await import('./mount/options.js');
  const named = await namedSource(options, processEnvironment);
  return await runMount(named, mountOptions({ ...how, mountpoint }));
}

/** @throws PinfsError USAGE */
function checkRange(...numbers: (number | undefined)[]): void {
  for (const number of numbers) {
    if (number === undefined || (Number.isSafeInteger(number) && number >= 0)) continue;
    throw new PinfsError('USAGE', `${number} is no place or length in a file`, {
      advice: 'Give whole numbers of bytes, 0 or more.',
    });
  }
}

function bytesOf(path: Path): ByteString {
  return typeof path === 'string' ? fromText(path) : path.toString('latin1');
}

function fileEntry(attributes: Entry): FileEntry {
  const entry = attributes;
  return {
    name: toBytes(entry.name),
    path: toBytes(entry.path === '' ? '/' : entry.path),
    type: entry.type,
    mode: attributes.mode & 0o7777,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    nlink: attributes.nlink,
    ino: attributes.ino,
    mtime: attributes.mtime,
    mtimeNs: attributes.mtimeNs,
    rdev: attributes.rdev,
    target: entry.type === 'symlink' ? toBytes(entry.target) : undefined,
    xattrs: new Map(entry.xattrs ?? []),
    damaged: entry.broken,
  };
}
