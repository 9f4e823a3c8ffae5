import { PinfsError } from '../../format/errors.js';
import type { Prepared } from './commit.js';
import type { Disk } from './disk.js';
import { unlinkIfThere } from './object-files.js';
import { charge } from './records.js';

const commitsAtOnceMax = 64;

export interface Committer {
  add(prepared: Prepared): Promise<void>;
  close(): void;
}

/**
 * Records what arrives in one turn of the event loop in one transaction, if it isn't too much: no
 * long work at once, and where the limit is tight whoever waits can open an object before the next come.
 */
export function openCommitter(disk: Disk): Committer {
  let batch: { prepared: Prepared; settle: (error: PinfsError | undefined) => void }[] = [];

  function flush(): void {
    let count = 0;
    let room = disk.limit / 4;
    for (const { prepared } of batch) {
      room -= charge(prepared.size);
      if (count > 0 && (room < 0 || count >= commitsAtOnceMax)) break;
      count++;
    }
    const taken = batch.splice(0, count);
    if (taken.length === 0) return;
    if (batch.length > 0) setImmediate(flush);
    const results = disk.commit(taken.map((each) => each.prepared));
    taken.forEach((each, index) => each.settle(results[index]));
  }

  return {
    add(prepared: Prepared): Promise<void> {
      return new Promise((resolve, reject) => {
        const settle = (error: PinfsError | undefined): void =>
          error === undefined ? resolve() : reject(error);
        if (batch.push({ prepared, settle }) === 1) setImmediate(flush);
      });
    },
    close(): void {
      for (const { prepared, settle } of batch) {
        unlinkIfThere(prepared.temporary);
        settle(new PinfsError('INTERRUPTED', 'the cache was closed'));
      }
      batch = [];
    },
  };
}
