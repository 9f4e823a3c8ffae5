import { PinfsError } from '../../format/errors.js';
import { openRecentFailures } from '../../store/recent-failures.js';
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
export function openWalkFailures(store: Stored): WalkFailures {
  const silence = openSilence(store);
  return {
    orEnd(thrown) {
      if (!(thrown instanceof PinfsError)) throw thrown;
      if (thrown.exit === 5 || thrown.code === 'SOURCE_OFFLINE') return thrown;
      if (thrown.exit !== 4) throw thrown;
      if (silence.failed() < failuresInRowMax) return thrown;
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
  const silence = openSilence(store);
  return async (operation, signal = usual) => {
    const brief = silence.failures > 0;
    const outcome = await runOperation(operation, store, { signal, brief });
    if (outcome.kind === 'failure' && outcome.error?.passing === true) silence.failed();
    return outcome;
  };
}

interface Stored {
  readonly statistics: Pick<StoreStatistics, 'stored'>;
}

/** How often a source has failed since it gave something last: a failure counts until a byte more is stored. */
function openSilence({ statistics }: Stored) {
  const failures = openRecentFailures<number>();
  const inRow = (): number => failures.recall('', statistics.stored) ?? 0;
  return {
    get failures() {
      return inRow();
    },
    failed(): number {
      const count = inRow() + 1;
      failures.remember('', count, 1, statistics.stored);
      return count;
    },
  };
}
