/** Objects of which those with the lowest keys are asked for from time to time, many at once. */
export interface Lowest {
  readonly count: number;
  has(object: number): boolean;
  add(object: number): void;
  remove(object: number): void;
  /** The lowest behind a key (and of one key, behind an object), in order. O(n). */
  lowest(
    keyOf: (object: number) => number,
    behind: { readonly rank: number; readonly id: number },
    most: number,
  ): { readonly id: number; readonly key: number }[];
}

/** @param objects how many there are. */
export function openLowest(objects: number): Lowest {
  const list = new Int32Array(objects);
  const places = new Int32Array(objects).fill(-1);
  let count = 0;
  return {
    get count() {
      return count;
    },
    has: (object) => (places[object] ?? -1) >= 0,
    add(object) {
      places[object] = count;
      list[count++] = object;
    },
    remove(object) {
      const place = places[object] ?? -1;
      const last = list[--count] ?? 0;
      list[place] = last;
      places[last] = place;
      places[object] = -1;
    },
    lowest(keyOf, behind, most) {
      const there = list.subarray(0, count);
      const keys = Float64Array.from(there, keyOf);
      // What is behind: usually all.
      const isBehind = (key: number, id: number): boolean =>
        key > behind.rank || (key === behind.rank && id > behind.id);
      const found: { id: number; key: number }[] = [];
      const highest = nthLowest(
        behind.rank === -Infinity ? keys.slice() : keys.filter((key) => key >= behind.rank),
        most + 1,
      );
      keys.forEach((key, index) => {
        const id = there[index] ?? 0;
        if (key <= highest && isBehind(key, id)) found.push({ id, key });
      });
      found.sort((one, other) => one.key - other.key || one.id - other.id);
      return found.slice(0, most);
    },
  };
}

/** The nth lowest number, from 1 (Hoare's selection; changes their order); of fewer, the highest possible. */
function nthLowest(numbers: Float64Array, nth: number): number {
  if (nth >= numbers.length) return Infinity;
  let low = 0;
  let high = numbers.length - 1;
  const wanted = nth - 1;
  while (low < high) {
    const pivot = numbers[(low + high) >> 1] ?? 0;
    let [left, right] = [low, high];
    while (left <= right) {
      while ((numbers[left] ?? 0) < pivot) left++;
      while ((numbers[right] ?? 0) > pivot) right--;
      if (left > right) break;
      const moved = numbers[left] ?? 0;
      numbers[left++] = numbers[right] ?? 0;
      numbers[right--] = moved;
    }
    if (wanted <= right) high = right;
    else if (wanted >= left) low = left;
    else break;
  }
  return numbers[wanted] ?? Infinity;
}
