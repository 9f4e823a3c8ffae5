import type { Shelf } from '../store/shelf.js';
import type { Want } from '../store/want.js';
import type { Entry, NodeId } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';
import type { Asked, ReadAheadCounts } from './chunks-ahead.js';
import { firstWant } from './reading.js';
import { openWasteBound } from './waste-bound.js';

/**
 * The siblings of files that are read in no order. Which of them will be read nobody knows; but what is asked for in
 * vain is counted in bytes and what is saved in round trips, so that the small ones are worth asking for.
 */
export interface SiblingsAhead {
  /**
   * A file was read that is not the next one of its directory.
   * @param wantsAll whoever reads in the directory wants most of it: the large ones as well.
   */
  read(node: NodeId, directory: NodeId, wantsAll: boolean): void;
  /** A file was read. @returns whether it had been asked for. */
  use(node: NodeId): boolean;
  /** Whether it was asked for, and not read since. */
  isAsked(node: NodeId): boolean;
  /** Adds what is to be fetched now; at most so much of it waits to be read. */
  take(bytesMax: number, wants: Want[], isAsked: (node: NodeId) => boolean): void;
}

// Who reads one file, or a few, does so as often as not for these alone.
const readsMin = 4;
// Of a file whose begin was read so much counts as read, at most.
const readBytesMax = 128 * 1024;
// Small are those below this share of the mean.
const smallShare = 0.75;
// No file counts for more in the mean, and as many as this are remembered.
const meanBytesMax = 256 * 1024;
const meanEntries = 4096;
// Entries that are looked at in one call, and with those that are asked for: a client that comes meanwhile waits for no more.
const looksMax = 40;
const stepsMax = 64;
const pageEntries = 16;
// Of a directory only so many entries are looked at, and so many files are kept to be asked for.
const directoryEntriesMax = 1024;
const candidatesMax = 4096;
const directoriesMax = 256;
// What so many others have been read instead of is doubted.
const patienceReads = 256;
const doubtedMax = 4096;
// Where so many in a row are here already, only one directory of so many is looked at.
const hereInRowMin = 64;
const lookedAtOf = 8;
// Not one by one: who is asked has work with each time.
const atOnceBytes = 16 * 1024;

/** What of a directory may be asked for: small ones, or all. */
type Reach = 'small' | 'all';

/** A directory that is looked at. */
interface Look {
  readonly directory: NodeId;
  readonly reach: Reach;
  after: number;
  seen: number;
}

interface Candidate {
  readonly node: NodeId;
  readonly bytes: number;
}

interface State {
  readonly tree: Tree;
  readonly shelf: Shelf;
  readonly counts: ReadAheadCounts;
  readonly bound: ReturnType<typeof openWasteBound>;
  readonly asked: Map<NodeId, Asked>;
  readonly doubted: Map<NodeId, Asked>;
  /** How far each directory was looked at or will be. */
  readonly directories: Map<NodeId, Reach>;
  readonly looks: Look[];
  /** Smallest first. */
  readonly candidates: Record<Reach, Candidate[]>;
  /** Of files that were met. */
  readonly met: { count: number; bytes: number };
  reads: number;
  waitingBytes: number;
  hereInRow: number;
  skipped: number;
}

/** @param counts what is asked for, and of it used, is added to. */
export function openSiblingsAhead(
  tree: Tree,
  shelf: Shelf,
  counts: ReadAheadCounts,
): SiblingsAhead {
  const state: State = {
    tree,
    shelf,
    counts,
    bound: openWasteBound(),
    asked: new Map(),
    doubted: new Map(),
    directories: new Map(),
    looks: [],
    candidates: { small: [], all: [] },
    met: { count: 0, bytes: 0 },
    reads: 0,
    waitingBytes: 0,
    hereInRow: 0,
    skipped: 0,
  };
  return {
    read: (node, directory, wantsAll) => {
      noteRead(state, node, directory, wantsAll ? 'all' : 'small');
    },
    use: (node) => use(state, node),
    isAsked: (node) => state.asked.has(node) || state.doubted.has(node),
    take: (bytesMax, wants, isAsked) => {
      take(state, bytesMax, wants, isAsked);
    },
  };
}

function noteRead(state: State, node: NodeId, directory: NodeId, reach: Reach): void {
  const entry = state.tree.entry(node);
  state.bound.read(entry.kind === 'done' ? Math.min(entry.value.size, readBytesMax) : 0);
  state.reads++;
  expire(state);
  const known = state.directories.get(directory);
  if (known === 'all' || known === reach) return;
  if (state.hereInRow > hereInRowMin && state.skipped++ % lookedAtOf !== 0) return;
  if (state.looks.length >= directoriesMax) return;
  state.directories.delete(directory);
  state.directories.set(directory, reach);
  const [oldest] = state.directories.keys();
  if (state.directories.size > directoriesMax && oldest !== undefined)
    state.directories.delete(oldest);
  state.looks.push({ directory, reach, after: 0, seen: 0 });
}

function use(state: State, node: NodeId): boolean {
  const { asked, doubted, counts, bound } = state;
  const found = asked.get(node) ?? doubted.get(node);
  if (found === undefined) return false;
  if (asked.delete(node)) state.waitingBytes -= found.bytes;
  doubted.delete(node);
  state.reads++;
  bound.used(found.bytes);
  counts.used++;
  counts.usedBytes += found.bytes;
  return true;
}

/** What waits for long keeps its place in the bound, but no longer its trust. */
function expire(state: State): void {
  const { asked, doubted, bound } = state;
  for (const [node, one] of asked) {
    if (state.reads - one.at <= patienceReads) break;
    asked.delete(node);
    state.waitingBytes -= one.bytes;
    doubted.set(node, one);
    bound.doubted(one.bytes);
  }
  for (const [node] of doubted) {
    if (doubted.size <= doubtedMax) break;
    doubted.delete(node);
  }
}

function take(
  state: State,
  bytesMax: number,
  wants: Want[],
  isAsked: (node: NodeId) => boolean,
): void {
  if (bytesMax <= 0 || state.reads < readsMin) return;
  const { looks, candidates } = state;
  let steps = 0;
  const isNew = looks.length > 0;
  while (steps < looksMax) {
    const [look] = looks;
    if (look === undefined) break;
    const seen = lookOn(state, look);
    steps += seen + 1;
    if (seen === 0 || look.seen >= directoryEntriesMax) looks.shift();
  }
  for (const reach of ['small', 'all'] as const) {
    const isLikely = reach === 'small';
    const room = (): number => Math.min(state.bound.room(isLikely), bytesMax - state.waitingBytes);
    if (!isNew && room() < atOnceBytes) continue;
    const smallMax = isLikely ? smallestOfMean(state) : Infinity;
    for (; steps < stepsMax; steps++) {
      const [first] = candidates[reach];
      if (first === undefined || first.bytes > Math.min(smallMax, room())) break;
      candidates[reach].shift();
      if (!state.asked.has(first.node) && !state.doubted.has(first.node) && !isAsked(first.node))
        ask(state, first.node, wants);
    }
  }
}

function smallestOfMean({ met: { count, bytes } }: State): number {
  return (smallShare * bytes) / Math.max(1, count);
}

/** @returns how many entries it saw; 0: there are no more. */
function lookOn(state: State, look: Look): number {
  const page = state.tree.list(look.directory, look.after, pageEntries);
  if (page.kind !== 'done') return 0;
  const { entries, cookies } = page.value;
  for (const entry of entries) meet(state, look.reach, entry);
  look.after = cookies.at(-1) ?? look.after;
  look.seen += entries.length;
  return entries.length;
}

function meet({ met, candidates }: State, reach: Reach, { type, size, node }: Entry): void {
  if (type !== 'file' || size === 0) return;
  if (reach === 'small') {
    met.count++;
    met.bytes += Math.min(size, meanBytesMax);
    if (met.count > meanEntries) {
      met.count /= 2;
      met.bytes /= 2;
    }
  }
  const list = candidates[reach];
  let [low, high] = [0, list.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((list[middle]?.bytes ?? 0) <= size) low = middle + 1;
    else high = middle;
  }
  list.splice(low, 0, { node, bytes: size });
  if (list.length > candidatesMax) list.pop();
}

function ask(state: State, node: NodeId, wants: Want[]): void {
  const { tree, shelf, counts, asked } = state;
  const entry = tree.entry(node);
  const want = entry.kind === 'done' ? firstWant(tree, entry.value) : undefined;
  if (want === undefined) return;
  if (shelf.isRecorded?.(want) === true) {
    state.hereInRow++;
    return;
  }
  state.hereInRow = 0;
  const { bytes } = want.size;
  asked.set(node, { bytes, at: state.reads });
  state.waitingBytes += bytes;
  state.bound.asked(bytes);
  counts.asked++;
  counts.askedBytes += bytes;
  wants.push(want);
}
