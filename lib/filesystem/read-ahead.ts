import type { Shelf } from '../store/shelf.js';
import type { Want } from '../store/want.js';
import type { Entry, NodeId } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';
import { openChunksAhead } from './chunks-ahead.js';
import type { Asked, ChunksAhead, ReadAheadCounts } from './chunks-ahead.js';
import { firstWant } from './reading.js';
import { openSiblingsAhead, type SiblingsAhead } from './siblings-ahead.js';

/**
 * The files that a reader who goes on in order will read next, as objects to be fetched before he asks. What it
 * asks for begins small, doubles while what was asked for is read, and is halved as soon as it isn't. Who reads in no
 * order gets siblings, within a bound of their own.
 */
export interface ReadAhead {
  /** A client came to the end of a directory's listing. */
  listed(directory: NodeId): void;
  /** A file is to be read from its begin, and waits for that: it counts as read. */
  missed(node: NodeId): void;
  /** A file was read from its begin. */
  read(node: NodeId): void;
  /** A file was read behind its begin, up to `end`. */
  readOn(node: NodeId, offset: number, end: number): void;
  /**
   * What is to be fetched now, so that no more than `bytesMax` of it waits to be read.
   * @param directories those that a walk will come to next, nearest first; the same list as long as they are the same.
   */
  take(bytesMax: number, directories: readonly NodeId[]): readonly Want[];
  readonly counts: ReadAheadCounts;
}

const windowBytesMin = 128 * 1024;
// So many files in order make a reader who goes on; so many of a listed directory one who may want all of it.
const readsInOrderMin = 2;
// Where somebody jumped about, files follow each other by chance: a row has to be longer by as much as there were jumps.
const jumpsCountedMax = 8;
const readsOfListedMin = 4;
// Entries between two files that are not read.
const passedOverMax = 16;
// Who went through so many directories in order, which he did not list, gets the files of the next one with its first;
// one in which he does not go on counts against that, and he who jumps about begins anew.
const orderlyMin = 4;
const orderlyMax = 8;
// Where so many in a row are here already, only one of so many is looked for, until one is not.
const hereInRowMin = 64;
const lookedForOf = 8;
const missedMax = 1024;
// What is asked for at once, where the window is large.
const atOnceBytes = 128 * 1024;
// Of a large file only the first object: who opens it may want no more.
const wantsAtOnceMax = 64;
// Entries that are looked at in one call: a client that comes meanwhile waits for no more.
const looksMax = 64;
const pageEntries = 8;
const directoriesKeptMax = 256;

interface Known {
  reads: number;
  /** So many were read one after the other, and this one would be next: others may read elsewhere meanwhile. */
  inOrder: number;
  /** So many were not the next one. */
  jumps: number;
  next: NodeId | undefined;
  listed: boolean;
  queued: boolean;
}

/** A place in the listing of a directory from which files are taken: behind a file, or behind a cookie. */
interface Cursor {
  readonly directory: NodeId;
  behind: NodeId | undefined;
  after: number;
  page: readonly Entry[];
}

interface State {
  readonly tree: Tree;
  readonly shelf: Shelf;
  readonly counts: ReadAheadCounts;
  readonly asked: Map<NodeId, Asked>;
  /** Files that count as read, and are waited for. */
  readonly missed: Set<NodeId>;
  readonly directories: Map<NodeId, Known>;
  /** In directories that are being read, each in its turn. */
  readonly reading: Cursor[];
  /** In those that come behind them, one after the other. */
  readonly coming: Cursor[];
  /** Catalogs that were asked for, by the directory that lacks them. */
  readonly lacking: Map<NodeId, Want>;
  /** Directories none of which has anything new. */
  exhausted: readonly NodeId[] | undefined;
  askedBytes: number;
  /** How many that are here already came one after the other. */
  hereInRow: number;
  windowBytes: number;
  reads: number;
  inOrder: number;
  /** Who read last goes through directories that he listed. */
  walks: boolean;
  /** How many directories were gone through in order, as far as that is remembered. */
  orderly: number;
  readonly chunks: ChunksAhead;
  readonly siblings: SiblingsAhead;
}

export function openReadAhead(tree: Tree, shelf: Shelf): ReadAhead {
  const counts = { asked: 0, askedBytes: 0, used: 0, usedBytes: 0 };
  const state: State = {
    tree,
    shelf,
    counts,
    asked: new Map(),
    missed: new Set(),
    directories: new Map(),
    reading: [],
    coming: [],
    lacking: new Map(),
    exhausted: undefined,
    askedBytes: 0,
    hereInRow: 0,
    windowBytes: windowBytesMin,
    reads: 0,
    inOrder: 0,
    walks: false,
    orderly: 0,
    chunks: openChunksAhead(tree, shelf, counts),
    siblings: openSiblingsAhead(tree, shelf, counts),
  };
  return {
    counts: state.counts,
    listed: (directory) => {
      known(state, directory).listed = true;
    },
    missed: (node) => {
      if (state.missed.has(node)) return;
      // Of those whose readers were interrupted.
      if (state.missed.size >= missedMax) state.missed.clear();
      state.missed.add(node);
      noteRead(state, node);
    },
    read: (node) => {
      if (!state.missed.delete(node)) noteRead(state, node);
    },
    readOn: (node, offset, end) => {
      state.chunks.readOn(node, offset, end);
    },
    take: (bytesMax, directories) => take(state, bytesMax, directories),
  };
}

function newKnown(): Known {
  return { reads: 0, inOrder: 0, jumps: 0, next: undefined, listed: false, queued: false };
}

function known({ directories }: State, directory: NodeId): Known {
  const found = directories.get(directory) ?? newKnown();
  directories.delete(directory);
  directories.set(directory, found);
  if (directories.size > directoriesKeptMax) {
    const [oldest] = directories.keys();
    if (oldest !== undefined) directories.delete(oldest);
  }
  return found;
}

function noteRead(state: State, node: NodeId): void {
  const parent = state.tree.parent(node);
  if (parent.kind !== 'done') return;
  const directory = known(state, parent.value);
  state.reads++;
  const wasAsked = use(state, node);
  const wasSibling = state.siblings.use(node);
  const isNext = wasAsked || comesNext(state.tree, node, directory.next);
  // Who comes to another directory may be going on in order, if he has listed it.
  const isFirst = directory.reads === 0;
  if (isNext) {
    state.inOrder++;
    directory.inOrder++;
  } else {
    directory.inOrder = 0;
    if (!isFirst || !directory.listed) state.inOrder = 0;
    if (!isFirst) {
      directory.jumps++;
      shrink(state);
    }
  }
  directory.reads++;
  directory.next = state.tree.following(node);
  expire(state);
  const goesOn = isFirst && directory.listed && state.inOrder >= readsInOrderMin;
  const inOrderMin = readsInOrderMin + Math.min(directory.jumps, jumpsCountedMax);
  state.walks = directory.listed && state.inOrder >= inOrderMin;
  const begins = isFirst && !directory.listed && state.orderly >= orderlyMin;
  noteOrder(state, directory, isNext, begins);
  if (!directory.queued && (directory.inOrder >= inOrderMin || goesOn || begins)) {
    directory.queued = true;
    state.reading.unshift({ directory: parent.value, behind: node, after: 0, page: [] });
  }
  if (isNext || wasSibling || goesOn || begins) return;
  const wantsAll = directory.listed && directory.reads >= readsOfListedMin;
  state.siblings.read(node, parent.value, wantsAll);
}

/** Whether a file is this entry, or comes behind it and all between is nothing that is read: directories, links, empty files. */
function comesNext(tree: Tree, node: NodeId, next: NodeId | undefined): boolean {
  let at = next;
  for (let steps = 0; steps < passedOverMax && at !== undefined && at !== node; steps++) {
    const entry = tree.entry(at);
    if (entry.kind !== 'done' || (entry.value.type === 'file' && entry.value.size > 0))
      return false;
    at = tree.following(at);
  }
  return at === node;
}

/** @param directory in which a file was read just now. */
function noteOrder(state: State, directory: Known, isNext: boolean, begins: boolean): void {
  if (begins) state.orderly--;
  else if (directory.reads > 1 && !isNext) state.orderly = 0;
  else if (directory.reads === 2) state.orderly = Math.min(orderlyMax, state.orderly + 1);
}

/** @returns whether it had been asked for. */
function use(state: State, node: NodeId): boolean {
  const found = state.asked.get(node);
  if (found === undefined) return false;
  state.asked.delete(node);
  state.askedBytes -= found.bytes;
  state.windowBytes += found.bytes;
  state.counts.used++;
  state.counts.usedBytes += found.bytes;
  return true;
}

function shrink(state: State): void {
  state.windowBytes = Math.max(windowBytesMin, state.windowBytes / 2);
}

/** What others have long been read instead of will not be read. */
function expire(state: State): void {
  for (const [node, { bytes, at }] of state.asked) {
    if (state.reads - at <= 64 + 4 * state.asked.size) return;
    state.asked.delete(node);
    state.askedBytes -= bytes;
    shrink(state);
  }
}

function take(state: State, bytesMax: number, directories: readonly NodeId[]): readonly Want[] {
  const wants = state.chunks.take(bytesMax);
  takeInOrder(state, bytesMax, directories, wants);
  state.siblings.take(
    bytesMax - state.askedBytes,
    wants,
    (node) => state.asked.has(node) || state.missed.has(node),
  );
  if (wants.length > 0) state.shelf.expect?.(wants, false);
  return wants;
}

function takeInOrder(
  state: State,
  bytesMax: number,
  directories: readonly NodeId[],
  wants: Want[],
): void {
  state.windowBytes = Math.min(state.windowBytes, Math.max(bytesMax, windowBytesMin));
  const windowBytes = Math.min(state.windowBytes, bytesMax);
  // Not one by one: who is asked has work with each time.
  if (state.askedBytes + Math.min(windowBytes / 8, atOnceBytes) > windowBytes) return;
  for (let looks = 0; looks < looksMax && wants.length < wantsAtOnceMax; looks++) {
    if (state.askedBytes >= windowBytes) break;
    const cursors = state.reading.length > 0 ? state.reading : state.coming;
    const cursor = cursors[0] ?? nextDirectory(state, directories);
    if (cursor === undefined) break;
    const entry = nextFile(state, cursor, wants);
    if (entry === undefined) cursors.shift();
    else if (entry !== 'none') {
      ask(state, entry, wants);
      if (cursors === state.reading && cursors.length > 1) cursors.push(...cursors.splice(0, 1));
    }
  }
}

/** Who reads all of the directories that he comes to gets those that come next. */
function nextDirectory(state: State, directories: readonly NodeId[]): Cursor | undefined {
  if (!state.walks) return undefined;
  // All of them were queued when they were looked at last.
  if (directories === state.exhausted && state.lacking.size === 0) return undefined;
  for (const directory of directories) {
    // Not yet by `known`, which takes longer: all of them are looked at again and again.
    if (state.directories.get(directory)?.queued === true) continue;
    if (isStillLacking(state, directory)) continue;
    known(state, directory).queued = true;
    const cursor = { directory, behind: undefined, after: 0, page: [] };
    state.coming.push(cursor);
    return cursor;
  }
  state.exhausted = directories;
  return undefined;
}

/** @returns undefined: there is none any more; none: it was no file. */
function nextFile(state: State, cursor: Cursor, wants: Want[]): Entry | 'none' | undefined {
  const { tree } = state;
  if (cursor.behind !== undefined) {
    cursor.behind = tree.following(cursor.behind);
    if (cursor.behind === undefined) return 'none';
    const entry = tree.entry(cursor.behind);
    return entry.kind === 'done' ? entry.value : 'none';
  }
  const [first, ...rest] = cursor.page;
  if (first !== undefined) {
    cursor.page = rest;
    return first;
  }
  const listing = tree.list(cursor.directory, cursor.after, pageEntries);
  if (listing.kind === 'miss') lack(state, cursor.directory, listing.want, wants);
  if (listing.kind !== 'done' || listing.value.entries.length === 0) return undefined;
  cursor.after = listing.value.cookies.at(-1) ?? cursor.after;
  cursor.page = listing.value.entries;
  return 'none';
}

/** A catalog is asked for once; its directory is come back to when it is here. */
function lack(state: State, directory: NodeId, want: Want, wants: Want[]): void {
  known(state, directory).queued = false;
  if (state.lacking.size >= directoriesKeptMax) state.lacking.clear();
  state.lacking.set(directory, want);
  wants.push(want);
}

function isStillLacking({ lacking, shelf }: State, directory: NodeId): boolean {
  const want = lacking.get(directory);
  if (want === undefined) return false;
  if (shelf.isRecorded?.(want) === false) return true;
  lacking.delete(directory);
  return false;
}

function ask(state: State, entry: Entry, wants: Want[]): void {
  const { tree, shelf, asked, counts, siblings } = state;
  if (entry.type !== 'file' || entry.size === 0 || asked.has(entry.node)) return;
  if (siblings.isAsked(entry.node) || state.missed.has(entry.node)) return;
  state.hereInRow++;
  if (state.hereInRow > hereInRowMin && state.hereInRow % lookedForOf !== 0) return;
  const want = firstWant(tree, entry);
  // Also where nothing is here: what a cursor comes to only now may have been read.
  if (want === undefined || shelf.isRecorded?.(want) === true) return;
  state.hereInRow = 0;
  const { bytes } = want.size;
  asked.set(entry.node, { bytes, at: state.reads });
  state.askedBytes += bytes;
  counts.asked++;
  counts.askedBytes += bytes;
  wants.push(want);
}
