import type { RequestSequence } from './requests.js';

/**
 * Draws objects by a hash of their number: an object is always in a sample, or never.
 * @param rate share of all objects, above 0 to 1.
 * @returns a number from 0 that is even among those that are drawn; -1: it is not.
 */
export function openSample(rate: number, seed: number): (object: number) => number {
  const threshold = Math.max(1, Math.round(rate * 2 ** 24));
  return (object) => {
    const hash = mix(object ^ Math.imul(seed, 0x9e3779b1));
    // The lower bits say which part of the sample it is in.
    return hash >>> 8 < threshold ? hash & 0xff : -1;
  };
}

/** The end of MurmurHash3: each bit counts for each other. */
function mix(number: number): number {
  let hash = number;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/**
 * The accesses of a sample of the objects, for miniature simulations (Waldspurger et al., USENIX ATC 2017): a cache whose
 * size is scaled by the same rate behaves much as the whole one.
 */
export function sampledRequests(
  requests: RequestSequence,
  rate: number,
  seed = 1,
): RequestSequence {
  const sample = openSample(rate, seed);
  const isDrawn = (_: number, index: number): boolean => sample(requests.objects[index] ?? 0) >= 0;
  return {
    ...requests,
    times: requests.times.filter(isDrawn),
    objects: requests.objects.filter(isDrawn),
  };
}
