/** Objects by a number, the lowest first. Each is in it once at most. */
export interface Heap {
  readonly length: number;
  has(object: number): boolean;
  /** Puts it in, or gives it another number. O(log n). */
  set(object: number, key: number): void;
  /** -1: it is empty. */
  lowest(): number;
  keyOf(object: number): number;
  remove(object: number): void;
}

/** @param objects how many there are. */
export function openHeap(objects: number): Heap {
  const heap = new Int32Array(objects);
  const places = new Int32Array(objects).fill(-1);
  const keys = new Float64Array(objects);
  let length = 0;

  const at = (place: number): number => heap[place] ?? -1;
  const key = (object: number): number => keys[object] ?? Infinity;

  function put(object: number, place: number): void {
    heap[place] = object;
    places[object] = place;
  }

  function rise(object: number, from: number): number {
    let place = from;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (key(at(parent)) <= key(object)) break;
      put(at(parent), place);
      place = parent;
    }
    put(object, place);
    return place;
  }

  function sink(object: number, from: number): void {
    let place = from;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= length) break;
      if (child + 1 < length && key(at(child + 1)) < key(at(child))) child++;
      if (key(object) <= key(at(child))) break;
      put(at(child), place);
      place = child;
    }
    put(object, place);
  }

  return {
    get length() {
      return length;
    },
    has: (object) => (places[object] ?? -1) >= 0,
    set(object, value) {
      keys[object] = value;
      let place = places[object] ?? -1;
      if (place < 0) place = length++;
      sink(object, rise(object, place));
    },
    lowest: () => (length === 0 ? -1 : at(0)),
    keyOf: key,
    remove(object) {
      const place = places[object] ?? -1;
      if (place < 0) return;
      places[object] = -1;
      const last = at(--length);
      if (last !== object) sink(last, rise(last, place));
    },
  };
}
