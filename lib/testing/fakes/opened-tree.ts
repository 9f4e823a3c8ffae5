import type { ByteString } from '../../format/bytes.js';
import type { Entry } from '../../tree/entry.js';
import { openTree } from '../../tree/open-tree.js';
import type { Tree } from '../../tree/tree.js';
import { genuine } from '../genuine.js';
import { rootWant, storedIn, testShelf, type TestShelf } from './memory-shelf.js';
import type { MadeRepository } from '../../publish/write-repository.js';

/** A tree and the shelf below it, for the time of a test. */
export interface OpenedTree {
  readonly tree: Tree;
  readonly shelf: TestShelf;
}

/** A test, as far as it says when to clean up. */
interface Ending {
  teardown(clean: () => void): unknown;
}

export const treeOptions = { variables: {}, owner: { uid: 0, gid: 0 } };

/** The genuine repository with every feature, its head and the tag that its bind mountpoint `v5-bulk` shows. */
export const features = () => storedIn([genuine('features-sha1', 'features-sha1.example.org')]);
export const featuresHead = '0f79967b3c3314d9d60afa9c3d0f15c4f5af8bec';
export const featuresTagged = '722e3e95534c23a6eafe01e1b31da91db48ce842';

/** Opens the head of a made repository; closed again when the test ends. */
export function openMade(t: Ending, made: MadeRepository): OpenedTree {
  const shelf = testShelf((path) => made.files.get(path));
  t.teardown(() => shelf.close());
  return { shelf, tree: openAt(t, shelf, made.head.rootHash.text) };
}

export function openAt(t: Ending, shelf: TestShelf, hash: string): Tree {
  const tree = shelf.must(() => openTree(rootWant(hash), shelf, treeOptions));
  t.teardown(() => tree.close());
  return tree;
}

/** All entries of a directory, read in pages of `limit`. */
export function listAll({ tree, shelf }: OpenedTree, path: ByteString, limit = 1000): Entry[] {
  const { node } = shelf.must(() => tree.resolve(path));
  const entries: Entry[] = [];
  for (let after = 0, end = false; !end;) {
    const page = shelf.must(() => tree.list(node, after, limit));
    if (page.entries.length === 0 && !page.end)
      throw new Error('an empty page that is not the last');
    entries.push(...page.entries);
    after = page.cookies.at(-1) ?? after;
    end = page.end;
  }
  return entries;
}

/** Everything listed below a path. */
export function walkAll(opened: OpenedTree, path: ByteString): Entry[] {
  return listAll(opened, path).flatMap((entry) => [
    entry,
    ...(entry.type === 'directory' ? walkAll(opened, entry.path) : []),
  ]);
}
