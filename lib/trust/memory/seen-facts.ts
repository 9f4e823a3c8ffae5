import { createHash } from 'node:crypto';
import type { Verdict } from '../verdict/verdict.js';

/* What is remembered of repositories that were verified on this machine. */

/** The highest head of a repository that was verified on this machine. */
export interface SeenHead {
  readonly revision: number;
  /** Manifest T, seconds since 1970; 0 if it had none. */
  readonly published: number;
  readonly rootHash: string;
  /** Bytes of the inflated root catalog, if known. */
  readonly rootSize: number | undefined;
  readonly historyHash: string | undefined;
  readonly verdict: Verdict;
}

/** A tag that was resolved by a verified history. */
export interface SeenTag {
  readonly name: string;
  readonly rootHash: string;
  readonly revision: number;
  readonly rootSize: number | undefined;
  readonly verdict: Verdict;
}

/** What a head was verified with, and when. */
export interface SeenEvidence {
  readonly manifest: Buffer;
  readonly whitelist: Buffer;
  /** The object as stored. */
  readonly certificate: Buffer;
  /** The moment as of which it was judged good, ISO 8601. */
  readonly verifiedAt: string;
}

/**
 * Who vouched, and what was allowed for it. Each key scope has a memory of its own: what is believed by who
 * gives another key, or accepts more, neither blocks nor replaces what is believed by who does not.
 */
export function keyScope({ key, trustAtGiven, weakKeyAccepted }: Verdict): string {
  const facts = JSON.stringify([key?.sha256, trustAtGiven, weakKeyAccepted]);
  return createHash('sha256').update(facts).digest('hex').slice(0, 32);
}
