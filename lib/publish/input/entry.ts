import type { ByteString } from '../../format/bytes.js';
import type { PinfsError } from '../../format/errors.js';
import type { StoredContent } from '../objects/content.js';
import type { InputAmount } from './amount.js';

/** One entry of a tree that is to be published, with its content stored. */
export interface InputEntry {
  /** From the root of what was given: '' is the root itself, then '/a', '/a/b'. */
  readonly path: ByteString;
  readonly type: 'directory' | 'file' | 'symlink' | 'fifo' | 'socket' | 'character' | 'block';
  /** Permission bits, with set-uid, set-gid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970, and nanoseconds above them. */
  readonly mtime: number;
  readonly mtimeNs: number;
  /** Of a file its bytes, of a directory what its file system says (4096 from an archive), of a link its target's length, else 0. */
  readonly size: number;
  /** Device number of a device as glibc packs it; else 0. */
  readonly rdev: number;
  /** What a link leads to. */
  readonly target?: ByteString;
  readonly xattrs?: ReadonlyMap<ByteString, Buffer>;
  /** Names of attributes that no catalog can hold, in order; people are to be told. */
  readonly leftOut?: readonly ByteString[];
  /** The same text for all names of one file (hard links); undefined where it has one name. */
  readonly linkKey?: string;
  /** The content of a file; undefined where there is a `problem`. */
  readonly stored?: StoredContent;
  /** The content is as it was when the state was kept; it was not read. */
  readonly isKnown?: boolean;
  /**
   * A directory: all at and below it is as it was in the revision that is there now, and this is all that is told of it.
   * It has so many entries, and bytes of content.
   */
  readonly unchanged?: InputAmount;
  /** The entry could not be read: it is to be left as it was before. */
  readonly problem?: PinfsError;
}

/** Attributes of an entry, and the names of those that no catalog can hold (docs/format.md, 5.9). */
export function fittingXattrs(
  all: ReadonlyMap<ByteString, Buffer>,
): Pick<InputEntry, 'xattrs' | 'leftOut'> {
  const names = [...all.keys()].sort();
  const fit = names
    .filter((name) => name !== '' && name.length <= 255 && (all.get(name)?.length ?? 0) <= 255)
    .slice(0, 255);
  const kept = new Set(fit);
  const leftOut = names.filter((name) => !kept.has(name));
  return {
    // The archive's piece that a value lies in need not be kept.
    ...(fit.length === 0
      ? {}
      : { xattrs: new Map(fit.map((name) => [name, Buffer.from(all.get(name) ?? [])])) }),
    ...(leftOut.length === 0 ? {} : { leftOut }),
  };
}
