import type { Filesystem } from '../filesystem/filesystem.js';
import type { LiveFacts } from '../filesystem/live-facts.js';
import type { SnapshotDescriptor } from '../filesystem/snapshot-descriptor.js';
import type { Done, Failure, Outcome } from '../store/want.js';
import type { WaitLimits } from '../source/wait.js';
import type { Traffic } from '../source/source.js';
import type { Store } from '../store/store.js';
import type { Tree } from '../tree/tree.js';
import type { InodeState } from './inodes/inode-state.js';
import type { Opening } from './open/opening.js';
import type { Verdict } from '../trust/verdict/verdict.js';

export interface RepositoryInodes {
  /** Those that this thread gave. */
  readonly state: InodeState;
  /** They were given to the whole snapshot before the first name was seen. */
  readonly whole: boolean;
}

/** One snapshot of a repository, opened, judged and readable with no FUSE. */
export interface Repository {
  readonly fqrn: string;
  /** That of the last judgement: `refresh` judges a head that did not move again. */
  readonly verdict: Verdict;
  readonly tree: Tree;
  /** What all its catalogs take at the least (bytes), as its root catalog says. */
  readonly catalogBytes: number;
  readonly filesystem: Filesystem;
  readonly descriptor: SnapshotDescriptor;
  /** Facts of this process for the magic attributes, for a filesystem built in another thread. */
  live(): LiveFacts;
  readonly store: Store;
  /** Inode numbers of 32 bits, if they are asked for. */
  readonly inodes: RepositoryInodes | undefined;
  /** How long a read waits. */
  readonly waitLimits: WaitLimits;
  /** What went over the wire for this repository. */
  readonly traffic: Traffic;
  /** The pin does not move; a head that is followed does, by `refresh`. */
  readonly pinned: boolean;
  /** Runs a synchronous operation of tree or filesystem, fetching what it misses, until it is done or has failed. */
  run<T>(operation: () => Outcome<T>, signal?: AbortSignal): Promise<Done<T> | Failure>;
  /** What it was opened from, or judged again with; for `refresh`. */
  readonly opening: Opening;
  /** Takes the verdict of a later judgement of the same snapshot. */
  judgedAgain(opening: Opening, verdict: Verdict): void;
  /** Closes this snapshot alone, when a newer one on the same store has taken over. */
  leave(): void;
  close(): Promise<void>;
}
