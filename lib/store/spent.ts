/**
 * Milliseconds that fetched objects spent in each layer of the store. What goes on at once is added up, so that the
 * sum can be more than the time that passed.
 */
export interface StoreSpent {
  /** Waiting for a place on the line; of those that somebody waited for. */
  queue: number;
  /** From a request to the last byte of its answer. */
  network: number;
  inflate: number;
  /** Hashing what came, stored and plain. */
  verify: number;
  /** Written down, and recorded. Of large objects: unpacked and verified as well, in another thread. */
  store: number;
}

export function nothingSpent(): StoreSpent {
  return { queue: 0, network: 0, inflate: 0, verify: 0, store: 0 };
}

/** Runs something, and adds its time to a layer. */
export function spend<T>(spent: StoreSpent | undefined, layer: keyof StoreSpent, work: () => T): T {
  if (spent === undefined) return work();
  const begun = performance.now();
  try {
    return work();
  } finally {
    spent[layer] += performance.now() - begun;
  }
}

/** The same for what is waited for. */
export async function spendWaiting<T>(
  spent: StoreSpent,
  layer: keyof StoreSpent,
  work: () => Promise<T>,
): Promise<T> {
  const begun = performance.now();
  try {
    return await work();
  } finally {
    spent[layer] += performance.now() - begun;
  }
}
