import type { RequestSequence } from './requests.js';

/** One cache under one policy, while accesses are played to it. */
export interface CachePolicy {
  /**
   * One access. Behind it the object is there, unless it alone takes more than the whole cache (or, for `belady`, is not
   * worth its place).
   * @param index which access of the sequence it is.
   * @returns whether it was there.
   */
  access(object: number, index: number): boolean;
  has(object: number): boolean;
  /** What its objects take. */
  readonly used: number;
  /** Objects that had to go. */
  readonly evictions: number;
}

/**
 * Begins with an empty cache.
 * @param capacity what its objects may take together, in the unit of `requests.sizes`.
 */
export type OpenPolicy = (requests: RequestSequence, capacity: number) => CachePolicy;
