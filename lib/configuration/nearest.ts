/** The one of `names` that a name with a typing error means; undefined where none is near. */
export function nearestName(name: string, names: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  // One error in four letters, three at most.
  let least = Math.min(3, Math.floor(name.length / 4)) + 1;
  for (const other of names) {
    if (Math.abs(other.length - name.length) >= least) continue;
    const distance = editDistance(name, other);
    if (distance === 0 || distance >= least) continue;
    [nearest, least] = [other, distance];
  }
  return nearest;
}

/** How many letters have to be put in, taken out, changed, or swapped with the next one. */
function editDistance(left: string, right: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let row = 1; row <= left.length; row += 1) {
    const here = [row];
    for (let column = 1; column <= right.length; column += 1) {
      const isSame = left[row - 1] === right[column - 1];
      const isSwapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1];
      const none = Infinity;
      here.push(
        Math.min(
          (last[column] ?? none) + 1,
          (here[column - 1] ?? none) + 1,
          (last[column - 1] ?? none) + (isSame ? 0 : 1),
          isSwapped ? (beforeLast[column - 2] ?? none) + 1 : none,
        ),
      );
    }
    [beforeLast, last] = [last, here];
  }
  return last[right.length] ?? Infinity;
}
