import type { ByteString } from '../format/bytes.js';
import type { Outcome } from '../store/want.js';
import type { Entry, NodeId } from '../tree/entry.js';

/**
 * POSIX answers over a tree, for any driver. All operations are synchronous and give an Outcome;
 * none has a side effect that a second run could show.
 */
export interface Filesystem {
  readonly root: NodeId;
  lookup(directory: NodeId, name: ByteString): Outcome<Entry>;
  getattr(node: NodeId): Outcome<Entry>;
  readlink(node: NodeId): Outcome<ByteString>;
  /** `.` and `..` come first (cookies 1 and 2), then the entries. */
  readdir(node: NodeId, after: number, limit: number): Outcome<DirectoryPage>;
  /** Checks that a file may be opened for reading: EISDIR, EIO of a broken row; EROFS for any flag that writes. */
  open(node: NodeId, flags: number): Outcome<Entry>;
  /** Reads up to `length` bytes; value: the number read, short only at the end of the file. */
  read(
    node: NodeId,
    offset: number,
    length: number,
    target: Buffer,
    targetOffset: number,
  ): Outcome<number>;
  getxattr(node: NodeId, name: ByteString): Outcome<Buffer>;
  listxattr(node: NodeId): Outcome<readonly ByteString[]>;
  /** Never waits for anything. */
  statfs(): StatFs;
  /** For path-based drivers: walks from the root; symlinks are not followed. */
  resolve(path: ByteString): Outcome<Entry>;
}

export interface DirectoryPage {
  readonly names: readonly ByteString[];
  readonly attributes: readonly Entry[];
  readonly cookies: readonly number[];
  readonly end: boolean;
}

export interface StatFs {
  readonly blockSize: number;
  readonly blocks: number;
  readonly blocksFree: number;
  readonly files: number;
  readonly filesFree: number;
  readonly nameMax: number;
}
