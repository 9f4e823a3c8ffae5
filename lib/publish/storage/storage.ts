import type { Readable } from 'node:stream';

/**
 * What a repository's files lie in: a directory, a bucket of S3. Paths are relative to its base URL (`data/ab/cdef…`,
 * `.cvmfspublished`). What begins with `.pinfs/` is its own, of no use to clients.
 */
export interface Storage {
  /** For messages; no credentials. */
  readonly name: string;
  /**
   * A directory on the disk of the storage for files that are under way to it. Whoever locks it next sweeps what others
   * left there. undefined: it lies on no disk of this machine.
   */
  readonly aside?: string | undefined;
  /** undefined: there is none. `limit` bounds the bytes. @throws PinfsError STORAGE_FAILED, OBJECT_TOO_LARGE */
  read(path: string, limit: number): Promise<FoundFile | undefined>;
  /** undefined: there is none. @throws PinfsError STORAGE_FAILED */
  stream(path: string): Promise<Readable | undefined>;
  has(path: string): Promise<boolean>;
  /**
   * Whole or not at all. What is no object (not below `data/`) is durable when this returns, and so are all objects that
   * were written before it: so objects are written before what names them. Only who holds the lock writes.
   * @param only `absent` writes no second time; a version replaces just that one.
   */
  write(path: string, content: NewContent, only?: WriteOnly): Promise<'written' | 'refused'>;
  /** Everything whose path begins with `prefix`, sorted within a folder; what is the storage's own is left out. */
  list(prefix: string): AsyncIterable<ListedFile>;
  remove(path: string): Promise<void>;
  /** One publisher at a time. @returns how to let others in. @throws PinfsError STORAGE_BUSY, STORAGE_UNSAFE */
  lock(): Promise<() => Promise<void>>;
  /** Where threads put objects themselves, from `aside`, with no way through `write`; undefined: they can't. */
  readonly folder?: ObjectFolder | undefined;
  close(): Promise<void>;
}

/** A directory of this machine in which objects lie under their paths. */
export interface ObjectFolder {
  readonly root: string;
  /** Before the first object is put there: the same promise for all. */
  begin(): Promise<void>;
  /** What a failure there is called. */
  failed(path: string, thrown: unknown): Error;
}

export interface FoundFile {
  readonly bytes: Buffer;
  /** Of these bytes; for `write`. */
  readonly version: string;
}

/** A file is the storage's from then on: it may be moved away. */
export type NewContent = Buffer | { readonly file: string; readonly size: number };

export type WriteOnly = 'absent' | { readonly version: string };

export interface ListedFile {
  readonly path: string;
  readonly size: number;
  readonly modified: Date;
}

/** Whether a path is that of an object, whose name says what its bytes are. */
export function isObjectPath(path: string): boolean {
  return path.startsWith('data/');
}

/** Folder of what is the storage's own. */
export const ownFolder = '.pinfs';
