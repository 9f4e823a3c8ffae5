import { errno } from '../../format/errno.js';
import { asPinfsError, type PinfsError } from '../../format/errors.js';
import { failureOf } from '../../store/run.js';
import type { Store } from '../../store/store.js';
import type { Want } from '../../store/want.js';

/** The fetches that requests of the worker wait for. */
export interface Fetches {
  readonly miss: (key: string, want: Want, ahead: readonly Want[]) => void;
  /** Nobody waits any more. */
  readonly drop: (key: string) => void;
  readonly stop: () => void;
}

export interface FetchAnswers {
  readonly have: (key: string) => void;
  readonly fail: (key: string, errno: number, error: PinfsError) => void;
}

// A fetch outlives the requests that began it, so that slow sources get on; but not for ever.
const longestFetch = 10;

/** `deadline`: of a request, in milliseconds. */
export function openFetches(
  store: Pick<Store, 'fetch' | 'fetchAhead'>,
  deadline: number,
  answers: FetchAnswers,
): Fetches {
  const flights = new Map<string, AbortController>();
  const fly = async (key: string, want: Want, controller: AbortController) => {
    const timer = setTimeout(() => {
      controller.abort();
    }, deadline * longestFetch);
    timer.unref();
    // Once dropped, its end is nobody's business: another flight may have this key by now.
    const isOurs = () => flights.get(key) === controller;
    try {
      await store.fetch(want, controller.signal);
      if (isOurs()) answers.have(key);
    } catch (thrown) {
      const error = asPinfsError(thrown);
      if (isOurs()) answers.fail(key, errnoOf(error), error);
    } finally {
      clearTimeout(timer);
      if (isOurs()) flights.delete(key);
    }
  };
  return {
    miss(key, want, ahead) {
      if (ahead.length > 0) store.fetchAhead(ahead);
      if (flights.has(key)) return;
      const controller = new AbortController();
      flights.set(key, controller);
      void fly(key, want, controller);
    },
    drop(key) {
      const controller = flights.get(key);
      flights.delete(key);
      controller?.abort();
    },
    stop() {
      const controllers = [...flights.values()];
      flights.clear();
      for (const controller of controllers) controller.abort();
    },
  };
}

/** What a client sees when an object can't be had. */
function errnoOf(error: PinfsError): number {
  return error.code === 'SOURCE_TIMEOUT' ? errno.ETIMEDOUT : failureOf(error).errno;
}
