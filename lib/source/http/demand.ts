import type { PinfsError } from '../../format/errors.js';

/**
 * What is wanted of a transfer while it is under way. `wanted`: somebody waits for it. `ahead`: nobody does
 * yet. `held`: nobody does, and it has to leave the line to what is waited for.
 */
export type Urgency = 'wanted' | 'ahead' | 'held';

/** Between a source and those who wait for what it fetches; they may come and go meanwhile. */
export interface Demand {
  readonly urgency: Urgency;
  /** Failures that may pass are asked again until nobody waits any more; else a few times. */
  readonly persistent: boolean;
  /** Calls back when the urgency has changed; gives a function that ends that. */
  watch(changed: () => void): () => void;
  /** So many more bytes are here than ever before. */
  came(bytes: number): void;
  /** A try failed, and another one follows. */
  failed(error: PinfsError): void;
}
