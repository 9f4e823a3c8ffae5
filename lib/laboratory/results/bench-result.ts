import { PinfsError } from '../../format/errors.js';
import { parseJson, strictDecoder, type SchemaLibrary } from '../../format/schema.js';

/*
 * What `pinfs bench` measured, as a file: raw samples, and all that has to be known to compare them with others.
 * A reader of another version refuses it by name, and what a stranger wrote is bounded before it is believed.
 */

/** Raised when a field changes its meaning. */
export const benchResultVersion = 1;

/** `mount`: with an empty cache; `remount`: with the cache of the first run. */
export const benchStates = ['mount', 'cold', 'hot', 'remount', 'warm'] as const;

export type BenchState = (typeof benchStates)[number];

/** The largest file that is read (bytes). */
export const benchResultBytesMax = 64 * 2 ** 20;

/** Most cases, and most samples of one state. */
const casesMax = 1000;
const samplesMax = 1000;

/** One measurement: a workload in one state of a mount, or the making of the mount. */
export interface BenchSample {
  /** The round it is of, from 0. */
  readonly round: number;
  readonly milliseconds: number;
  /** Of each of several clients that ran at once; one element where there was one. */
  readonly clientMilliseconds: readonly number[];
  /** Requests and bytes over the network. */
  readonly requests: number;
  readonly bytes: number;
  /** Objects that were found in the cache, and that were not. */
  readonly hits: number;
  readonly misses: number;
  /** Plain bytes that were stored, and objects that were evicted. */
  readonly stored: number;
  readonly evicted: number;
  readonly kernelRequests: number;
  /** Milliseconds in each layer, summed over what went on at once; empty: it was not measured. */
  readonly layers: Readonly<Record<string, number>>;
  /** By operation; empty: the driver does not measure it. */
  readonly latencies: Readonly<Record<string, OperationLatency>>;
}

/** How long the requests of one operation took (microseconds). */
export interface OperationLatency {
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
  /** Upper end of each class in microseconds, and how many fell into it. */
  readonly classes: readonly (readonly [microseconds: number, count: number])[];
}

/** What one combination of snapshot, driver, limit and clients gave. */
export interface BenchCase {
  /** For people, such as `kernel, limit 50M`; unique in a result. */
  readonly label: string;
  /** Without credentials, and without the pin. */
  readonly source: string;
  /** As it was given behind the `@`; null: the head. */
  readonly pin: string | null;
  readonly repository: string;
  readonly rootHash: string;
  readonly revision: number | null;
  readonly driver: string;
  /** Bytes; null: the usual limit. */
  readonly cacheLimit: number | null;
  /** How many ran the workload at once on one mount. */
  readonly clients: number;
  readonly samples: Readonly<Record<BenchState, readonly BenchSample[]>>;
  /** What replaying the recorded accesses under the same limit says; null: nothing was replayed. */
  readonly prediction: BenchPrediction | null;
}

/** A replayed prediction for a cold run. */
export interface BenchPrediction {
  readonly policy: string;
  readonly requests: number;
  readonly hits: number;
  /** Bytes that would be fetched, as they travel. */
  readonly fetchedBytes: number;
}

export interface BenchMachine {
  readonly name: string;
  readonly system: string;
  readonly kernel: string;
  readonly processor: string;
  readonly processors: number;
  /** Bytes. */
  readonly memory: number;
  readonly node: string;
  readonly pinfs: string;
}

export interface BenchResult {
  readonly format: 'pinfs-bench-result';
  readonly version: typeof benchResultVersion;
  /** ISO 8601 UTC. */
  readonly made: string;
  /** The command line as it can be given again, without credentials. */
  readonly command: readonly string[];
  readonly machine: BenchMachine;
  readonly workload: string;
  readonly repeats: number;
  /** Milliseconds that were added to each round trip; null: none. */
  readonly roundTripMs: number | null;
  /** Bytes a second of the line; null: as fast as it is. */
  readonly lineRate: number | null;
  /** Of the order in which the cases were played. */
  readonly seed: number;
  readonly cases: readonly BenchCase[];
}

/** The text of a result file. */
export function benchResultText(result: BenchResult): string {
  return `${JSON.stringify(result, null, 1)}\n`;
}

/**
 * A result from the bytes of a file.
 * @throws PinfsError RESULT_MALFORMED: it is none, of another version, or larger than is read.
 */
export function readBenchResult(bytes: Buffer): BenchResult {
  if (bytes.length > benchResultBytesMax) throw malformed('it is too large');
  const value = parseJson(bytes.toString('utf8'));
  const { version } = header(value);
  if (version !== benchResultVersion) {
    throw malformed(
      `it is of version ${version}, and this pinfs reads version ${benchResultVersion}`,
    );
  }
  return decode(value);
}

function malformed(what: string): PinfsError {
  return new PinfsError('RESULT_MALFORMED', `this is no result of pinfs bench: ${what}`, {
    advice: 'Give a file that `pinfs bench -o FILE` wrote with this version of pinfs.',
  });
}

const header = strictDecoder(
  (v) => v.object({ format: v.literal('pinfs-bench-result'), version: v.number() }),
  () => malformed('it does not begin as one'),
);

const decode: (value: unknown) => BenchResult = strictDecoder(resultSchema, malformed);

function resultSchema(v: SchemaLibrary) {
  const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
  const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
  const text = v.pipe(v.string(), v.maxLength(4096));
  const machine = v.object({
    name: text,
    system: text,
    kernel: text,
    processor: text,
    processors: count,
    memory: count,
    node: text,
    pinfs: text,
  });
  return v.object({
    format: v.literal('pinfs-bench-result'),
    version: v.literal(benchResultVersion),
    made: text,
    command: v.pipe(v.array(text), v.maxLength(1000)),
    machine,
    workload: text,
    repeats: count,
    roundTripMs: v.nullable(amount),
    lineRate: v.nullable(amount),
    seed: count,
    cases: v.pipe(v.array(caseSchema(v)), v.minLength(1), v.maxLength(casesMax)),
  });
}

function caseSchema(v: SchemaLibrary) {
  const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
  const text = v.pipe(v.string(), v.maxLength(4096));
  const samples = v.pipe(v.array(sampleSchema(v)), v.maxLength(samplesMax));
  return v.object({
    label: text,
    source: text,
    pin: v.nullable(text),
    repository: text,
    rootHash: text,
    revision: v.nullable(count),
    driver: text,
    cacheLimit: v.nullable(count),
    clients: count,
    samples: v.object({
      mount: samples,
      cold: samples,
      hot: samples,
      remount: samples,
      warm: samples,
    }),
    prediction: v.nullable(
      v.object({ policy: text, requests: count, hits: count, fetchedBytes: count }),
    ),
  });
}

function sampleSchema(v: SchemaLibrary) {
  const amount = v.pipe(v.number(), v.finite(), v.minValue(0));
  const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
  const name = v.pipe(v.string(), v.maxLength(64));
  const latency = v.object({
    count,
    p50: amount,
    p90: amount,
    p99: amount,
    max: amount,
    classes: v.pipe(v.array(v.tuple([amount, count])), v.maxLength(256)),
  });
  return v.object({
    round: count,
    milliseconds: amount,
    clientMilliseconds: v.pipe(v.array(amount), v.maxLength(1000)),
    requests: count,
    bytes: count,
    hits: count,
    misses: count,
    stored: count,
    evicted: count,
    kernelRequests: count,
    layers: v.pipe(v.record(name, amount), v.maxEntries(64)),
    latencies: v.pipe(v.record(name, latency), v.maxEntries(128)),
  });
}

/** A sample of which nothing but the time is known, as of the making of a mount. */
export function timeSample(round: number, milliseconds: number): BenchSample {
  return {
    round,
    milliseconds,
    clientMilliseconds: [milliseconds],
    requests: 0,
    bytes: 0,
    hits: 0,
    misses: 0,
    stored: 0,
    evicted: 0,
    kernelRequests: 0,
    layers: {},
    latencies: {},
  };
}
