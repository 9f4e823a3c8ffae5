import type { RequestSequence } from './requests.js';
import { openSample } from './sample.js';
import { atOnce, sliceAccesses, type Slices } from './slices.js';
import { openStackDistances } from './stack-distances.js';

/** What an LRU cache of each size would hit. */
export interface MissRatioCurve {
  readonly points: readonly CurvePoint[];
  readonly accesses: number;
  /** Plain bytes of all accesses, in the unit of the sizes. */
  readonly bytes: number;
  /** Different objects, and what they take together; of a sample, estimated. */
  readonly objects: number;
  readonly footprint: number;
  /** Share of the objects that were looked at; 1: all. */
  readonly rate: number;
  /** Of a sample: the standard error of the miss ratio, the mean over the curve, and where it is largest. */
  readonly error?: { readonly mean: number; readonly max: number };
}

export interface CurvePoint {
  /** Size of the cache, in the unit of the sizes. */
  readonly size: number;
  /** Share of the accesses that miss, 0 to 1; and of their bytes. */
  readonly missRatio: number;
  readonly byteMissRatio: number;
  /** Of a sample: the standard error of `missRatio`. */
  readonly error?: number;
}

/** Steps from one size to twice as much: sizes of the curve differ by 1.1 %. */
const stepsAnOctave = 64;
const octavesMax = 52;
const steps = stepsAnOctave * octavesMax;

/** Hits by the size of cache that they need, in steps. */
interface Histogram {
  /** The size rounds up: what a cache of that size hits, it hits for certain. */
  readonly hits: Float64Array;
  readonly hitBytes: Float64Array;
}

function openHistogram(): Histogram {
  return { hits: new Float64Array(steps), hitBytes: new Float64Array(steps) };
}

function stepOf(distance: number): number {
  return Math.min(steps - 1, Math.ceil(Math.log2(Math.max(1, distance)) * stepsAnOctave));
}

function sizeOf(step: number): number {
  return 2 ** (step / stepsAnOctave);
}

/**
 * The miss-ratio curve of LRU in one pass over all accesses, from stack distances; sizes round up by 1.1 % at most.
 * Objects that are larger than a cache are taken as if they went through it.
 */
export function missRatioCurve(requests: RequestSequence): MissRatioCurve {
  return atOnce(missRatioCurveInSlices(requests));
}

/** The same, told after each slice how many accesses were taken in it. */
export function* missRatioCurveInSlices(requests: RequestSequence): Slices<MissRatioCurve> {
  const { objects, sizes } = requests;
  const distances = openStackDistances(sizes.length);
  const histogram = openHistogram();
  const sum = { accesses: objects.length, bytes: 0, objects: 0, footprint: 0 };
  for (let index = 0; index < objects.length; index++) {
    if (index % sliceAccesses === sliceAccesses - 1) yield sliceAccesses;
    const object = objects[index] ?? 0;
    const size = sizes[object] ?? 0;
    sum.bytes += size;
    const distance = distances.next(object, size);
    if (distance === Infinity) {
      sum.objects++;
      sum.footprint += size;
    } else addHit(histogram, stepOf(distance), size);
  }
  return { ...sum, rate: 1, points: pointsOf(histogram, sum) };
}

function addHit({ hits, hitBytes }: Histogram, step: number, size: number): void {
  hits[step] = (hits[step] ?? 0) + 1;
  hitBytes[step] = (hitBytes[step] ?? 0) + size;
}

/** Only where something changes, from the smallest size that hits anything. */
function pointsOf(
  { hits, hitBytes }: Histogram,
  all: { readonly accesses: number; readonly bytes: number },
): CurvePoint[] {
  const points: CurvePoint[] = [{ size: 0, missRatio: 1, byteMissRatio: 1 }];
  let hitSum = 0;
  let byteSum = 0;
  for (let step = 0; step < steps; step++) {
    if (hits[step] === 0 && hitBytes[step] === 0) continue;
    hitSum += hits[step] ?? 0;
    byteSum += hitBytes[step] ?? 0;
    points.push({
      size: sizeOf(step),
      missRatio: ratio(all.accesses - hitSum, all.accesses),
      byteMissRatio: ratio(all.bytes - byteSum, all.bytes),
    });
  }
  return points;
}

function ratio(part: number, all: number): number {
  return all === 0 ? 0 : Math.min(1, Math.max(0, part / all));
}

// A sample is cut into so many, and what they differ by is its error.
const parts = 8;

/**
 * As `missRatioCurve`, from a sample of the objects (SHARDS, Waldspurger et al., FAST 2015: a fixed rate, and what the
 * sample has too few or too many of counts as hits of the smallest cache). Its error is what eight parts of the sample
 * differ by.
 * @param rate share of the objects, above 0 to 1.
 * @param seed another one draws other objects.
 */
export function sampledCurve(requests: RequestSequence, rate: number, seed = 1): MissRatioCurve {
  const sample = openSample(rate, seed);
  const { objects, sizes } = requests;
  const counts = { accesses: objects.length, bytes: 0, objects: 0, footprint: 0 };
  const whole = openEstimate(rate);
  const partial = Array.from({ length: parts }, () => openEstimate(rate / parts));
  // Most objects are not in it; their sizes still make the bytes of all accesses.
  for (const object of objects) {
    const size = sizes[object] ?? 0;
    counts.bytes += size;
    const part = sample(object);
    if (part < 0) continue;
    if (whole.add(object, size)) {
      counts.objects += 1 / rate;
      counts.footprint += size / rate;
    }
    partial[part & (parts - 1)]?.add(object, size);
  }
  const points = whole.points(counts);
  const errors = errorsAt(
    points,
    partial.map((estimate) => estimate.points(counts)),
  );
  return {
    ...counts,
    rate,
    points: points.map((point, index) => ({ ...point, error: errors[index] ?? 0 })),
    error: {
      mean: errors.reduce((sum, error) => sum + error, 0) / Math.max(1, errors.length),
      max: Math.max(0, ...errors),
    },
  };
}

/** One sample while it is drawn. */
function openEstimate(rate: number) {
  // What is sampled gets numbers of its own, so that the tree has only these.
  const numbers = new Map<number, number>();
  const distances = openStackDistances();
  const histogram = openHistogram();
  let accesses = 0;
  let bytes = 0;
  return {
    /** @returns whether it is the first access of this object. */
    add(object: number, size: number): boolean {
      accesses++;
      bytes += size;
      const known = numbers.get(object);
      const number = known ?? numbers.size;
      if (known === undefined) numbers.set(object, number);
      const distance = distances.next(number, size);
      if (distance !== Infinity) addHit(histogram, stepOf(distance / rate), size);
      return known === undefined;
    },
    points(all: { readonly accesses: number; readonly bytes: number }): CurvePoint[] {
      const expected = { accesses: all.accesses * rate, bytes: all.bytes * rate };
      const { hits, hitBytes } = histogram;
      const adjusted = { hits: hits.slice(), hitBytes: hitBytes.slice() };
      // SHARDS-adj: the difference goes to the smallest cache.
      adjusted.hits[0] = (adjusted.hits[0] ?? 0) + expected.accesses - accesses;
      adjusted.hitBytes[0] = (adjusted.hitBytes[0] ?? 0) + expected.bytes - bytes;
      return pointsOf(adjusted, expected);
    },
  };
}

/** The standard error at each size of a curve, from curves of its parts. */
function errorsAt(points: readonly CurvePoint[], curves: readonly CurvePoint[][]): number[] {
  return points.map(({ size }) => {
    const ratios = curves.map((curve) => missRatioAt(curve, size));
    const mean = ratios.reduce((sum, each) => sum + each, 0) / ratios.length;
    const variance =
      ratios.reduce((sum, each) => sum + (each - mean) ** 2, 0) / Math.max(1, ratios.length - 1);
    return Math.sqrt(variance / ratios.length);
  });
}

/** What a cache of this size misses, by the last point that it reaches. */
export function missRatioAt(points: readonly CurvePoint[], size: number): number {
  return pointAt(points, size)?.missRatio ?? 1;
}

/** The last point of a curve that a cache of this size reaches. */
export function pointAt(points: readonly CurvePoint[], size: number): CurvePoint | undefined {
  let low = 0;
  let high = points.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.size ?? Infinity) <= size) low = middle + 1;
    else high = middle;
  }
  return points[low - 1];
}
