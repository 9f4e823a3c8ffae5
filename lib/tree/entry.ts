import type { ByteString } from '../format/bytes.js';
import type { CheckedRow } from '../format/catalog-row.js';
import type { ObjectName } from '../format/hash.js';
import type { PinfsError } from '../format/errors.js';

/**
 * Finds a row again: number of its catalog (in order of first use) times 2^32, plus its row id.
 * Good for the life of one Tree. A mount point is the row in the parent catalog.
 */
export type NodeId = number;

/** One row of a catalog, decoded and checked once (docs/format.md, 5.5 and 5.6), in its place in the tree. */
export interface Entry extends Omit<CheckedRow, 'fault'> {
  readonly node: NodeId;
  /** Last component; empty for the root. */
  readonly name: ByteString;
  /** Visible path: `/a/b`, empty for the root. Below a bind mountpoint it begins with the mountpoint. */
  readonly path: ByteString;
  /** 63 bits; stable over remounts of the same snapshot (docs/format.md, 5.12). */
  readonly ino: bigint;
  /** Of a symlink: the target with its variables expanded. */
  readonly target: ByteString;
  /** The row is damaged: the entry is listed, and every operation on it ends with EIO and this reason. */
  readonly broken: PinfsError | undefined;
}

export interface Chunk {
  readonly offset: number;
  readonly size: number;
  readonly object: ObjectName;
}
