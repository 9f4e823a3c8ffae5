import { PinfsError } from '../../format/errors.js';
import type { ChunkSizes } from './content.js';

// The rolling value depends on the last 32 bytes alone: each moves it by one bit.
const windowBytes = 32;
const magic = 0x7fffffff;

/** Finds where a file is cut into chunks, by its content, as the reference does. */
export interface CutFinder {
  /** The position of the next byte that it has to see: most bytes of a file it never looks at. */
  readonly wants: number;
  /**
   * Looks at bytes that begin at `wants`, which moves on.
   * @returns the position of the next cut; undefined where these bytes bring none. What is behind a cut is not looked at.
   */
  next(bytes: Uint8Array): number | undefined;
}

/** @param start where a chunk begins; cuts do not depend on what is before it. */
export function cutFinder(sizes: ChunkSizes, start = 0): CutFinder {
  const threshold = Math.floor(0xffffffff / sizes.average);
  let chunkStart = start;
  let value = 0;
  let position = start + sizes.min - windowBytes;
  const cutAt = (cut: number): number => {
    chunkStart = cut;
    value = 0;
    position = cut + sizes.min - windowBytes;
    return cut;
  };
  return {
    get wants() {
      return position;
    },
    next(bytes) {
      const first = position;
      const untested = Math.min(bytes.length, Math.max(0, chunkStart + sizes.min - first));
      let x = value;
      let index = 0;
      for (; index < untested; index++) x = (x << 1) ^ (bytes[index] ?? 0);
      const last = chunkStart + sizes.max;
      const end = Math.min(bytes.length, last - first);
      for (; index < end; index++) {
        x = (x << 1) ^ (bytes[index] ?? 0);
        const distance = (x - magic) | 0;
        // The absolute value of the smallest integer is negative in the reference's arithmetic.
        if ((distance < threshold && distance > -threshold) || distance === -0x80000000)
          return cutAt(first + index);
      }
      if (index < bytes.length) return cutAt(last);
      value = x;
      position = first + index;
      return undefined;
    },
  };
}

/** @throws PinfsError USAGE for sizes by which nothing can be cut */
export function checkChunkSizes({ min, average, max }: ChunkSizes): void {
  const isRight = [min, average, max].every(Number.isSafeInteger) && min >= windowBytes;
  if (isRight && min < average && average < max && max < 2 ** 31) return;
  throw new PinfsError('USAGE', `chunk sizes ${min}/${average}/${max} can't be`, {
    advice: `Give three sizes that grow, the first at least ${windowBytes} bytes, the last below 2 GiB.`,
  });
}

/** The cuts inside bytes that are all there. */
export function cutsOf(bytes: Uint8Array, sizes: ChunkSizes): number[] {
  const finder = cutFinder(sizes);
  const cuts: number[] = [];
  while (finder.wants < bytes.length) {
    const cut = finder.next(bytes.subarray(finder.wants));
    if (cut !== undefined) cuts.push(cut);
  }
  return cuts;
}
