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

export function openOutcomes(): Outcomes {
  const outcomes = new Map<string, FetchOutcome>();
  const note = (key: string, outcome: FetchOutcome): void => {
    outcomes.delete(key);
    outcomes.set(key, outcome);
    const [oldest] = outcomes.keys();
    if (outcomes.size > outcomesMax && oldest !== undefined) outcomes.delete(oldest);
  };
  const now = (): string => new Date().toISOString();
  return {
    of: (key) => outcomes.get(key),
    begun: (key) => note(key, { state: 'fetching', since: now() }),
    came: (key) => void outcomes.delete(key),
    failed(key, { code, message }) {
      if (code === 'INTERRUPTED') outcomes.delete(key);
      else note(key, { state: 'failed', at: now(), code, message });
    },
  };
}
