import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { accessSync, constants, lstatSync, statSync } from 'node:fs';
import { holdDirectory, holdToRead, UnsafeDirectory, type HeldDirectory } from '../files/held.js';
import { ownUser } from '../files/owners.js';
import { makeDirectories } from '../files/make.js';
import { checkLayout, errorCode, folderProblem, furnish, unusable } from './layout.js';

/**
 * Where a cache lies. The directory is checked when it is opened and held from then on, so that nobody who
 * moves it, or puts another one in its place, makes this process read, write or remove anything elsewhere. Where it
 * is lost (removed, or come into the reach of others), one that stands every check of the start is taken in its place,
 * or a spare one that is this process's own and goes with it: then what is fetched is not kept.
 */
export interface Place {
  /** What people call it. */
  readonly directory: string;
  /** Leads to the directory that is held now: put it before a name in it. */
  readonly at: string;
  /** Why what is fetched is not kept; undefined if it is. */
  readonly lost: string | undefined;
  /** Leads to a cache that can only be read, in whose place the spare one is used. */
  readonly lower: string | undefined;
  /** Why the directory that is held can't be relied on any more; its files can still be read. */
  problem(): string | undefined;
  /**
   * Goes over to another directory, if there is one: made by need where `make` was asked for, else one that
   * whoever makes them has made. @returns why there is none.
   */
  renew(): Error | undefined;
  /**
   * Has something opened by its path, as only SQLite does, which follows links and forgets them: refuses what
   * was opened unless nobody could have led it elsewhere, before as well as after. @throws UnsafeDirectory
   */
  openSafely<T extends { close(): unknown }>(open: (at: string) => T): T;
  close(): void;
}

/** What another thread of this process needs to reach the same place. Plain data. */
export interface PlaceNames {
  /** Leads to the directory that is held now. */
  readonly at: string;
  /** Path of the spare directory, which is known to nobody else. */
  readonly spare: string;
}

export interface PlaceOptions {
  /** Whether the directories are made, or only opened where they are caches already. */
  readonly make: boolean;
  /** Names of the place that another thread has opened. */
  readonly names?: Partial<PlaceNames> | undefined;
}

const leftMax = 16;

/** @throws PinfsError CACHE_UNUSABLE, CACHE_FULL. */
export function openPlace(directory: string, options: PlaceOptions): Place {
  const hold = options.make ? makeCache : holdCache;
  const { make, names = {} } = options;
  const lower =
    make && names.spare !== undefined
      ? orUnusable(directory, () => holdLower(directory))
      : undefined;
  const first = lower === undefined ? (names.at ?? directory) : (names.spare ?? directory);
  let held = orUnusable(directory, () => hold(first));
  let lost = lower === undefined ? undefined : `the cache ${directory} can only be read`;

  function problem(): string | undefined {
    const { spare } = names;
    // Whoever makes directories has gone over to it.
    const isLeft = !make && spare !== undefined && exists(spare) && !isSame(spare, held.at);
    return isLeft ? 'it was left' : (held.problem() ?? folderProblem(held.at));
  }

  // A number that was given back could lead another thread, which still has the path, to another directory.
  const left: HeldDirectory[] = [];
  function leave(directoryLeft: HeldDirectory): void {
    left.push(directoryLeft);
    if (left.length > leftMax) left.shift()?.close();
  }

  function renew(): Error | undefined {
    const spare = names.spare === undefined ? [] : [names.spare];
    let error: Error | undefined;
    for (const path of make ? [directory, ...spare] : [...spare, directory]) {
      try {
        const next = hold(path);
        leave(held);
        held = next;
        lost = path === directory ? undefined : (error?.message ?? 'it was lost');
        return undefined;
      } catch (thrown) {
        error ??= thrown instanceof Error ? thrown : new Error(String(thrown));
      }
    }
    return error;
  }

  return {
    directory,
    get at() {
      return held.at;
    },
    get lost() {
      return lost;
    },
    lower: lower?.at,
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
    close() {
      lower?.close();
      for (const each of [...left, held]) each.close();
    },
  };
}

function refuse(problem: string | undefined): void {
  if (problem !== undefined) throw new UnsafeDirectory(problem);
}

function isSame(one: string, other: string): boolean {
  const [found, held] = [one, other].map((path) => statSync(path, { throwIfNoEntry: false }));
  return found?.ino === held?.ino && found?.dev === held?.dev;
}

function exists(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}

function makeCache(path: string): HeldDirectory {
  makeDirectories(path);
  return checked(path, furnish);
}

/** A cache of ours or root's that we can't write to. */
function holdLower(path: string): HeldDirectory | undefined {
  try {
    accessSync(path, constants.W_OK);
    return undefined;
  } catch (thrown) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes(errorCode(thrown) ?? '')) return undefined;
  }
  const held = holdToRead(path);
  try {
    if (checkLayout(held.at, path)) return held;
  } catch {
    // Said by whoever tries to make it one.
  }
  held.close();
  return undefined;
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
    throw unusable(directory, thrown);
  }
}

/** A name that nobody can guess, since whoever makes it first could say what lies in it. */
export function spareDirectory(): string {
  return join(tmpdir(), `pinfs-spare-${ownUser() ?? 0}-${randomBytes(12).toString('hex')}`);
}
