import type { PinfsError } from '../format/errors.js';

/** What became of the last fetch of an object that is not here. Times are ISO 8601 UTC. */
export type FetchOutcome =
  | { readonly state: 'fetching'; readonly since: string }
  | {
      readonly state: 'failed';
      readonly at: string;
      readonly code: string;
      readonly message: string;
    };

export interface Outcomes {
  of(key: string): FetchOutcome | undefined;
  begun(key: string): void;
  came(key: string): void;
  failed(key: string, error: PinfsError): void;
}

// The oldest are forgotten.
const outcomesMax = 1024;

/** As it is kept: most are gone before anybody asks. */
interface Noted {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** undefined: it is under way. */
  readonly error: { readonly code: string; readonly message: string } | undefined;
}

export function openOutcomes(): Outcomes {
  const outcomes = new Map<string, Noted>();
  const note = (key: string, error: Noted['error']): void => {
    outcomes.delete(key);
    outcomes.set(key, { time: Date.now(), error });
    if (outcomes.size <= outcomesMax) return;
    const [oldest] = outcomes.keys();
    if (oldest !== undefined) outcomes.delete(oldest);
  };
  return {
    of(key) {
      const noted = outcomes.get(key);
      if (noted === undefined) return undefined;
      const time = new Date(noted.time).toISOString();
      if (noted.error === undefined) return { state: 'fetching', since: time };
      return { state: 'failed', at: time, ...noted.error };
    },
    begun: (key) => note(key, undefined),
    came: (key) => void outcomes.delete(key),
    failed(key, { code, message }) {
      if (code === 'INTERRUPTED') outcomes.delete(key);
      else note(key, { code, message });
    },
  };
}
