import { buildFilesystem, type BuiltFilesystem } from '../../../filesystem/build-filesystem.js';
import type { Ahead } from '../../../filesystem/ahead.js';
import type { PinfsError } from '../../../format/errors.js';
import type { LiveFacts } from '../../../filesystem/live-facts.js';
import type { SnapshotDescriptor } from '../../../filesystem/snapshot-descriptor.js';
import { openInodeState, type InodeState } from '../../../repository/inodes/inode-state.js';
import { openShelf } from '../../../store/cache/open-shelf.js';
import type { AccessLog } from '../../../store/recorded.js';
import { timedShelf, type RecentUses, type Shelf } from '../../../store/shelf.js';
import { andThen, done, type Outcome } from '../../../store/want.js';
import { wantsForRange } from '../../../tree/content.js';
import type { NodeId } from '../../../tree/entry.js';
import type { Tree } from '../../../tree/tree.js';
import type { ServedMount } from '../../driver.js';

/**
 * Makes filesystems in the worker thread. A module of its own, named by the main thread, so that a
 * test can serve another one.
 */
export interface FilesystemMaker {
  readonly make: (
    descriptor: SnapshotDescriptor,
    facts: () => LiveFacts,
    run: object,
  ) => Outcome<ServedFilesystem>;
  readonly beginRun: (run: object) => void;
  /** What was found so far, in the newest tree. */
  readonly served?: () => ServedMount | undefined;
  /** Milliseconds in which objects were read. */
  readonly shelfMs?: () => number;
  /** Lets go of objects that were evicted. */
  readonly letGo?: (keys: readonly string[]) => void;
  /** Uses of objects since the last call. */
  readonly recentUses?: () => RecentUses | undefined;
  /** Tells of each access from now on, or no more. */
  readonly record?: (log: AccessLog | undefined) => void;
  /** Keeps nothing of the cache open to write. */
  readonly leaveCache?: () => void;
  /** Nothing is to be done right now. */
  readonly idle?: () => void;
  readonly close: () => void;
}

export interface ServedFilesystem extends Pick<BuiltFilesystem, 'filesystem' | 'close'> {
  readonly ahead?: Ahead;
  /** A descriptor of a file's whole content, good for a moment; undefined if the cache has no such file. */
  readonly backing?: (node: NodeId) => number | undefined;
}

interface Newest {
  readonly tree: Tree;
  readonly ahead: Ahead;
  readonly inodes: InodeState | undefined;
}

/** The maker over the cache directory that snapshot descriptors name. */
export function openMaker(report: (error: PinfsError) => void): FilesystemMaker {
  const shelves = new Map<string, Shelf>();
  const spent = { ms: 0 };
  const numbered = new Set<InodeState>();
  let log: AccessLog | undefined;
  let newest: Newest | undefined;
  return {
    make(descriptor, facts, run) {
      const { cacheDirectory, cachePlace: at } = descriptor;
      const shelf =
        shelves.get(cacheDirectory) ?? timedShelf(openShelf(cacheDirectory, { at }), spent);
      shelves.set(cacheDirectory, shelf);
      shelf.record?.(log);
      shelf.beginRun(run);
      // Who opened the snapshot has looked it up.
      shelf.expect?.([descriptor.root], true);
      const inodes = descriptor.inodes && openInodeState(descriptor.inodes, { report });
      return andThen(buildFilesystem(descriptor, shelf, facts, inodes), (built) => {
        newest = { tree: built.tree, ahead: built.ahead, inodes };
        if (inodes !== undefined) numbered.add(inodes);
        const close = (): void => {
          built.close();
          inodes?.close();
          if (inodes !== undefined) numbered.delete(inodes);
        };
        return done({ ...built, close, backing: (node) => backingOf(built.tree, shelf, node) });
      });
    },
    served() {
      return newest && servedOf(shelves, newest);
    },
    shelfMs: () => spent.ms,
    letGo(keys) {
      for (const shelf of shelves.values()) shelf.letGo?.(keys);
    },
    recentUses() {
      const [shelf] = shelves.values();
      return shelf?.recentUses?.();
    },
    record(next) {
      log = next;
      for (const shelf of shelves.values()) shelf.record?.(next);
    },
    leaveCache() {
      for (const shelf of shelves.values()) shelf.leaveCache?.();
    },
    idle() {
      for (const inodes of numbered) inodes.flush();
    },
    beginRun(run) {
      for (const shelf of shelves.values()) shelf.beginRun(run);
    },
    close() {
      for (const shelf of shelves.values()) shelf.close();
    },
  };
}

function servedOf(
  shelves: ReadonlyMap<string, Shelf>,
  { tree, ahead, inodes }: Newest,
): ServedMount {
  let hits = 0;
  let catalogHits = 0;
  for (const shelf of shelves.values()) {
    hits += shelf.hits ?? 0;
    catalogHits += shelf.catalogHits ?? 0;
  }
  return {
    hits,
    catalogHits,
    tree: tree.statistics,
    ahead: ahead.counts,
    profile: ahead.profile,
    inodes: inodes?.status,
  };
}

/** Files of one object only: chunks lie in as many files of the cache. */
function backingOf(tree: Tree, shelf: Shelf, node: NodeId): number | undefined {
  const entry = tree.entry(node);
  if (entry.kind !== 'done') return undefined;
  const pieces = wantsForRange(tree, entry.value, 0, entry.value.size);
  if (pieces.kind !== 'done' || pieces.value.length !== 1) return undefined;
  const [piece] = pieces.value;
  return piece === undefined ? undefined : shelf.descriptor(piece.want);
}
