import type { AccessLog } from './recorded.js';
import type { Want } from './want.js';

/** When records of the cache (by id) were used last (µs, as `tick`). */
export type RecentUses = ReadonlyMap<number, number>;

/**
 * The reading side of the cache: what is on this machine, checked. Synchronous, and usable from any
 * thread: it is built from the cache directory alone. Seam: the disk, and ALWAYS_MISS in tests.
 */
export interface Shelf {
  /** Objects found so far, where that is counted. */
  readonly hits?: number;
  /** Those of them that were catalogs. */
  readonly catalogHits?: number;

  /**
   * Reads plain bytes of an object into `target` at `targetOffset`.
   * @returns the number of bytes read (short only at the object's end), or undefined if it isn't here.
   */
  read(
    want: Want,
    position: number,
    length: number,
    target: Buffer,
    targetOffset: number,
  ): number | undefined;

  /**
   * Path of the object's file, to be opened by SQLite; undefined if it isn't here, or lies in a segment. Whoever has
   * opened it asks `stillThere` before he reads.
   */
  path(want: Want): string | undefined;

  /** Whether paths that were given lead to what was checked, and to nothing that others could have put there. */
  stillThere?(): boolean;

  /**
   * A file descriptor of the object, owned by the shelf, good until the next call on the shelf; undefined if it isn't
   * here, or lies in a segment, where it has no file of its own.
   */
  descriptor(want: Want): number | undefined;

  /** Whether the object is here; counts as a use. */
  has(want: Want): boolean;

  /** Whether there is a record of it; whether it is right shows when it is opened. Neither a use nor a hit. */
  isRecorded?(want: Want): boolean;

  /**
   * Told that objects are wanted next, where that is counted: those that are not here yet, or (`isHere`) were
   * fetched for another thread just now, are no hits when they are first used. Undefined: it is looked after.
   */
  expect?(wants: readonly Want[], isHere?: boolean): void;

  /** Opens an object, if it is here, for a read that is expected; neither a use nor a hit. */
  prepare?(want: Want): void;

  /** A file is opened; `find` gives the object in which it begins, where somebody wants to know. */
  opened?(find: () => Want | undefined): void;

  /** Tells of each access from now on, or no more. */
  record?(log: AccessLog | undefined): void;

  /** Lets go of objects that were evicted by somebody else, so that their room is free. */
  letGo?(keys: readonly string[]): void;

  /** Uses since the last call, for the thread that evicts; who takes them sees to it that they are written down. */
  recentUses?(): RecentUses;

  /** Keeps nothing of the cache open to write: what it has passes through the spare from now on. */
  leaveCache?(): void;

  /** Marks the begin of one run of one operation (ALWAYS_MISS keeps a set for each). */
  beginRun(operation: object): void;

  close(): void;
}

/** The same shelf, which adds up how long its reads take (ms). */
export function timedShelf(shelf: Shelf, spent: { ms: number }): Shelf {
  return {
    get hits() {
      return shelf.hits ?? 0;
    },
    get catalogHits() {
      return shelf.catalogHits ?? 0;
    },
    read(want, position, length, target, targetOffset) {
      const begun = performance.now();
      const bytes = shelf.read(want, position, length, target, targetOffset);
      spent.ms += performance.now() - begun;
      return bytes;
    },
    path: (want) => shelf.path(want),
    stillThere: () => shelf.stillThere?.() ?? true,
    descriptor: (want) => shelf.descriptor(want),
    has: (want) => shelf.has(want),
    isRecorded: (want) => shelf.isRecorded?.(want) === true,
    expect: (wants, isHere) => shelf.expect?.(wants, isHere),
    prepare: (want) => shelf.prepare?.(want),
    opened: (find) => shelf.opened?.(find),
    record: (log) => shelf.record?.(log),
    letGo: (keys) => shelf.letGo?.(keys),
    recentUses: () => shelf.recentUses?.() ?? new Map<number, number>(),
    leaveCache: () => shelf.leaveCache?.(),
    beginRun: (operation) => {
      shelf.beginRun(operation);
    },
    close: () => {
      shelf.close();
    },
  };
}
