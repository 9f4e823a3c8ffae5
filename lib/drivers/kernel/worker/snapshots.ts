import type { NodeId } from '../../../tree/entry.js';
import { rootNode } from '../protocol/constants.js';
import type { ServedFilesystem } from './filesystem-maker.js';

/**
 * The snapshots that the kernel may hold nodes of, and the translation of node ids.
 *
 * A node id of the kernel is the tree's own number with the number of the snapshot (the epoch) in its
 * eleven highest bits, so it is never 0 or 1 and no table of nodes is needed. Only the root, which
 * the protocol fixes as 1, stands for the root of whatever snapshot is current. The bit below the
 * epoch says that no extended attribute is stored with the node: `ls -l` asks for some that nearly
 * nobody has, one by one, and finding the row again for each costs ten times the request.
 * Lookup counts serve one thing: to know when nobody holds a node of a replaced snapshot any more, so
 * that it can be closed, and its epoch given to another. Hence one number for each snapshot is exact enough,
 * whatever the tree's size. A mount that follows its head for years may run out of epochs that the kernel
 * has forgotten: that is why each snapshot has a generation as well, which never comes again. It goes with
 * every entry, so that the kernel does not take a new node for an old one with its id, and is in every handle.
 */
export interface ServedSnapshot extends ServedFilesystem {
  readonly epoch: number;
  readonly generation: number;
  /** Lookups that the kernel has not yet forgotten, summed over all nodes. */
  lookups: number;
  /** Files and directories that are open. */
  opens: number;
}

export interface Snapshots {
  current: ServedSnapshot;
  readonly byEpoch: Map<number, ServedSnapshot>;
  /** Lookups that the kernel has not yet forgotten of snapshots that are closed, by epoch. */
  readonly unforgotten: Map<number, number>;
  /** Forgets that did not fit the counts: a fault of the kernel's or ours. */
  oddForgets: number;
}

// A tree has no more catalogs than this (lib/tree/catalog/catalogs.ts).
const catalogBits = 20;
const catalogMask = (1 << catalogBits) - 1;
const plainBit = 1 << catalogBits;
const epochShift = catalogBits + 1;
const epochs = 1 << (32 - epochShift);
const two32 = 2 ** 32;
// Snapshots that are kept for whoever still stands in them; the oldest goes first, and those in which files
// are open go only when there are far too many.
const snapshotsKeptMax = 8;
const openSnapshotsMax = 32;

export function openSnapshots(built: ServedFilesystem): Snapshots {
  const current: ServedSnapshot = { ...built, epoch: 1, generation: 1, lookups: 0, opens: 0 };
  return { current, byEpoch: new Map([[1, current]]), unforgotten: new Map(), oddForgets: 0 };
}

/**
 * Goes over to another snapshot; the old one stays until the kernel forgets its nodes.
 * @param opensAreTold false: a pin's kernel asks for no OPEN, so that files may be open in any of them
 */
export function replaceSnapshot(
  snapshots: Snapshots,
  built: ServedFilesystem,
  opensAreTold = true,
): void {
  const old = snapshots.current;
  const epoch = nextEpoch(snapshots);
  const lookups = snapshots.unforgotten.get(epoch) ?? 0;
  snapshots.unforgotten.delete(epoch);
  const generation = old.generation + 1;
  const current: ServedSnapshot = { ...built, epoch, generation, lookups, opens: 0 };
  snapshots.byEpoch.set(epoch, current);
  snapshots.current = current;
  closeIfForgotten(snapshots, old);
  if (opensAreTold) closeOldest(snapshots, snapshotsKeptMax, ({ opens }) => opens === 0);
  closeOldest(snapshots, openSnapshotsMax, () => true);
}

/** The next one that the kernel has forgotten; if there is none, the next one that nobody stands in. */
function nextEpoch({ current, byEpoch, unforgotten }: Snapshots): number {
  const others = Array.from({ length: epochs - 2 }, (_, step) => {
    return ((current.epoch + step) % (epochs - 1)) + 1;
  }).filter((epoch) => !byEpoch.has(epoch));
  return others.find((epoch) => !unforgotten.has(epoch)) ?? others[0] ?? current.epoch;
}

function closeOldest(
  snapshots: Snapshots,
  most: number,
  may: (snapshot: ServedSnapshot) => boolean,
): void {
  for (const snapshot of [...snapshots.byEpoch.values()]) {
    if (snapshots.byEpoch.size <= most) return;
    if (snapshot !== snapshots.current && may(snapshot)) closeSnapshot(snapshots, snapshot);
  }
}

function closeIfForgotten(snapshots: Snapshots, snapshot: ServedSnapshot): void {
  if (snapshot !== snapshots.current && snapshot.lookups === 0) closeSnapshot(snapshots, snapshot);
}

function closeSnapshot(snapshots: Snapshots, snapshot: ServedSnapshot): void {
  snapshots.byEpoch.delete(snapshot.epoch);
  if (snapshot.lookups > 0) snapshots.unforgotten.set(snapshot.epoch, snapshot.lookups);
  snapshot.close();
}

export function closeSnapshots(snapshots: Snapshots): void {
  for (const snapshot of snapshots.byEpoch.values()) snapshot.close();
  snapshots.byEpoch.clear();
}

/** The snapshot of a kernel node id; undefined: none that is still there. */
export function snapshotOf(
  snapshots: Snapshots,
  nodeLow: number,
  nodeHigh: number,
): ServedSnapshot | undefined {
  const { current } = snapshots;
  const epoch = nodeHigh >>> epochShift;
  if (epoch === current.epoch) return current;
  if (epoch === 0) return nodeHigh === 0 && nodeLow === rootNode ? current : undefined;
  return snapshots.byEpoch.get(epoch);
}

/** The tree's number in a kernel node id. */
export function treeNode(snapshot: ServedSnapshot, nodeLow: number, nodeHigh: number): NodeId {
  if (nodeHigh === 0) return snapshot.filesystem.root;
  return (nodeHigh & catalogMask) * two32 + nodeLow;
}

export function kernelNodeLow(node: NodeId): number {
  return node >>> 0;
}

/** `plain`: no extended attribute is stored with it. */
export function kernelNodeHigh(snapshot: ServedSnapshot, node: NodeId, plain: boolean): number {
  return ((snapshot.epoch << epochShift) | (plain ? plainBit : 0) | Math.floor(node / two32)) >>> 0;
}

/** Whether a node id says that no extended attribute is stored with its node. */
export function isPlain(nodeHigh: number): boolean {
  return (nodeHigh & plainBit) !== 0;
}

/** Takes back `count` lookups of a node; of its id only the upper word matters. */
export function forget(snapshots: Snapshots, nodeHigh: number, count: number): void {
  // The root is never looked up, hence never counted.
  if (nodeHigh === 0) return;
  const epoch = nodeHigh >>> epochShift;
  const snapshot = snapshots.byEpoch.get(epoch);
  const left = (snapshot?.lookups ?? snapshots.unforgotten.get(epoch) ?? 0) - count;
  if (left < 0) snapshots.oddForgets += 1;
  if (snapshot !== undefined) {
    snapshot.lookups = Math.max(0, left);
    closeIfForgotten(snapshots, snapshot);
  } else if (left > 0) snapshots.unforgotten.set(epoch, left);
  else snapshots.unforgotten.delete(epoch);
}

/** The handle of what is opened in a snapshot. It is never 0: that is what comes where nothing was opened. */
export function openHandle(snapshot: ServedSnapshot): number {
  snapshot.opens += 1;
  return snapshot.generation * epochs + snapshot.epoch;
}

/** The snapshot in which something was opened; undefined: it is not there any more. */
export function snapshotOfHandle(snapshots: Snapshots, handle: number): ServedSnapshot | undefined {
  const snapshot = snapshots.byEpoch.get(handle % epochs);
  return snapshot?.generation === Math.floor(handle / epochs) ? snapshot : undefined;
}

export function closeHandle(snapshots: Snapshots, handle: number): void {
  const snapshot = snapshotOfHandle(snapshots, handle);
  if (snapshot !== undefined) snapshot.opens = Math.max(0, snapshot.opens - 1);
}

/** As above; an open directory counted for a lookup. */
export function closeDirectoryHandle(snapshots: Snapshots, handle: number): void {
  closeHandle(snapshots, handle);
  forget(snapshots, (handle % epochs) << epochShift, 1);
}
