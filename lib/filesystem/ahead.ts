import type { Entry, NodeId } from '../tree/entry.js';
import type { Listing, Tree } from '../tree/tree.js';
import type { Want } from '../store/want.js';
import type { ReadAheadCounts } from './chunks-ahead.js';
import type { ProfileAhead } from './profile-ahead.js';
import type { ProfileCounts } from './profile-counts.js';
import type { ReadAhead } from './read-ahead.js';

/**
 * What a client that goes through the tree in order will ask for next: got ready while nothing else is to be
 * done, and named to be fetched.
 */
export interface Ahead {
  /** An entry was shown in the listing that goes on. */
  shown(attributes: Entry): void;
  /** The listing of a directory came to its end. */
  listed(directory: NodeId): void;
  /** A file is to be read from its begin, and waits for that: what follows is asked for with it. */
  missed(node: NodeId): void;
  /** A file was read from its begin. */
  read(node: NodeId): void;
  /** A file was read behind its begin, up to `end`. */
  readOn(node: NodeId, offset: number, end: number): void;
  /** Does a little of what is to be done; false: there is nothing. */
  work(): boolean;
  readonly counts: ReadAheadCounts;
  /** Undefined: no profile was given. */
  readonly profile?: Readonly<ProfileCounts> | undefined;
  /** Objects to be fetched, so that no more than `bytesMax` wait to be read. */
  take(bytesMax: number): readonly Want[];
}

/**
 * `prepare` opens the object in which a file begins, if it is on this machine. As long as a profile says what comes next,
 * nothing is guessed.
 */
export function openAhead(
  tree: Tree,
  prepare: (node: NodeId) => void,
  files: ReadAhead,
  profile?: ProfileAhead,
): Ahead {
  const walk = beginWalk(tree.root);
  const reading: Reading = { next: undefined, toPrepare: undefined };
  return {
    shown: (entry) => {
      // Who lists the begin of a large directory again and again must not fill the memory.
      if (entry.type === 'directory' && walk.inListing.length < queueEntriesMax)
        walk.inListing.push(entry.node);
    },
    listed: (directory) => {
      met(walk, directory);
      files.listed(directory);
    },
    missed: (node) => files.missed(node),
    read: (node) => {
      const inOrder = node === reading.next;
      reading.next = tree.following(node);
      reading.toPrepare = inOrder ? reading.next : undefined;
      files.read(node);
      profile?.read(node, 0, 1);
    },
    readOn: (node, offset, end) => {
      files.readOn(node, offset, end);
      profile?.read(node, offset, end);
    },
    counts: files.counts,
    profile: profile?.counts,
    take: (bytesMax) => {
      const foretold = profile?.take(bytesMax) ?? [];
      if (foretold.length > 0 || profile?.isActive === true) return foretold;
      const wants = files.take(bytesMax, (walk.loadedNext ??= loadedNext(walk)));
      return walk.lacking.length === 0 || walk.steps < stepsMin
        ? wants
        : [...wants, ...takeLacking(walk, bytesMax)];
    },
    work: () => {
      const { toPrepare } = reading;
      if (toPrepare === undefined) return loadSome(walk, tree);
      reading.toPrepare = undefined;
      prepare(toPrepare);
      return true;
    },
  };
}

/** Who reads a file and then the one behind it gets the next one opened. */
interface Reading {
  next: NodeId | undefined;
  toPrepare: NodeId | undefined;
}

/**
 * Who lists a directory and then one of those in it walks: the directories that come next, in the order of
 * listing and from above down, are loaded before they are asked for, more of them the longer it goes on.
 */
interface Walk {
  /** The directories that are expected to be asked for. */
  queue: Expected[];
  /** Where in them the client is; those behind come next, and only then those that it passed over. */
  position: number;
  /** How many that come next may be loaded. */
  window: number;
  loading: Loading | undefined;
  /** Directories in the listing that goes on. */
  inListing: NodeId[];
  /** How many directories in a row were the next one. */
  steps: number;
  /** Catalogs that directories need which come next, and that were not here. */
  lacking: Want[];
  /** What `loadedNext` gave, as long as that has not changed. */
  loadedNext: readonly NodeId[] | undefined;
  /** Nothing is to be loaded until that changes. */
  isLoaded: boolean;
}

interface Expected {
  readonly node: NodeId;
  loaded: boolean;
  /** The directories in it are expected as well. */
  followed: boolean;
}

interface Loading {
  readonly directory: Expected;
  readonly below: NodeId[];
  after: number;
  seen: number;
}

// How many that come next are loaded: before anybody came (until then nothing else is to be done, and the
// code that does it gets compiled), and while a client walks.
const entriesAtFirst = 64;
const windowEntriesMin = 2;
const windowEntriesMax = 32;
const queueEntriesMax = 4096;
// How far ahead a client may jump within what is expected.
const jumpEntriesMax = 512;
// Entries that are decoded at a time: a client that comes meanwhile waits for no more.
const entriesAtOnce = 8;
// Entries of a directory that are looked at ahead.
const entriesAheadMax = 1024;

// Who has come to so many directories in order gets the catalogs of those that come next.
const stepsMin = 3;
const lackingMax = 64;

function expected(node: NodeId): Expected {
  return { node, loaded: false, followed: false };
}

function beginWalk(root: NodeId): Walk {
  const queue = [expected(root)];
  return {
    queue,
    position: 0,
    window: entriesAtFirst,
    loading: undefined,
    inListing: [],
    steps: 0,
    lacking: [],
    loadedNext: undefined,
    isLoaded: false,
  };
}

function changed(walk: Walk): void {
  walk.loadedNext = undefined;
  walk.isLoaded = false;
}

function expect(walk: Walk, at: number, nodes: readonly NodeId[]): void {
  walk.queue.splice(at, 0, ...nodes.map(expected));
  changed(walk);
  if (walk.queue.length <= queueEntriesMax) return;
  for (const lost of walk.queue.splice(queueEntriesMax))
    if (walk.loading?.directory === lost) walk.loading = undefined;
}

/** A client came to a directory. */
function met(walk: Walk, directory: NodeId): void {
  const { queue, inListing } = walk;
  walk.inListing = [];
  changed(walk);
  const index = queue.slice(0, jumpEntriesMax).findIndex(({ node }) => node === directory);
  const [found] = index === -1 ? [] : queue.splice(index, 1);
  if (found === undefined) {
    const nothingExpected = { queue: [], lacking: [], loading: undefined };
    Object.assign(walk, { ...nothingExpected, position: 0, window: 0, steps: 0 });
    expect(walk, 0, inListing);
    return;
  }
  // Who jumps about is not followed far.
  walk.steps = index === walk.position ? walk.steps + 1 : 0;
  const grown = walk.steps > 0 ? walk.window * 2 : 0;
  walk.window = Math.min(windowEntriesMax, Math.max(windowEntriesMin, grown));
  walk.position = index;
  if (walk.loading?.directory === found) walk.loading = undefined;
  if (!found.followed) expect(walk, index, inListing);
}

function loadSome(walk: Walk, tree: Tree): boolean {
  walk.loading ??= nextLoading(walk);
  if (walk.loading === undefined) return false;
  if (loadMore(walk, tree, walk.loading)) walk.loading = undefined;
  return true;
}

/** The directories that come next, as far as they are loaded. */
function loadedNext({ queue, position, window }: Walk): readonly NodeId[] {
  const next: NodeId[] = [];
  for (let step = 0; step < Math.min(window, queue.length); step++) {
    const directory = queue[(position + step) % queue.length];
    if (directory?.loaded !== true) break;
    next.push(directory.node);
  }
  return next;
}

function nextLoading(walk: Walk): Loading | undefined {
  if (walk.isLoaded) return undefined;
  const { queue, position, window } = walk;
  for (let step = 0; step < Math.min(window, queue.length); step++) {
    const directory = queue[(position + step) % queue.length];
    if (directory === undefined || directory.loaded) continue;
    directory.loaded = true;
    changed(walk);
    return { directory, below: [], after: 0, seen: 0 };
  }
  walk.isLoaded = true;
  return undefined;
}

function lack({ lacking }: Walk, want: Want): void {
  lacking.push(want);
  if (lacking.length > lackingMax) lacking.shift();
}

/** Catalogs to be fetched; a large one that is not needed after all would be in the way of what is. */
function takeLacking(walk: Walk, bytesMax: number): readonly Want[] {
  const { lacking } = walk;
  walk.lacking = [];
  let bytes = 0;
  return lacking.filter(({ size }) => {
    const fits = size.kind === 'exact' && bytes + size.bytes <= bytesMax;
    if (fits) bytes += size.bytes;
    return fits;
  });
}

const nothing: Listing = { entries: [], cookies: [], end: true };

/** Looks at some more entries of the directory that is being loaded; true: it is done. */
function loadMore(walk: Walk, tree: Tree, loading: Loading): boolean {
  const page = tree.list(loading.directory.node, loading.after, entriesAtOnce);
  const { entries, cookies, end } = page.kind === 'done' ? page.value : nothing;
  for (const { type, node } of entries) if (type === 'directory') loading.below.push(node);
  loading.after = cookies.at(-1) ?? loading.after;
  loading.seen += entries.length;
  if (!end && entries.length > 0 && loading.seen < entriesAheadMax) return false;
  if (page.kind === 'miss') lack(walk, page.want);
  if (page.kind !== 'done') return true;
  loading.directory.followed = true;
  const at = walk.queue.indexOf(loading.directory);
  expect(walk, at + 1, loading.below);
  if (at < walk.position)
    walk.position = Math.min(walk.position + loading.below.length, walk.queue.length);
  return true;
}
