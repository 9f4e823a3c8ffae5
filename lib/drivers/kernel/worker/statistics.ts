import { errorCodes, type ErrorCode } from '../../../format/errors.js';
import type { ReadAheadCounts } from '../../../filesystem/chunks-ahead.js';
import { noProfileCounts, type ProfileCounts } from '../../../filesystem/profile-counts.js';
import {
  latencyBoundsMicroseconds,
  type Latency,
  type LatencyHistogram,
  type ServedMount,
  type WorkerSpent,
} from '../../driver.js';

/**
 * Counters of the worker in shared memory: the main thread reads them at any time, and counting is
 * a plain store. For each opcode a histogram of latencies (from the request's arrival to its
 * answer, waiting for a fetch included) with four classes for each doubling of microseconds.
 */
const slots = 64;
const classes = 128;
const wakeWord = 0;
const servedAt = 1;
const errorsAt = 16;
const histogramsAt = errorsAt + 240;

// Behind the words: milliseconds of each layer that the worker has.
const spentAt = 4 * (histogramsAt + slots * classes);

// Behind them: what became of a profile.
const profileAt = spentAt + 3 * 8;
const profileFields = Object.keys(noProfileCounts) as readonly (keyof ProfileCounts)[];

export interface Counters {
  readonly memory: SharedArrayBuffer;
  readonly words: Int32Array;
  readonly spent: Float64Array;
  readonly profile: Float64Array;
}

/** New counters, or those in memory that another thread made. */
export function counters(memory?: SharedArrayBuffer): Counters {
  const shared = memory ?? new SharedArrayBuffer(profileAt + 8 * profileFields.length);
  return {
    memory: shared,
    words: new Int32Array(shared, 0, spentAt / 4),
    spent: new Float64Array(shared, spentAt, 3),
    profile: new Float64Array(shared, profileAt, profileFields.length),
  };
}

/** Tells the worker that a message is there: it looks before each read, a wake-up byte may come late. */
export function raiseFlag(counted: Counters): void {
  Atomics.store(counted.words, wakeWord, 1);
}

/** Whether the flag was up; takes it down. */
export function takeFlag(counted: Counters): boolean {
  if (Atomics.load(counted.words, wakeWord) === 0) return false;
  Atomics.store(counted.words, wakeWord, 0);
  return true;
}

function classOf(microseconds: number): number {
  const whole = microseconds | 0;
  if (whole < 4) return whole < 0 ? 0 : whole;
  const exponent = 31 - Math.clz32(whole);
  return exponent * 4 + ((whole >>> (exponent - 2)) & 3);
}

/** The upper end of a class in microseconds. */
function classEnd(index: number): number {
  if (index < 8) return index + 1;
  const exponent = index >>> 2;
  return 2 ** exponent + ((index & 3) + 1) * 2 ** (exponent - 2);
}

/** Counts one answered request. `slot` is its opcode, 0 if it is unknown. */
export function countRequest(counted: Counters, slot: number, microseconds: number): void {
  const index = histogramsAt + slot * classes + classOf(microseconds);
  counted.words[index] = (counted.words[index] ?? 0) + 1;
}

const inodesAt = 12;
const catalogHitsAt = 15;
// Two words for each count of bytes.
const aheadAt = 6;
const inodeStates = { none: 0, kept: 1, notKept: 2 };

/** Tells the main thread what was found in cache and tree. */
export function publishServed(counted: Counters, served: ServedMount): void {
  // Done whenever there is nothing else to do, so by plain stores.
  const { words } = counted;
  const { tree, ahead, inodes } = served;
  words[servedAt] = served.hits;
  words[servedAt + 1] = tree.catalogsOpened;
  words[servedAt + 2] = tree.catalogsOpen;
  words[servedAt + 3] = tree.directoriesLoaded;
  words[servedAt + 4] = tree.rowsRefused;
  words[catalogHitsAt] = served.catalogHits;
  if (ahead !== undefined) publishAhead(counted, ahead);
  if (served.profile !== undefined) publishProfile(counted, served.profile);
  if (inodes === undefined) return;
  words[inodesAt] = inodes.kept ? inodeStates.kept : inodeStates.notKept;
  words[inodesAt + 1] = inodes.seen;
  words[inodesAt + 2] = inodes.moved;
}

function publishProfile({ profile }: Counters, counts: Readonly<ProfileCounts>): void {
  profile.set(profileFields.map((name) => counts[name]));
}

/** undefined: no profile was given. */
function readProfile({ profile }: Counters): ProfileCounts | undefined {
  if (profile[0] === 0) return undefined;
  const counts = { ...noProfileCounts };
  for (const [index, name] of profileFields.entries()) counts[name] = profile[index] ?? 0;
  return counts;
}

/** Tells the main thread where the time of the worker went. */
export function publishSpent(
  { spent }: Counters,
  { catalog, shelf, reply }: Readonly<WorkerSpent>,
): void {
  spent[0] = catalog;
  spent[1] = shelf;
  spent[2] = reply;
}

export function readSpent({ spent }: Counters): WorkerSpent {
  const [catalog = 0, shelf = 0, reply = 0] = spent;
  return { catalog, shelf, reply };
}

function publishAhead({ words }: Counters, counts: ReadAheadCounts): void {
  words[aheadAt] = counts.asked;
  words[aheadAt + 1] = counts.used;
  words[aheadAt + 2] = counts.askedBytes;
  words[aheadAt + 3] = Math.floor(counts.askedBytes / 2 ** 32);
  words[aheadAt + 4] = counts.usedBytes;
  words[aheadAt + 5] = Math.floor(counts.usedBytes / 2 ** 32);
}

function readAhead({ words }: Counters): ReadAheadCounts {
  const [asked = 0, used = 0, askedLow = 0, askedHigh = 0, usedLow = 0, usedHigh = 0] = words
    .subarray(aheadAt, aheadAt + 6)
    .map((word) => word);
  return {
    asked: asked >>> 0,
    used: used >>> 0,
    askedBytes: askedHigh * 2 ** 32 + (askedLow >>> 0),
    usedBytes: usedHigh * 2 ** 32 + (usedLow >>> 0),
  };
}

export function readServed(counted: Counters): ServedMount {
  const value = (index: number) => (counted.words[servedAt + index] ?? 0) >>> 0;
  return {
    hits: value(0),
    catalogHits: (counted.words[catalogHitsAt] ?? 0) >>> 0,
    tree: {
      catalogsOpened: value(1),
      catalogsOpen: value(2),
      directoriesLoaded: value(3),
      rowsRefused: value(4),
    },
    ahead: readAhead(counted),
    profile: readProfile(counted),
    ...readInodes(counted),
  };
}

function readInodes({ words }: Counters): Pick<ServedMount, 'inodes'> {
  const [state = inodeStates.none, seen = 0, moved = 0] = words.subarray(inodesAt, inodesAt + 3);
  if (state === inodeStates.none) return {};
  return { inodes: { seen, moved, kept: state === inodeStates.kept } };
}

/** Counts an answer that was an error of ours. */
export function countError(counted: Counters, code: ErrorCode): void {
  const index = errorsAt + errorCodes.indexOf(code);
  counted.words[index] = (counted.words[index] ?? 0) + 1;
}

export function readErrors(counted: Counters): Partial<Record<ErrorCode, number>> {
  const errors: Partial<Record<ErrorCode, number>> = {};
  for (const [index, code] of errorCodes.entries()) {
    const count = counted.words[errorsAt + index] ?? 0;
    if (count !== 0) errors[code] = count >>> 0;
  }
  return errors;
}

const noRequests = Buffer.alloc(4 * classes);

/** Whether a request of this opcode came. A mount asks for each of them as it begins: it is compared, not read. */
export function hasRequests({ memory }: Counters, slot: number): boolean {
  const histogram = Buffer.from(memory, 4 * (histogramsAt + slot * classes), 4 * classes);
  return !histogram.equals(noRequests);
}

/** undefined: no request of this opcode came. */
export function readHistogram(counted: Counters, slot: number): LatencyHistogram | undefined {
  const start = histogramsAt + slot * classes;
  const counts = [...latencyBoundsMicroseconds, Infinity].map(() => 0);
  let microseconds = 0;
  for (let index = 0; index < classes; index++) {
    const count = (counted.words[start + index] ?? 0) >>> 0;
    if (count === 0) continue;
    const end = classEnd(index);
    const above = latencyBoundsMicroseconds.findIndex((bound) => end <= bound);
    const at = above < 0 ? counts.length - 1 : above;
    counts[at] = (counts[at] ?? 0) + count;
    // The middle of the class.
    microseconds += count * ((end + (index === 0 ? 0 : classEnd(index - 1))) / 2);
  }
  return microseconds === 0 ? undefined : { counts, microseconds };
}

/** Upper ends of the classes in microseconds, and how many requests fell into each that has any. */
export function readLatencyClasses(counted: Counters, slot: number): [number, number][] {
  const start = histogramsAt + slot * classes;
  const found: [number, number][] = [];
  for (let index = 0; index < classes; index++) {
    const count = (counted.words[start + index] ?? 0) >>> 0;
    if (count > 0) found.push([classEnd(index), count]);
  }
  return found;
}

/** undefined: no request of this opcode came. */
export function readLatency(counted: Counters, slot: number): Latency | undefined {
  const start = histogramsAt + slot * classes;
  const histogram = counted.words.slice(start, start + classes);
  let count = 0;
  for (const value of histogram) count += value >>> 0;
  if (count === 0) return undefined;
  const within = (share: number) => {
    let left = Math.ceil(count * share);
    for (const [index, value] of histogram.entries()) {
      left -= value >>> 0;
      if (left <= 0) return classEnd(index);
    }
    return classEnd(classes - 1);
  };
  return { count, p50: within(0.5), p90: within(0.9), p99: within(0.99), max: within(1) };
}
