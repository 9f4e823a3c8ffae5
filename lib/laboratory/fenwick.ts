/** Sums of numbers by place, each O(log n) (Fenwick 1994). Places begin at 1. */
export interface Fenwick {
  readonly places: number;
  add(place: number, amount: number): void;
  /** Of all up to this place. */
  sumTo(place: number): number;
  /** Begins anew with other numbers, in O(n). */
  fill(amounts: (place: number) => number): void;
}

export function openFenwick(places: number): Fenwick {
  const tree = new Float64Array(places + 1);
  return {
    places,
    add(place, amount) {
      for (let at = place; at <= places; at += at & -at) tree[at] = (tree[at] ?? 0) + amount;
    },
    sumTo(place) {
      let sum = 0;
      for (let at = place; at > 0; at -= at & -at) sum += tree[at] ?? 0;
      return sum;
    },
    fill(amounts) {
      for (let at = 1; at <= places; at++) tree[at] = amounts(at);
      // Each place hands its sum on to the one above it.
      for (let at = 1; at <= places; at++) {
        const above = at + (at & -at);
        if (above <= places) tree[above] = (tree[above] ?? 0) + (tree[at] ?? 0);
      }
    },
  };
}
