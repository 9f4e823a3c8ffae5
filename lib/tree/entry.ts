import type { ByteString } from '../format/bytes.js';
import type { ContentHash, ObjectName } from '../format/hash.js';
import type { PinfsError } from '../format/errors.js';
import type { Compression } from '../store/want.js';

/**
 * Finds a row again: number of its catalog (in order of first use) times 2^32, plus its row id.
 * Good for the life of one Tree. A mount point is the row in the parent catalog.
 */
export type NodeId = number;

export type EntryType =
  'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

/** One row of a catalog, decoded and checked once (docs/format.md, 5.5 and 5.6). */
export interface Entry {
  readonly node: NodeId;
  /** Last component; empty for the root. */
  readonly name: ByteString;
  /** Visible path: `/a/b`, empty for the root. Below a bind mountpoint it begins with the mountpoint. */
  readonly path: ByteString;
  readonly type: EntryType;
  /** Complete st_mode, with the type bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** st_size: of a symlink the length of the expanded target, 0 for devices. */
  readonly size: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly nlink: number;
  /** Device number packed as glibc's st_rdev; 0 for what is no device. */
  readonly rdev: number;
  /** 63 bits; stable over remounts of the same snapshot (docs/format.md, 5.12). */
  readonly ino: bigint;
  /** Hard-link group within its catalog; 0 = none. Always 0 for directories. */
  readonly linkGroup: number;
  /** Of a symlink: the target as stored, and with its variables expanded. */
  readonly rawTarget: ByteString;
  readonly target: ByteString;
  /** Extended attributes as stored; undefined: none. */
  readonly xattrs: ReadonlyMap<ByteString, Buffer> | undefined;
  readonly content: Content | undefined;
  readonly hidden: boolean;
  readonly nestedMountpoint: boolean;
  readonly bindMountpoint: boolean;
  readonly directIo: boolean;
  /** The row is damaged: the entry is listed, and every operation on it ends with EIO and this reason. */
  readonly broken: PinfsError | undefined;
}

/** How the content of a regular file is stored. */
export interface Content {
  readonly algorithm: ContentHash['algorithm'];
  readonly compression: Compression;
  readonly external: boolean;
  readonly chunked: boolean;
  /** The whole file as one object; a chunked file may have it as well (legacy bulk object). */
  readonly hash: ContentHash | undefined;
  /** Of external files: the path inside their own snapshot, which is where the external source has them. */
  readonly externalPath?: ByteString;
}

export interface Chunk {
  readonly offset: number;
  readonly size: number;
  readonly object: ObjectName;
}
