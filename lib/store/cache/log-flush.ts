import { closeSync, fsync } from 'node:fs';
import { openOurs } from '../../files/regular.js';
import { withFiles } from '../../machine/file-budget.js';
import { logFile } from './records-file.js';

// Random keys dirty a page each, and a transaction a few more.
const pagesOfTransaction = 5;
// About a quarter of what lies in the log when SQLite brings it into the database by itself.
const pagesAtOnce = 1000;

type Sync = (fd: number, done: () => void) => void;

/**
 * Has the log of the records written to the disk by another thread while more is recorded. A checkpoint, which whoever
 * records has to wait for, waits until all of the log is there, else for a tenth of a second.
 */
export interface LogFlush {
  /** So many objects were recorded. */
  recorded(objects: number): void;
}

/** @param at leads to the cache directory that is held now. @param sync as fsync(2) of Node. */
export function openLogFlush(at: () => string, sync: Sync = fsync): LogFlush {
  let pages = 0;
  let isUnderWay = false;

  function flush(): void {
    const file = withFiles(() => openOurs(logFile(at())));
    // Removed with all of the cache, which is found out by who writes next.
    if (typeof file === 'string') return;
    isUnderWay = true;
    sync(file.fd, () => {
      isUnderWay = false;
      closeSync(file.fd);
    });
  }

  return {
    recorded(objects) {
      pages += objects + pagesOfTransaction;
      if (pages < pagesAtOnce || isUnderWay) return;
      pages = 0;
      try {
        flush();
      } catch {
        // SQLite does it by itself, and tells what is wrong.
      }
    },
  };
}
