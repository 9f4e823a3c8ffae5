import type { Profile } from '../profile/profile.js';
import type { Shelf } from '../store/shelf.js';
import { wantKey, type Want } from '../store/want.js';
import type { NodeId } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';
import { noProfileCounts, type ProfileCounts } from './profile-counts.js';
import { meetUse, type MetUse } from './profile-wants.js';

/**
 * What a profile says comes next, as objects to be fetched before anybody asks: in its order, so that no more waits to be
 * read than is allowed. It knows only what is found in the tree by its paths.
 */
export interface ProfileAhead {
  /** A file was read from `offset` on, up to `end`. */
  read(node: NodeId, offset: number, end: number): void;
  /** What is to be fetched now. */
  take(bytesMax: number): readonly Want[];
  /** Whether it still has something to say. */
  readonly isActive: boolean;
  readonly counts: ProfileCounts;
}

// Uses that are looked up in one call: a client that comes meanwhile waits for no more.
const looksMax = 48;
// Objects that were asked for and wait to be read, at most.
const askedMax = 512;
// Uses that wait for a catalog, at most; behind them nothing is looked up.
const waitingMax = 256;
// What is asked for and not read when the job has come so much further will not be read.
const slack = 256;
// Reads that may be of something else before the job counts as another one; what is read as foretold makes up for it.
const trustAtFirst = 32;
const trustMax = 128;

interface Asked {
  readonly index: number;
  readonly offset: number;
  readonly bytes: number;
}

interface State {
  readonly profile: Profile;
  readonly tree: Tree;
  readonly shelf: Shelf;
  readonly counts: ProfileCounts;
  /** Paths of files that it has; true: they were read. */
  readonly paths: Map<string, boolean>;
  /** In the order in which they were asked for. */
  readonly asked: Map<NodeId, Asked[]>;
  askedCount: number;
  askedBytes: number;
  next: number;
  /** Uses whose catalog was asked for. */
  waiting: { readonly index: number; readonly want: Want }[];
  readonly catalogsAsked: Set<string>;
  trust: number;
  unread: number;
}

export function openProfileAhead(profile: Profile, tree: Tree, shelf: Shelf): ProfileAhead {
  const files = profile.uses.filter(({ kind }) => kind === 'file');
  const state: State = {
    profile,
    tree,
    shelf,
    counts: { ...noProfileCounts, uses: profile.uses.length },
    paths: new Map(files.map(({ path }) => [path, false])),
    asked: new Map(),
    askedCount: 0,
    askedBytes: 0,
    next: 0,
    waiting: [],
    catalogsAsked: new Set(),
    trust: trustAtFirst,
    unread: 0,
  };
  return {
    read: (node, offset, end) => {
      noteUse(state, node, offset, end);
      if (offset === 0) noteWay(state, node);
    },
    take: (bytesMax) => take(state, bytesMax),
    get isActive() {
      return isActive(state);
    },
    counts: state.counts,
  };
}

function isActive({ counts, next, profile, waiting }: State): boolean {
  return counts.stopped === 0 && (next < profile.uses.length || waiting.length > 0);
}

/** What was asked for is read: there is room for more. */
function noteUse(state: State, node: NodeId, offset: number, end: number): void {
  const asked = state.asked.get(node);
  if (asked === undefined) return;
  for (const one of asked.filter((one) => one.offset < end && one.offset + one.bytes > offset)) {
    forget(state, node, one);
    state.counts.used++;
    state.counts.usedBytes += one.bytes;
    expire(state, one.index);
  }
}

function forget(state: State, node: NodeId, one: Asked): void {
  const left = (state.asked.get(node) ?? []).filter((other) => other !== one);
  if (left.length === 0) state.asked.delete(node);
  else state.asked.set(node, left);
  state.askedCount--;
  state.askedBytes -= one.bytes;
}

/** The job has come to this use: what it passed over long ago waits no more. */
function expire(state: State, index: number): void {
  for (const [node, asked] of state.asked) {
    const [first] = asked;
    if (first === undefined || first.index > index - slack) return;
    forget(state, node, first);
    state.unread++;
  }
  if (state.unread > slack && state.unread > state.counts.used) stop(state);
}

/** Whether the job still goes the way of the profile. */
function noteWay(state: State, node: NodeId): void {
  const { counts, paths, tree } = state;
  if (counts.stopped === 1) return;
  const entry = tree.entry(node);
  if (entry.kind !== 'done') return;
  const { path } = entry.value;
  const wasRead = paths.get(path);
  if (wasRead === true) return;
  if (wasRead === false) {
    paths.set(path, true);
    state.trust = Math.min(trustMax, state.trust + 1);
    return;
  }
  counts.strayed++;
  state.trust--;
  if (state.trust <= 0) stop(state);
}

function stop(state: State): void {
  state.counts.stopped = 1;
  state.asked.clear();
  state.waiting = [];
  state.askedCount = state.askedBytes = 0;
}

function take(state: State, bytesMax: number): readonly Want[] {
  if (bytesMax === 0 || !isActive(state)) return [];
  const wants: Want[] = [];
  const hasRoom = (): boolean => state.askedBytes < bytesMax && state.askedCount < askedMax;
  for (const { index } of cameMeanwhile(state)) if (!look(state, index, wants)) break;
  for (let looks = 0; looks < looksMax && hasRoom(); looks++) {
    if (state.waiting.length >= waitingMax || state.next >= state.profile.uses.length) break;
    if (!look(state, state.next++, wants)) break;
  }
  state.shelf.expect?.(wants);
  return wants;
}

/** Uses whose catalog is here now, in their order. */
function cameMeanwhile(state: State): State['waiting'] {
  const { shelf, waiting } = state;
  if (waiting.length === 0) return [];
  const isHere = ({ want }: { readonly want: Want }): boolean => shelf.isRecorded?.(want) !== false;
  const here = waiting.filter(isHere).slice(0, looksMax);
  const taken = new Set(here);
  if (taken.size > 0) state.waiting = waiting.filter((one) => !taken.has(one));
  return here;
}

/** Looks one use up, and asks for what it means. @returns false: nothing more is to be looked up now. */
function look(state: State, index: number, wants: Want[]): boolean {
  const { profile, tree, counts, paths } = state;
  const use = profile.uses[index];
  if (use === undefined) return false;
  if (use.kind === 'file' && use.chunk === 0 && paths.get(use.path) === true) {
    counts.overtaken++;
    return true;
  }
  const met = meetUse(tree, use);
  if (met.kind === 'miss') lack(state, index, met.want, wants);
  else if (met.kind === 'failure') counts.absent++;
  else if (met.value !== undefined) ask(state, index, met.value, wants);
  else if (use.kind === 'file') counts.absent++;
  return true;
}

/** A catalog is asked for once; one that does not come costs the uses below it. */
function lack(state: State, index: number, want: Want, wants: Want[]): void {
  const key = wantKey(want);
  if (!state.catalogsAsked.has(key)) {
    state.catalogsAsked.add(key);
    wants.push(want);
  }
  if (state.profile.uses[index]?.kind === 'file') state.waiting.push({ index, want });
}

function ask(state: State, index: number, met: MetUse, wants: Want[]): void {
  const { shelf, counts, asked } = state;
  const { entry, want, offset, isChanged } = met;
  if (isChanged) counts.changed++;
  if (shelf.isRecorded?.(want) === true) {
    counts.overtaken++;
    return;
  }
  const { bytes } = want.size;
  asked.set(entry.node, [...(asked.get(entry.node) ?? []), { index, offset, bytes }]);
  state.askedCount++;
  state.askedBytes += bytes;
  counts.asked++;
  counts.askedBytes += bytes;
  wants.push(want);
}
