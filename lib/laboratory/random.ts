/** Numbers in [0, 1) that depend on the seed alone: a linear congruential generator. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  const next = (): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
  // Small seeds that lie close together begin alike.
  for (let turn = 0; turn < 4; turn++) next();
  return next;
}

/** The same values in another order. */
export function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const order = values.map((value) => ({ value, key: random() }));
  return order.sort((a, b) => a.key - b.key).map(({ value }) => value);
}
