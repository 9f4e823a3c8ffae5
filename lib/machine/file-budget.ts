import { PinfsError } from '../format/errors.js';
import { faultBehind } from './descriptors.js';
import { softLimit } from './limits.js';

/**
 * Descriptors of this process, of which there are as many as the limit says (Node raises the soft one to the
 * hard one when it starts). What stays open for later, as it is likely to be asked for again, gets a share;
 * where they run out nevertheless, it is given back.
 */
export interface FileShares {
  /** Objects that a thread keeps open. */
  readonly objects: number;
  /** Catalogs that a tree keeps open. */
  readonly catalogs: number;
}

/** Node, its threads, connections, records, the device, and what is being written: measured, with a third more. */
const otherFilesCount = 120;

/** More than these would not make it faster. */
const most: FileShares = { objects: 96, catalogs: 100 };
const least: FileShares = { objects: 8, catalogs: 6 };

/** Below it a mount has not enough for a few readers at once. */
export const mountFilesMin = 192;

/** Two threads of a process have objects and catalogs open. */
export function fileShares(limit = softLimit('Max open files')): FileShares {
  if (limit === undefined) return most;
  const each = Math.max(0, limit - otherFilesCount) / 2;
  const share = (kind: keyof FileShares, part: number): number =>
    Math.max(least[kind], Math.min(most[kind], Math.floor(each * part)));
  return { objects: share('objects', 0.6), catalogs: share('catalogs', 0.4) };
}

/** @throws PinfsError FILES_EXHAUSTED if a mount would run out of descriptors. */
export function checkFileLimit(limit = softLimit('Max open files')): void {
  if (limit === undefined || limit >= mountFilesMin) return;
  throw new PinfsError(
    'FILES_EXHAUSTED',
    `this process may open ${limit} files, and a mount needs ${mountFilesMin}`,
    { advice: 'Raise the limit: ulimit -n 1024, or LimitNOFILE= of the service.' },
  );
}

/** Those of this thread that keep files open: each closes some of them, and says whether it had any. */
const givers = new Set<() => boolean>();

/** Registers one that keeps files open. @returns how it is forgotten again. */
export function givesBackFiles(give: () => boolean): () => void {
  givers.add(give);
  return () => void givers.delete(give);
}

/** Has everyone in this thread close some of what is open for later. @returns whether there was anything. */
export function takeBackFiles(): boolean {
  let any = false;
  for (const give of givers) any = give() || any;
  return any;
}

/** Opens something; where there is no descriptor, with one that was given back. @throws what `open` throws. */
export function withFiles<T>(open: () => T): T {
  for (;;) {
    try {
      return open();
    } catch (thrown) {
      if (faultBehind(thrown)?.code !== 'FILES_EXHAUSTED' || !takeBackFiles()) throw thrown;
    }
  }
}
