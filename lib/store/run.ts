import { smallObjectBytesMax } from '../eviction/amounts.js';
import { fstatSync } from 'node:fs';
import { errno } from '../format/errno.js';
import { asPinfsError, PinfsError } from '../format/errors.js';
import { promiseBytes, type Wait } from '../source/wait.js';
import { idle } from './cache/always-miss.js';
import { describe } from './inflate.js';
import type { Shelf } from './shelf.js';
import type { Store } from './store.js';
import { done, failure, flightKey } from './want.js';
import type { Done, Failure, Miss, Outcome, Want } from './want.js';

export interface RunOptions {
  readonly signal?: AbortSignal | undefined;
  /** Of the whole operation; without it each fetch is waited for with the limits of the store. */
  readonly wait?: Wait | undefined;
  /** As in `Waiting`. */
  readonly brief?: boolean;
  readonly maxRuns?: number;
}

// Each run needs one object more: a path has at most 2,048 components (PATH_MAX), each of which may
// be a nested catalog, and one read touches a few dozen chunks. More is a fault of ours.
const runsMax = 4096;

// An object that was fetched may be evicted again before it is read, when a cache is far too small
// or shared by many; and ALWAYS_MISS denies each once.
const fetchesOfOneMax = 16;

const numbers: Partial<Record<string, number>> = {
  INTERRUPTED: errno.EINTR,
  SOURCE_TIMEOUT: errno.ETIMEDOUT,
  ACCESS_DENIED: errno.EACCES,
  CACHE_FULL: errno.ENOSPC,
};

/** What an error looks like to a system call: an errno of errno.h, EIO unless it is another cause. */
export function failureOf(error: PinfsError): Failure {
  return failure(numbers[error.code] ?? errno.EIO, error);
}

/** Runs a synchronous operation once. Never throws: a fault of ours becomes EIO with INTERNAL. */
export function runNow<T>(operation: () => Outcome<T>, shelf: Shelf): Outcome<T> {
  shelf.beginRun(operation);
  try {
    return operation();
  } catch (thrown) {
    return failureOf(asPinfsError(thrown));
  } finally {
    shelf.beginRun(idle);
  }
}

/**
 * Runs an operation, has what it lacks fetched, and runs it again until it is done. `first` is the
 * outcome of a run that was made already (with `runNow`, the way without a promise for hits).
 * Never rejects: errors are Failures (EINTR for the signal, ETIMEDOUT for SOURCE_TIMEOUT, ENOSPC for
 * CACHE_FULL, else EIO).
 */
export async function runOperation<T>(
  operation: () => Outcome<T>,
  store: Store,
  options: RunOptions = {},
  first?: Outcome<T>,
): Promise<Done<T> | Failure> {
  let outcome = first ?? runNow(operation, store.shelf);
  if (outcome.kind !== 'miss') return outcome;
  const fetches = new Map<string, number>();
  try {
    for (let run = 1; ; run++) {
      const error = surplus(outcome, run, fetches, options.maxRuns ?? runsMax);
      if (error !== undefined) return failureOf(error);
      await fetchOne(outcome, store, options);
      outcome = runNow(operation, store.shelf);
      if (outcome.kind !== 'miss') return outcome;
    }
  } catch (thrown) {
    return failureOf(asPinfsError(thrown));
  }
}

async function fetchOne(
  miss: Miss,
  store: Store,
  { signal, wait, brief }: RunOptions,
): Promise<void> {
  if (signal?.aborted === true) throw new PinfsError('INTERRUPTED', 'interrupted');
  if (wait !== undefined) promiseBytes(wait, miss.want.size.bytes);
  const fetching = store.fetch(miss.want, signal, { wait, ...(brief === true && { brief }) });
  if (miss.ahead !== undefined && miss.ahead.length > 0) store.fetchAhead(miss.ahead);
  await fetching;
}

/** An error when an operation asks for more than it can need. */
function surplus(
  miss: Miss,
  run: number,
  fetches: Map<string, number>,
  maxRuns: number,
): PinfsError | undefined {
  const key = flightKey(miss.want);
  const count = (fetches.get(key) ?? 0) + 1;
  fetches.set(key, count);
  if (run >= maxRuns) {
    return new PinfsError('INTERNAL', `an operation was not done after ${run} runs`);
  }
  if (count > fetchesOfOneMax) {
    const text = `${describe(miss.want)} was fetched ${count - 1} times and is still not on the shelf`;
    return new PinfsError('INTERNAL', text);
  }
  return undefined;
}

const smallBytesMax = 1024 * 1024;

/** All plain bytes of an object on a shelf; for small ones. */
export function readAllOf(shelf: Shelf, want: Want): Outcome<Buffer> {
  // A small object whose size is known may have no file of its own.
  const isSmall = want.size.kind === 'exact' && want.size.bytes <= smallBytesMax;
  const fd = isSmall ? undefined : shelf.descriptor(want);
  if (fd === undefined && !isSmall) return readBesideOthers(shelf, want);
  const bytes = Buffer.alloc(fd === undefined ? want.size.bytes : fstatSync(fd).size);
  const count = shelf.read(want, 0, bytes.length, bytes, 0);
  return count === bytes.length ? done(bytes) : { kind: 'miss', want };
}

/** Likewise one whose size nobody promised, and that has no file of its own, as where another path promised its size. */
function readBesideOthers(shelf: Shelf, want: Want): Outcome<Buffer> {
  const room = Buffer.alloc(smallObjectBytesMax + 1);
  const count = shelf.read(want, 0, room.length, room, 0);
  const isWhole = count !== undefined && count < room.length;
  return isWhole ? done(room.subarray(0, count)) : { kind: 'miss', want };
}

/**
 * All plain bytes of an object, fetched if need be; for small ones that are parsed as a whole.
 * @throws PinfsError as `fetch` of the store.
 */
export async function readWhole(
  store: Store,
  want: Want,
  options: RunOptions = {},
): Promise<Buffer> {
  const outcome = await runOperation(() => readAllOf(store.shelf, want), store, options);
  if (outcome.kind === 'done') return outcome.value;
  throw outcome.error ?? new PinfsError('INTERNAL', `errno ${outcome.errno}`);
}
