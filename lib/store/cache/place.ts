import { holdDirectory, UnsafeDirectory, type HeldDirectory } from '../../files/held.js';
import { makeDirectories } from '../../files/make.js';
import { checkLayout, folderProblem, furnish, cacheUnusable } from './layout.js';

/**
 * Where a cache lies. The directory is checked when it is opened and held from then on, so that nobody who
 * moves it, or puts another one in its place, makes this process read, write or remove anything elsewhere. Where it
 * is lost (removed, or come into the reach of others), one that stands every check of the start is taken in its place;
 * until there is one the cache can't be written to (spare.ts).
 */
export interface Place {
  /** What people call it. */
  readonly directory: string;
  /** Leads to the directory that is held now: put it before a name in it. */
  readonly at: string;
  /** Where it was when it was looked at last, without links: what lies in it is looked at sooner by this than by `at`. */
  readonly path: string;
  /** Why the directory that is held can't be relied on any more; its files can still be read. */
  problem(): string | undefined;
  /**
   * Goes over to the directory that is in the place of ours now: made by need where `make` was asked for, else one
   * that whoever makes them has made. @returns why there is none.
   */
  renew(): Error | undefined;
  /**
   * Has something opened by its path, as only SQLite does, which follows links and forgets them: refuses what
   * was opened unless nobody could have led it elsewhere, before as well as after. @throws UnsafeDirectory
   */
  openSafely<T extends { close(): unknown }>(open: (at: string) => T): T;
  /** Counts as lost from now on, and is not renewed; its files can still be read. */
  giveUp(reason: string): void;
  close(): void;
}

export interface PlaceOptions {
  /** Whether the directory is made, or only opened where it is a cache already. */
  readonly make: boolean;
  /** Leads to the directory that another thread of this process holds. */
  readonly at?: string | undefined;
}

const leftMax = 16;

/** @throws PinfsError CACHE_UNUSABLE, CACHE_FULL. */
export function openPlace(directory: string, options: PlaceOptions): Place {
  const hold = options.make ? makeCache : holdCache;
  let held = orUnusable(directory, () => hold(options.at ?? directory));
  let givenUp: string | undefined;
  let { path } = held;
  function problem(): string | undefined {
    if (givenUp !== undefined) return givenUp;
    const found = held.look();
    if (found.path === undefined) return found.problem;
    ({ path } = found);
    return folderProblem(path);
  }

  // A number that was given back could lead another thread, which still has the path, to another directory.
  const left: HeldDirectory[] = [];
  function leave(directoryLeft: HeldDirectory): void {
    left.push(directoryLeft);
    if (left.length > leftMax) left.shift()?.close();
  }

  function renew(): Error | undefined {
    if (givenUp !== undefined) return new UnsafeDirectory(givenUp);
    try {
      const next = hold(directory);
      leave(held);
      held = next;
      ({ path } = held);
      return undefined;
    } catch (thrown) {
      return thrown instanceof Error ? thrown : new Error(String(thrown));
    }
  }

  return {
    directory,
    get at() {
      return held.at;
    },
    get path() {
      return path;
    },
    problem,
    renew,
    openSafely(open) {
      refuse(problem());
      const opened = open(held.at);
      const wrong = problem();
      if (wrong !== undefined) opened.close();
      refuse(wrong);
      return opened;
    },
    giveUp(reason) {
      givenUp = reason;
    },
    close() {
      for (const each of [...left, held]) each.close();
    },
  };
}

function refuse(problem: string | undefined): void {
  if (problem !== undefined) throw new UnsafeDirectory(problem);
}

function makeCache(path: string): HeldDirectory {
  makeDirectories(path);
  return checked(path, furnish);
}

function holdCache(path: string): HeldDirectory {
  return checked(path, (at) => {
    if (!checkLayout(at, path)) throw new UnsafeDirectory('it is no cache');
    refuse(folderProblem(at));
  });
}

function checked(path: string, check: (at: string, path: string) => void): HeldDirectory {
  const held = holdDirectory(path);
  try {
    check(held.at, path);
    return held;
  } catch (thrown) {
    held.close();
    throw thrown;
  }
}

function orUnusable<T>(directory: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    throw cacheUnusable(directory, thrown);
  }
}
