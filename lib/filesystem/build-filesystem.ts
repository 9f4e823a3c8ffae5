import type { Shelf } from '../store/shelf.js';
import { done, type Outcome, andThen } from '../store/want.js';
import type { InodeNumbers } from '../tree/inode-table.js';
import { openTree } from '../tree/open-tree.js';
import type { NodeId } from '../tree/entry.js';
import type { Tree } from '../tree/tree.js';
import { openAhead, type Ahead } from './ahead.js';
import type { Filesystem } from './filesystem.js';
import type { LiveFacts } from './live-facts.js';
import { openFilesystem } from './open-filesystem.js';
import { openProfileAhead } from './profile-ahead.js';
import { openReadAhead } from './read-ahead.js';
import { prepareContent } from './reading.js';
import type { SnapshotDescriptor } from './snapshot-descriptor.js';

export interface BuiltFilesystem {
  readonly filesystem: Filesystem;
  readonly tree: Tree;
  readonly ahead: Ahead;
  readonly close: () => void;
}

/**
 * Builds the filesystem of a snapshot over a shelf, in whatever thread this runs.
 * A Miss if the root catalog isn't on the shelf; a Failure if it can't be used.
 * @param inodes how inode numbers are shown; none: with their 63 bits.
 */
export function buildFilesystem(
  descriptor: SnapshotDescriptor,
  shelf: Shelf,
  live: () => LiveFacts,
  inodes?: InodeNumbers,
): Outcome<BuiltFilesystem> {
  return andThen(openTree(descriptor.root, shelf, descriptor.tree, inodes), (tree) => {
    const filesystem = openFilesystem(tree, shelf, descriptor.identity, live);
    const prepare = (node: NodeId): void => prepareContent(tree, shelf, node);
    const { profile } = descriptor;
    const foretold = profile && openProfileAhead(profile, tree, shelf);
    const ahead = openAhead(tree, prepare, openReadAhead(tree, shelf), foretold);
    return done({ filesystem, tree, ahead, close: () => tree.close() });
  });
}
