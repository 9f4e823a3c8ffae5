import { LRUCache } from 'lru-cache';

/**
 * Failures that count for a while, by what failed: the one way in which the rooms remember them. Its clock is whatever
 * passes meanwhile: milliseconds for an object that is not asked for again yet, bytes stored for a source that is silent.
 */
export interface RecentFailures<F> {
  /** The failure that still counts. */
  recall(key: string, now: number): F | undefined;
  /** Counts from now on as long as `span` says; what was known of the key is forgotten. */
  remember(key: string, failure: F, span: number, now: number): void;
  /** The span that was given last, whether or not it is over. */
  lastSpan(key: string): number | undefined;
  forget(key: string): void;
}

const entriesMax = 4096;

/** The oldest are forgotten when there are too many. */
export function openRecentFailures<F>(): RecentFailures<F> {
  const entries = new LRUCache<
    string,
    { readonly failure: F; readonly until: number; readonly span: number }
  >({ max: entriesMax });
  return {
    recall(key, now) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      const left = entry.until - now;
      // A clock that was set back must not lengthen it.
      return left > 0 && left <= entry.span ? entry.failure : undefined;
    },
    remember: (key, failure, span, now) =>
      void entries.set(key, { failure, span, until: now + span }),
    lastSpan: (key) => entries.get(key)?.span,
    forget: (key) => void entries.delete(key),
  };
}
