import type { ByteString } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import type { Dirtab } from './dirtab.js';
import {
  automaticMarker,
  namesInOrder,
  nestedMarker,
  type DirectoryNode,
  type FileNode,
} from './tree-node.js';

/** Where catalogs begin besides the directories that ask for it themselves. */
export interface NestingRules {
  readonly dirtab: Dirtab | undefined;
  /** A catalog with more entries is divided. */
  readonly entriesMax: number;
  /** What a directory needs to become one where another is divided. */
  readonly entriesMin: number;
  /** An empty file, as it is stored: it marks where a catalog begins. */
  readonly marker: FileNode;
}

export const usualEntriesMax = 200_000;
export const usualEntriesMin = 1000;

/**
 * Says of each directory that was looked into whether it begins a nested catalog: it has the file `.cvmfscatalog`, or
 * gets it here.
 * @throws PinfsError PUBLISH_PATH
 */
export function placeCatalogs(root: DirectoryNode, rules: NestingRules): void {
  if (root.children?.has(nestedMarker) === true) {
    throw new PinfsError('PUBLISH_PATH', `${nestedMarker} stands in the root of the repository`, {
      advice:
        'The root has a catalog always: remove that file from the tree, or publish it --at a directory.',
    });
  }
  markAsked('', root, rules);
  divide(root, rules);
  root.nested = false;
}

function markAsked(path: ByteString, directory: DirectoryNode, rules: NestingRules): void {
  const { children, sealed, hidden } = directory;
  if (children === undefined) return;
  if (path !== '' && !children.has(nestedMarker) && rules.dirtab?.(path) === true)
    children.set(nestedMarker, markerIn(directory, rules));
  // The reference's own hidden directory has a catalog without saying so.
  directory.nested = children.has(nestedMarker) || (hidden && sealed?.kind === 'nested');
  for (const [name, child] of children)
    if (child.type === 'directory') markAsked(`${path}/${name}`, child, rules);
}

/** @returns how many entries it has in its catalog, itself among them. */
function divide(directory: DirectoryNode, rules: NestingRules): number {
  const weights = new Map<DirectoryNode, number>();
  let weight = 1;
  for (const [, child] of namesInOrder(directory.children ?? new Map())) {
    const isDirectory = child.type === 'directory' && child.children !== undefined;
    const below = isDirectory ? divide(child, rules) : 1;
    if (isDirectory && !child.nested) weights.set(child, below);
    weight += child.type === 'directory' && child.nested ? 1 : below;
  }
  while (weight > rules.entriesMax) {
    let heaviest: DirectoryNode | undefined;
    let most = rules.entriesMin - 1;
    for (const [child, below] of weights) {
      if (below <= most) continue;
      heaviest = child;
      most = below;
    }
    if (heaviest === undefined) break;
    for (const name of [nestedMarker, automaticMarker])
      heaviest.children?.set(name, markerIn(heaviest, rules));
    heaviest.nested = true;
    weights.delete(heaviest);
    weight -= most - 1;
  }
  return weight;
}

/** With the times of its directory, so that it is the same in each revision. */
function markerIn({ uid, gid, mtime, mtimeNs }: DirectoryNode, { marker }: NestingRules): FileNode {
  return { ...marker, uid, gid, mtime, mtimeNs };
}
