import { PinfsError } from '../format/errors.js';
import type { StoreStatistics } from '../store/store.js';

/** Whether a walk over a tree goes on after what it met. */
export interface Patience {
  /**
   * Gives back what the walk can go on after: what is missing or damaged, and the failure of a source
   * that may still answer for the rest.
   * @throws what it can't go on after.
   */
  orEnd(thrown: unknown): PinfsError;
}

/** Each may take as long as all retries and timeouts of a request together. */
const mostInRow = 3;

/**
 * For one walk. A source that has failed several times, and has given nothing in between, would keep it
 * waiting at each object that is left; with `--offline` nobody waits, and all that is here is shown.
 */
export function openPatience(store: {
  readonly statistics: Pick<StoreStatistics, 'stored'>;
}): Patience {
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
      if (inRow < mostInRow) return thrown;
      throw new PinfsError(thrown.code, thrown.message, {
        advice: `The source has failed ${mostInRow} times in a row: it is asked for nothing more. With --offline, what is in the cache is shown.`,
        cause: thrown,
      });
    },
  };
}
