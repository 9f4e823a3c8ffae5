/** The middle of some values, how far they spread, and the ends. */
export interface Quartiles {
  readonly count: number;
  readonly min: number;
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
  readonly max: number;
}

/** Quartiles of samples, between two neighbours in proportion; undefined: there are none. */
export function quartilesOf(values: readonly number[]): Quartiles | undefined {
  if (values.length === 0) return undefined;
  const sorted = Float64Array.from(values).sort();
  return {
    count: sorted.length,
    min: quantileOf(sorted, 0),
    lower: quantileOf(sorted, 0.25),
    median: quantileOf(sorted, 0.5),
    upper: quantileOf(sorted, 0.75),
    max: quantileOf(sorted, 1),
  };
}

/** The value below which a share of sorted values lies; NaN: there are none. */
export function quantileOf(sorted: Float64Array, share: number): number {
  const place = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(place)] ?? NaN, sorted[Math.ceil(place)] ?? NaN];
  return low + (high - low) * (place - Math.floor(place));
}
