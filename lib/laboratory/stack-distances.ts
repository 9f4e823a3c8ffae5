import { openFenwick } from './fenwick.js';
import type { RequestSequence } from './requests.js';

/**
 * How large an LRU cache has to be for an access to be a hit, for one access after the other (Mattson et al., 1970):
 * the sizes of all objects that were used since this one was, and its own. O(log n) an access, by a Fenwick tree over
 * the order of last uses.
 */
export interface StackDistances {
  /** One access. @returns its distance; Infinity: the first of this object. */
  next(object: number, size: number): number;
}

/** @param objects how many numbers of objects to expect; there may be more. The size of an object must not change. */
export function openStackDistances(objects = 512): StackDistances {
  let sizes = new Float64Array(Math.max(512, objects));
  let placeOf = new Int32Array(sizes.length);
  // Each use takes a place behind the last one. When there is none left, the last uses move together.
  let tree = openFenwick(2 * sizes.length);
  let objectAt = new Int32Array(tree.places + 1).fill(-1);
  let lastPlace = 0;
  let total = 0;

  function moveTogether(): void {
    const kept = objectAt.subarray(1, lastPlace + 1).filter((object) => object >= 0);
    lastPlace = kept.length;
    if (tree.places !== 2 * sizes.length) {
      tree = openFenwick(2 * sizes.length);
      objectAt = new Int32Array(tree.places + 1);
    }
    objectAt.fill(-1);
    objectAt.set(kept, 1);
    kept.forEach((object, index) => (placeOf[object] = index + 1));
    tree.fill((place) => sizes[objectAt[place] ?? -1] ?? 0);
  }

  function grow(object: number): void {
    const [oldSizes, oldPlaces] = [sizes, placeOf];
    sizes = new Float64Array(Math.max(object + 1, 2 * sizes.length));
    sizes.set(oldSizes);
    placeOf = new Int32Array(sizes.length);
    placeOf.set(oldPlaces);
    moveTogether();
  }

  return {
    next(object, size) {
      if (object >= sizes.length) grow(object);
      if (lastPlace === tree.places) moveTogether();
      const before = placeOf[object] ?? 0;
      let distance = Infinity;
      if (before > 0) {
        distance = total - tree.sumTo(before) + size;
        tree.add(before, -size);
        objectAt[before] = -1;
      } else {
        total += size;
        sizes[object] = size;
      }
      lastPlace++;
      placeOf[object] = lastPlace;
      objectAt[lastPlace] = object;
      tree.add(lastPlace, size);
      return distance;
    },
  };
}

/** All distances of a sequence, in the unit of its sizes. */
export function stackDistances({ objects, sizes }: RequestSequence): Float64Array {
  const distances = openStackDistances(sizes.length);
  return Float64Array.from(objects, (object) => distances.next(object, sizes[object] ?? 0));
}
