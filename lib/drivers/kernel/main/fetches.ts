import { errno } from '../../../format/errno.js';
import { asPinfsError, type PinfsError } from '../../../format/errors.js';
import { beginWait, renewWait, type WaitLimits, type Wait } from '../../../source/wait.js';
import { failureOf } from '../../../store/run.js';
import type { RecentUses } from '../../../store/shelf.js';
import type { Store } from '../../../store/store.js';
import { openUnderWay } from '../../../store/under-way.js';
import type { Want } from '../../../store/want.js';
import type { Trouble } from '../worker/held.js';

/** The fetches that requests of the worker wait for. */
export interface Fetches {
  /** @param uses since the last one: room may be needed. */
  readonly miss: (key: string, want: Want, ahead: readonly Want[], uses?: RecentUses) => void;
  /** Nobody waits for these. */
  readonly ahead: (wants: readonly Want[]) => void;
  /** One more waits. */
  readonly joined: (key: string) => void;
  /** Nobody waits any more. */
  readonly drop: (key: string) => void;
  readonly stop: () => void;
}

export interface FetchAnswers {
  readonly have: (key: string) => void;
  readonly fail: (key: string, errno: number, error: PinfsError) => void;
  readonly news: (key: string, bytes: number, trouble: Trouble | undefined) => void;
}

interface Fetch {
  readonly controller: AbortController;
  readonly wait: Wait;
}

/**
 * A fetch outlives requests that were interrupted, since others may wait in the kernel for the same page,
 * by one deadline at most. Each request has a wait of its own in the worker; here the last one counts.
 */
export function openFetches(
  store: Pick<Store, 'fetch' | 'fetchAhead' | 'noteUses'>,
  limits: WaitLimits,
  answers: FetchAnswers,
): Fetches {
  // By the key of the worker; each joins the flight of the store, which may have others waiting.
  const flights = openUnderWay<Fetch>();
  const fly = async (key: string, want: Want, fetch: Fetch): Promise<void> => {
    // Once dropped, its end is nobody's business: another flight may have this key by now.
    const isOurs = (): boolean => flights.isCurrent(key, fetch);
    try {
      await store.fetch(want, fetch.controller.signal, {
        readElsewhere: true,
        wait: fetch.wait,
        heard: (bytes, error) => {
          if (isOurs()) answers.news(key, bytes, error && troubleOf(error));
        },
      });
      if (isOurs()) answers.have(key);
    } catch (thrown) {
      const error = asPinfsError(thrown);
      if (isOurs()) answers.fail(key, errnoOf(error), error);
    } finally {
      flights.end(key, fetch);
    }
  };
  return {
    miss(key, want, ahead, uses) {
      if (uses !== undefined) store.noteUses?.(uses);
      const now = performance.now();
      const known = flights.get(key);
      if (known === undefined) {
        const wait = beginWait(limits, now, want.size.bytes);
        const fetch = { controller: new AbortController(), wait };
        flights.begin(key, fetch);
        void fly(key, want, fetch);
      } else renewWait(known.wait, now);
      // Behind it: what is waited for goes first.
      if (ahead.length > 0) store.fetchAhead(ahead);
    },
    ahead(wants) {
      store.fetchAhead(wants);
    },
    joined(key) {
      const known = flights.get(key);
      if (known !== undefined) renewWait(known.wait, performance.now());
    },
    drop(key) {
      const fetch = flights.get(key);
      if (fetch === undefined) return;
      flights.end(key, fetch);
      fetch.controller.abort();
    },
    stop() {
      for (const { controller } of flights.endAll()) controller.abort();
    },
  };
}

function troubleOf(error: PinfsError): Trouble {
  const { code, message } = error;
  return { errno: errnoOf(error), error: { code, message } };
}

/** What a client sees when an object can't be had. Nobody interrupted him: he would ask again for ever. */
function errnoOf(error: PinfsError): number {
  return error.code === 'INTERRUPTED' ? errno.EIO : failureOf(error).errno;
}
