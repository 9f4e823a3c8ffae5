import type { ContentHash } from '../format/hash.js';
import type { Profile } from '../profile/profile.js';
import type { Want } from '../store/want.js';
import type { TreeOptions } from '../tree/tree.js';

/** All that is needed to build the filesystem of a snapshot from a cache directory, in any thread. Plain data. */
export interface SnapshotDescriptor {
  readonly cacheDirectory: string;
  /** Leads the threads of this process to the directory that its store has checked and holds. */
  readonly cachePlace?: string | undefined;
  readonly root: Want;
  readonly tree: TreeOptions;
  readonly identity: Identity;
  /** Where the inode numbers of 32 bits are kept; undefined: they have their 63 bits. */
  readonly inodes?: InodePlace | undefined;
  /** What is fetched ahead, in which order; a hint. */
  readonly profile?: Profile | undefined;
}

export interface InodePlace {
  /** The state directory. */
  readonly directory: string;
  readonly fqrn: string;
  readonly rootHash: string;
}

/** Facts for the magic extended attributes. */
export interface Identity {
  readonly fqrn: string;
  readonly tag: string | undefined;
  /** What its owner says of the repository; undefined: no signed manifest is at hand, or it names none. */
  readonly metainfo?: ContentHash | undefined;
  readonly revision: number;
  readonly rootHash: string;
  /** The mount does not follow a head. */
  readonly pinned: boolean;
  readonly sourceLabel: string;
  /** Where external files lie, without credentials; undefined: nobody said. */
  readonly externalLabel?: string | undefined;
  /** Bits of inode numbers; undefined: 63. */
  readonly inodeBits?: 32 | undefined;
  /** JSON of the Verdict with which it was opened; the last one stands in the live facts. */
  readonly trust: string;
}
