/** Index of the first id above `after` in ascending ids. */
export function firstAfter(ids: readonly number[], after: number): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] ?? Infinity) > after) high = middle;
    else low = middle + 1;
  }
  return low;
}
