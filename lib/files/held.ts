import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readlinkSync,
  realpathSync,
  statSync,
  type Stats,
} from 'node:fs';
import { isOurs, isTrusted } from './owners.js';
import { linkProblem, namesProblem, wayProblem } from './way.js';
import { errorCode } from '../format/errno.js';

/**
 * A directory that is ours alone, checked when it was opened and reached by its descriptor from then on:
 * whoever moves it, or puts another one in its place, changes nothing for us.
 */
export interface HeldDirectory {
  /** Where it was when it was opened, without links. */
  readonly path: string;
  /** Leads to it in every thread of this process: put it before the names in it. */
  readonly at: string;
  /**
   * Why it can't be relied on any more: removed, or in the reach of others. Its files can still be read
   * through `at`; but whoever takes paths without links, as SQLite does, may be led elsewhere.
   */
  problem(): string | undefined;
  /** Likewise; or where it is now. */
  look(): Look;
  close(): void;
}

/** Why a directory can't be relied on any more; or its path, without links, which nobody else can change. */
export type Look =
  | { readonly problem: string; readonly path?: undefined }
  | { readonly problem?: undefined; readonly path: string };

/** A directory that others have, or could have, a hand in. */
export class UnsafeDirectory extends Error {
  readonly advice: string | undefined;

  constructor(message: string, advice?: string) {
    super(message);
    this.name = 'UnsafeDirectory';
    this.advice = advice;
  }
}

/**
 * Likewise one that may be root's as well, to read from.
 * @throws UnsafeDirectory; errors of the file system.
 */
export function holdToRead(path: string): HeldDirectory {
  return hold(path, isTrusted);
}

/**
 * Opens a directory that has to be ours, writable by nobody else, and where nobody else can put another one in its place.
 * @throws UnsafeDirectory; errors of the file system.
 */
export function holdDirectory(path: string): HeldDirectory {
  return hold(path, isOurs);
}

function hold(path: string, mayOwn: (status: Stats) => boolean): HeldDirectory {
  const link = linkProblem(path);
  if (link !== undefined) throw new UnsafeDirectory(link);
  const real = realpathSync(path);
  const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
  const fd = openSync(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
  try {
    const own = ownProblem(fstatSync(fd), real, mayOwn);
    if (own !== undefined) throw own;
    const at = placeOf(fd, real);
    const way = wayProblem(at, real);
    if (way !== undefined) throw new UnsafeDirectory(`others could replace it: ${way}`);
    return heldDirectory(fd, at, real, mayOwn);
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
}

function heldDirectory(
  fd: number,
  at: string,
  real: string,
  mayOwn: (status: Stats) => boolean,
): HeldDirectory {
  let open = true;
  function look(): Look {
    try {
      const status = open ? fstatSync(fd) : undefined;
      if (status === undefined || status.nlink === 0) return { problem: 'it was removed' };
      // Some file systems count no links of directories: there is no way back to it by its path.
      const path = at === real ? real : readlinkSync(at);
      if (!isSame(statSync(path), status)) return { problem: 'it was replaced' };
      const problem = ownProblem(status, path, mayOwn)?.message ?? namesProblem(path);
      return problem === undefined ? { path } : { problem };
    } catch (thrown) {
      const isGone = errorCode(thrown) === 'ENOENT';
      return { problem: isGone ? 'it was removed' : `it can't be looked at (${String(thrown)})` };
    }
  }
  return {
    path: real,
    at,
    look,
    problem: () => look().problem,
    close() {
      if (open) closeSync(fd);
      open = false;
    },
  };
}

function ownProblem(
  status: Stats,
  path: string,
  mayOwn: (status: Stats) => boolean,
): UnsafeDirectory | undefined {
  if (!mayOwn(status)) {
    return new UnsafeDirectory(`it belongs to another user (uid ${status.uid})`);
  }
  if ((status.mode & 0o022) === 0) return undefined;
  return new UnsafeDirectory('others may write to it', `Run: chmod go-w ${path}`);
}

/** The path of a descriptor; where there is no /proc like that, the real one has to do. */
function placeOf(fd: number, real: string): string {
  const at = `/proc/self/fd/${fd}`;
  const found = statSync(at, { throwIfNoEntry: false });
  return found !== undefined && isSame(found, fstatSync(fd)) ? at : real;
}

function isSame(one: Stats, other: Stats): boolean {
  return one.ino === other.ino && one.dev === other.dev;
}
