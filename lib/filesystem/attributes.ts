import { errno } from '../format/errno.js';
import { done, type Outcome, failure } from '../store/want.js';
import type { Entry } from '../tree/entry.js';
import type { Attributes } from './filesystem.js';

/** st_blksize of everything (docs/format.md, 5.6). */
export const blockBytes = 4096;

/**
 * Attributes of an entry. atime and ctime are mtime; st_blocks is counted as the reference does
 * (docs/format.md, 5.6).
 */
export function attributesOf(entry: Entry): Attributes {
  return {
    entry,
    node: entry.node,
    ino: entry.ino,
    mode: entry.mode,
    nlink: entry.nlink,
    uid: entry.uid,
    gid: entry.gid,
    rdev: entry.rdev,
    size: entry.size,
    blocks: 1 + Math.floor(entry.size / 512),
    mtime: entry.mtime,
    mtimeNs: entry.mtimeNs,
  };
}

/** The entry, unless its row is damaged: then EIO with the reason. */
export function sound(entry: Entry): Outcome<Entry> {
  return entry.broken === undefined ? done(entry) : failure(errno.EIO, entry.broken);
}
