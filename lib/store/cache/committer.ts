import { PinfsError } from '../../format/errors.js';
import type { Demand } from '../../source/http/demand.js';
import { chargeOf, discard, type Prepared } from './commit.js';
import type { Disk } from './disk.js';

const commitsAtOnceMax = 64;
// What nobody waits for is recorded together with others: when there are so many, or after so long (ms).
const restingMax = 32;
const restMsMax = 4;

export interface Committer {
  /** @param demand whether somebody waits for it; without it somebody does. */
  add(prepared: Prepared, demand?: Pick<Demand, 'urgency' | 'watch'>): Promise<void>;
  /** Many that came together, as `add`. One error or none for each, in their order. */
  addAll(
    prepared: readonly Prepared[],
    demand?: Pick<Demand, 'urgency' | 'watch'>,
  ): Promise<readonly (Error | undefined)[]>;
  close(): void;
}

interface Resting {
  readonly prepared: Prepared;
  readonly settle: (error: Error | undefined) => void;
}

/**
 * Records what arrives in one turn of the event loop in one transaction, if it isn't too much: no
 * long work at once, and where the limit is tight whoever waits can open an object before the next come.
 */
export function openCommitter(disk: Disk): Committer {
  let batch: Resting[] = [];
  let soon: NodeJS.Immediate | undefined;
  let later: NodeJS.Timeout | undefined;

  function flushSoon(): void {
    soon ??= setImmediate(flush);
  }

  function flush(): void {
    soon = undefined;
    clearTimeout(later);
    later = undefined;
    let count = 0;
    let room = disk.limit / 4;
    for (const { prepared } of batch) {
      room -= chargeOf(prepared);
      if (count > 0 && (room < 0 || count >= commitsAtOnceMax)) break;
      count++;
    }
    const taken = batch.splice(0, count);
    if (taken.length === 0) return;
    if (batch.length > 0) flushSoon();
    const results = disk.commit(taken.map((each) => each.prepared));
    taken.forEach((each, index) => each.settle(results[index]));
  }

  async function addAll(
    prepared: readonly Prepared[],
    demand?: Pick<Demand, 'urgency' | 'watch'>,
  ): Promise<readonly (Error | undefined)[]> {
    if (prepared.length === 0) return [];
    const isAwaited = (): boolean => demand?.urgency !== 'ahead' && demand?.urgency !== 'held';
    const forget = demand?.watch(() => {
      if (isAwaited()) flushSoon();
    });
    try {
      return await new Promise((resolve) => {
        const results: (Error | undefined)[] = [];
        // They are settled in their order.
        const settle = (error: Error | undefined): void => {
          if (results.push(error) === prepared.length) resolve(results);
        };
        for (const each of prepared) batch.push({ prepared: each, settle });
        if (isAwaited() || batch.length >= restingMax) flushSoon();
        else later ??= setTimeout(flush, restMsMax);
      });
    } finally {
      forget?.();
    }
  }

  return {
    async add(prepared, demand): Promise<void> {
      const [error] = await addAll([prepared], demand);
      if (error !== undefined) throw error;
    },
    addAll,
    close(): void {
      clearImmediate(soon);
      clearTimeout(later);
      for (const { prepared, settle } of batch) {
        discard(prepared);
        settle(new PinfsError('INTERRUPTED', 'the cache was closed'));
      }
      batch = [];
    },
  };
}
