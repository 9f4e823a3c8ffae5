import { charge } from '../../eviction/amounts.js';
import { fileShares } from '../../machine/file-budget.js';
import { openCommitter } from './committer.js';
import { Disk } from './disk.js';
import type { Target } from './keeper.js';
import {
  makeSpareDirectory,
  removeSpareDirectory,
  sweepSpareDirectories,
} from './spare-directory.js';

/**
 * A small cache beside a cache that can't store anything just now: its disk is full, it was removed or came into the
 * reach of others, or it can only be read. What is read goes through it, so that every reader gets its verified bytes.
 * It lies in memory or in the directory for temporary files, is made when it is first needed and removed when the
 * store is closed; one that a process left that died is removed by the next. All threads of the process see it:
 * `openShelf` of the cache looks into it as well (two-shelves.ts). What passed through it is counted by the keeper.
 */
export interface Spare {
  /** The place to write to; undefined: there is none on this machine. */
  place(): Target | undefined;
  /** The same, once it was needed. */
  readonly opened: Target | undefined;
  /** Whether an object of this size can pass through it. */
  mayFit(bytes: number): boolean;
  hold(key: string): void;
  release(key: string): void;
  close(): void;
}

// A large catalog, or some of the largest chunks that are usual.
const bytesMax = 256 * 1024 * 1024;
// It is there for a short time, and may have most of what is free.
const share = 7 / 8;

/** @param cache the directory of the cache that it stands in for. */
export function openSpare(cache: string): Spare {
  let opened: Target | undefined;
  let isClosed = false;
  const holds = new Map<string, number>();
  // Not now: whoever opens a cache wants to get on.
  setImmediate(sweepSpareDirectories).unref();

  function place(): Target | undefined {
    if (opened !== undefined || isClosed) return opened;
    const directory = makeSpareDirectory(cache);
    if (directory === undefined) return undefined;
    try {
      const disk = new Disk(directory, bytesMax, {
        share,
        fileLimit: Math.ceil(fileShares().objects / 4),
      });
      opened = { disk, committer: openCommitter(disk) };
      for (const key of holds.keys()) disk.hold(key);
    } catch {
      removeSpareDirectory(directory);
    }
    return opened;
  }

  return {
    place,
    get opened() {
      return opened;
    },
    mayFit: (bytes) => charge(bytes) <= (place()?.disk.limit ?? 0),
    hold(key) {
      const count = holds.get(key) ?? 0;
      holds.set(key, count + 1);
      if (count === 0) opened?.disk.hold(key);
    },
    release(key) {
      const count = (holds.get(key) ?? 0) - 1;
      if (count > 0) holds.set(key, count);
      else if (holds.delete(key)) opened?.disk.release(key);
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      opened?.committer.close();
      opened?.disk.close();
      if (opened !== undefined) removeSpareDirectory(opened.disk.directory);
    },
  };
}
