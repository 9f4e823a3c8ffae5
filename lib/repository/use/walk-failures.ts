import { PinfsError } from '../../format/errors.js';
import { runOperation } from '../../store/run.js';
import type { Store, StoreStatistics } from '../../store/store.js';
import type { Repository } from '../repository.js';

/** Whether a walk over a tree goes on after what it met. */
export interface WalkFailures {
  /**
   * Gives back what the walk can go on after: what is missing or damaged, and the failure of a source
   * that may still answer for the rest.
   * @throws what it can't go on after.
   */
  orEnd(thrown: unknown): PinfsError;
}

/** Each may take as long as all retries and timeouts of a request together. */
const failuresInRowMax = 3;

/**
 * For one walk. A source that has failed several times, and has given nothing in between, would keep it
 * waiting at each object that is left; with `--offline` nobody waits, and all that is here is shown.
 */
export function openWalkFailures(store: {
  readonly statistics: Pick<StoreStatistics, 'stored'>;
}): WalkFailures {
  let inRow = 0;
  let storedBefore = store.statistics.stored;
  return {
    orEnd(thrown) {
      if (!(thrown instanceof PinfsError)) throw thrown;
      if (thrown.exit === 5 || thrown.code === 'SOURCE_OFFLINE') return thrown;
      if (thrown.exit !== 4) throw thrown;
      const { stored } = store.statistics;
      inRow = stored === storedBefore ? inRow + 1 : 1;
      storedBefore = stored;
      if (inRow < failuresInRowMax) return thrown;
      throw new PinfsError(thrown.code, thrown.message, {
        advice: `The source has failed ${failuresInRowMax} times in a row: it is asked for nothing more. With --offline, what is in the cache is shown.`,
        cause: thrown,
      });
    },
  };
}

/**
 * Runs operations of one repository with no mount. A source that has not answered for a whole deadline is
 * asked a few times only, as at the opening, until it has given something again: a walk would wait a
 * deadline for each object that is left. Readers of a mount wait each for himself.
 */
export function openRun(store: Store, usual: AbortSignal): Repository['run'] {
  /** Bytes that had been stored when the source was given up. */
  let storedWhenGone: number | undefined;
  return async (operation, signal = usual) => {
    const brief = store.statistics.stored === storedWhenGone;
    const outcome = await runOperation(operation, store, { signal, brief });
    const isGone = outcome.kind === 'failure' && outcome.error?.passing === true;
    if (isGone) storedWhenGone = store.statistics.stored;
    return outcome;
  };
}
