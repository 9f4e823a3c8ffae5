/**
 * Each policy once more, as plain as it can be told: lists, the oldest first, and no thought of speed. For tests of the
 * ones that are used.
 */

/** An access: whether it was a hit. */
export type Model = (object: number, index: number) => boolean;
export type OpenModel = (
  sizes: readonly number[],
  capacity: number,
  accesses: readonly number[],
) => Model;

const sum = (list: readonly number[], sizes: readonly number[]): number =>
  list.reduce((total, object) => total + (sizes[object] ?? 0), 0);

function without(list: readonly number[], object: number): number[] {
  return list.filter((each) => each !== object);
}

/** What all models have in common: hits, what never fits, and room made one by one. */
function model(
  list: () => readonly number[],
  sizes: readonly number[],
  capacity: number,
  parts: {
    hit?: (object: number, index: number) => void;
    evict: () => void;
    insert: (object: number, index: number) => void;
    before?: (object: number) => void;
  },
): Model {
  return (object, index) => {
    if (list().includes(object)) {
      parts.hit?.(object, index);
      return true;
    }
    const size = sizes[object] ?? 0;
    if (size > capacity) return false;
    parts.before?.(object);
    while (sum(list(), sizes) + size > capacity) parts.evict();
    parts.insert(object, index);
    return false;
  };
}

const lru: OpenModel = (sizes, capacity) => {
  let list: number[] = [];
  return model(() => list, sizes, capacity, {
    hit: (object) => (list = [...without(list, object), object]),
    evict: () => (list = list.slice(1)),
    insert: (object) => list.push(object),
  });
};

const fifo: OpenModel = (sizes, capacity) => {
  let list: number[] = [];
  return model(() => list, sizes, capacity, {
    evict: () => (list = list.slice(1)),
    insert: (object) => list.push(object),
  });
};

/** A ring that does not move, with a hand that does. */
const clock: OpenModel = (sizes, capacity) => {
  const ring: { object: number; used: boolean }[] = [];
  let hand = 0;
  return model(() => ring.map(({ object }) => object), sizes, capacity, {
    hit(object) {
      for (const each of ring) if (each.object === object) each.used = true;
    },
    evict() {
      for (;;) {
        if (hand >= ring.length) hand = 0;
        const under = ring[hand];
        if (under?.used !== true) break;
        under.used = false;
        hand++;
      }
      ring.splice(hand, 1);
    },
    // Behind the hand: it comes by there last.
    insert(object) {
      ring.splice(hand, 0, { object, used: false });
      hand++;
    },
  });
};

const sieve: OpenModel = (sizes, capacity) => {
  const list: { object: number; visited: boolean }[] = [];
  let hand: { object: number; visited: boolean } | undefined;
  return model(() => list.map(({ object }) => object), sizes, capacity, {
    hit(object) {
      for (const each of list) if (each.object === object) each.visited = true;
    },
    evict() {
      let at = hand === undefined ? 0 : list.indexOf(hand);
      while (list[at]?.visited === true) {
        const each = list[at];
        if (each !== undefined) each.visited = false;
        at = at + 1 < list.length ? at + 1 : 0;
      }
      hand = list[at + 1];
      list.splice(at, 1);
    },
    insert: (object) => list.push({ object, visited: false }),
  });
};

const s3fifo: OpenModel = (sizes, capacity) => {
  let small: number[] = [];
  let main: number[] = [];
  let ghost: number[] = [];
  const uses = new Map<number, number>();
  const usesOf = (object: number): number => uses.get(object) ?? 0;
  const evictMain = (): void => {
    while (main.length > 0) {
      const [object = -1, ...rest] = main;
      main = rest;
      if (usesOf(object) === 0) return;
      uses.set(object, usesOf(object) - 1);
      main.push(object);
    }
  };
  const evictSmall = (): void => {
    while (small.length > 0) {
      const [object = -1, ...rest] = small;
      small = rest;
      if (usesOf(object) > 1) {
        main.push(object);
        if (sum(main, sizes) > capacity - 0.1 * capacity) evictMain();
      } else {
        ghost.push(object);
        while (sum(ghost, sizes) > capacity - 0.1 * capacity) ghost = ghost.slice(1);
        return;
      }
    }
  };
  return model(() => [...small, ...main], sizes, capacity, {
    hit: (object) => uses.set(object, Math.min(3, usesOf(object) + 1)),
    evict() {
      if (main.length === 0 || (small.length > 0 && sum(small, sizes) >= 0.1 * capacity))
        evictSmall();
      else evictMain();
    },
    insert(object) {
      uses.set(object, 0);
      if (ghost.includes(object)) {
        ghost = without(ghost, object);
        main.push(object);
      } else small.push(object);
    },
  });
};

const lfu: OpenModel = (sizes, capacity) => {
  let list: { object: number; count: number; index: number }[] = [];
  return model(() => list.map(({ object }) => object), sizes, capacity, {
    hit(object, index) {
      list = list.map((each) =>
        each.object === object ? { object, count: each.count + 1, index } : each,
      );
    },
    evict() {
      list.sort((a, b) => a.count - b.count || a.index - b.index);
      list.shift();
    },
    insert: (object, index) => list.push({ object, count: 1, index }),
  });
};

/** By the four cases of the paper. */
const arc: OpenModel = (sizes, capacity) => {
  let t1: number[] = [];
  let t2: number[] = [];
  let b1: number[] = [];
  let b2: number[] = [];
  let p = 0;
  const all = (list: readonly number[]): number => sum(list, sizes);
  const replace = (inB2: boolean): void => {
    const isT1 = t1.length > 0 && (all(t1) > p || (inB2 && all(t1) === p) || t2.length === 0);
    const [object = -1] = isT1 ? t1 : t2;
    if (isT1) [t1, b1] = [t1.slice(1), [...b1, object]];
    else [t2, b2] = [t2.slice(1), [...b2, object]];
  };
  return (object) => {
    const size = sizes[object] ?? 0;
    const isFull = (): boolean => all(t1) + all(t2) + size > capacity;
    if (t1.includes(object) || t2.includes(object)) {
      t1 = without(t1, object);
      t2 = [...without(t2, object), object];
      return true;
    }
    if (size > capacity) return false;
    if (b1.includes(object)) {
      p = Math.min(capacity, p + Math.max(1, all(b2) / all(b1)) * size);
      b1 = without(b1, object);
      while (isFull()) replace(false);
      t2.push(object);
    } else if (b2.includes(object)) {
      p = Math.max(0, p - Math.max(1, all(b1) / all(b2)) * size);
      b2 = without(b2, object);
      while (isFull()) replace(true);
      t2.push(object);
    } else {
      while (all(t1) + all(b1) + size > capacity) {
        if (b1.length > 0) b1 = b1.slice(1);
        else t1 = t1.slice(1);
      }
      while (all([...t1, ...t2, ...b1, ...b2]) + size > 2 * capacity && b2.length > 0)
        b2 = b2.slice(1);
      while (isFull()) replace(false);
      t1.push(object);
    }
    return false;
  };
};

const twoQueues: OpenModel = (sizes, capacity) => {
  let a1in: number[] = [];
  let a1out: number[] = [];
  let am: number[] = [];
  let isKnown = false;
  return model(() => [...a1in, ...am], sizes, capacity, {
    hit(object) {
      if (am.includes(object)) am = [...without(am, object), object];
    },
    before(object) {
      isKnown = a1out.includes(object);
      a1out = without(a1out, object);
    },
    evict() {
      if (sum(a1in, sizes) > capacity / 4 || am.length === 0) {
        const [object = -1, ...rest] = a1in;
        a1in = rest;
        a1out.push(object);
        while (sum(a1out, sizes) > capacity / 2) a1out = a1out.slice(1);
      } else am = am.slice(1);
    },
    insert: (object) => (isKnown ? am : a1in).push(object),
  });
};

const belady: OpenModel = (sizes, capacity, accesses) => {
  let list: number[] = [];
  const next = (object: number, index: number): number => {
    const at = accesses.indexOf(object, index + 1);
    return at < 0 ? Infinity : at;
  };
  return (object, index) => {
    if (list.includes(object)) return true;
    if ((sizes[object] ?? 0) > capacity || next(object, index) === Infinity) return false;
    list.push(object);
    while (sum(list, sizes) > capacity) {
      // None is wanted for ever first, then the latest.
      const [last = -1] = list.toSorted((a, b) => (next(a, index) < next(b, index) ? 1 : -1));
      list = without(list, last);
    }
    return false;
  };
};

export const policyModels = {
  lru,
  fifo,
  clock,
  sieve,
  s3fifo,
  lfu,
  arc,
  '2q': twoQueues,
  belady,
} as const satisfies Readonly<Record<string, OpenModel>>;
