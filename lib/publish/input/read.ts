import type { ObjectWriter } from '../objects/content.js';
import type { InputEntry } from './entry.js';

export interface InputOptions {
  readonly writer: ObjectWriter;
  /** Entries that can't be read are given with their `problem`, in place of an end. */
  readonly keepGoing?: boolean;
}

/**
 * The entries of a tree with their content stored, each directory before what is in it, names in the order of their
 * bytes. Content is stored ahead of what is asked for, so that all threads have work.
 * @param from a directory, an archive (tar, also packed by gzip, zstd or xz), or `-` for one from the standard input.
 */
export type ReadInput = (from: string, options: InputOptions) => AsyncIterable<InputEntry>;
