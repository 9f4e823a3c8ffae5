import { printable, type ByteString } from '../../format/bytes.js';
import { asPinfsError, type ErrorCode } from '../../format/errors.js';
import type { Store } from '../../store/store.js';
import { openWalkFailures } from './walk-failures.js';

/** Something in a snapshot that is missing, damaged or not reachable. */
export interface Problem {
  readonly path: string;
  readonly code: ErrorCode;
  readonly message: string;
}

/** What a walk that goes on after problems has met. */
export interface Problems {
  /** Why nothing more is asked for; undefined: the walk goes on. */
  readonly endedEarly: string | undefined;
  readonly add: (path: ByteString, thrown: unknown) => void;
  /** Ends the walk, for this reason. */
  endFor(reason: string): void;
  /** By path. */
  sorted(): Problem[];
}

/** For one walk. A source that answers no more ends it. */
export function openProblems(store: Pick<Store, 'statistics'>): Problems {
  const list: Problem[] = [];
  const failures = openWalkFailures(store);
  let endedEarly: string | undefined;
  return {
    get endedEarly() {
      return endedEarly;
    },
    add(path, thrown) {
      const error = asPinfsError(thrown);
      const shown = printable(path) || '/';
      const { code } = error;
      // Errors of the tree begin with the path.
      const prefix = `${shown}: `;
      const message = error.message.startsWith(prefix)
        ? error.message.slice(prefix.length)
        : error.message;
      list.push({ path: shown, code, message });
      if (error.exit !== 4) return;
      try {
        failures.orEnd(error);
      } catch (ending) {
        endedEarly ??= asPinfsError(ending).advice;
      }
    },
    endFor(reason) {
      endedEarly ??= reason;
    },
    sorted: () => list.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)),
  };
}
