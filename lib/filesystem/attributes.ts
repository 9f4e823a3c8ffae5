import { errno } from '../format/errno.js';
import { done, type Outcome, failure } from '../store/want.js';
import type { Entry } from '../tree/entry.js';

/** st_blksize of everything (docs/format.md, 5.6). */
export const blockBytes = 4096;

/** st_blocks of an entry, counted as the reference does (docs/format.md, 5.6). */
export function blocksOf({ size }: Pick<Entry, 'size'>): number {
  return 1 + Math.floor(size / 512);
}

/** The entry, unless its row is damaged: then EIO with the reason. */
export function sound(entry: Entry): Outcome<Entry> {
  return entry.broken === undefined ? done(entry) : failure(errno.EIO, entry.broken);
}
