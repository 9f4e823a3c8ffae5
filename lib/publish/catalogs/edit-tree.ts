import { printable, type ByteString } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { loadDirectory, readBase, type BaseCatalog, type ReadCatalog } from './base-catalog.js';
import { directoryNode, plainAttributes, type DirectoryNode, type TreeNode } from './tree-node.js';

/** The tree of a revision, to be changed; only the catalogs are opened through which a path leads. */
export interface EditedTree {
  readonly root: DirectoryNode;
  /** What is at a path; undefined: nothing. */
  find(path: ByteString): Promise<TreeNode | undefined>;
  /** Puts something there, in place of what was; directories above it are made. @throws PinfsError PUBLISH_PATH */
  put(path: ByteString, node: TreeNode): Promise<void>;
  /** @returns whether it was there. */
  remove(path: ByteString): Promise<boolean>;
}

/** @param time of directories that are made on the way (seconds since 1970). */
export async function editTree(
  base: BaseCatalog | undefined,
  read: ReadCatalog,
  time: number,
): Promise<EditedTree> {
  let root =
    base === undefined ? directoryNode(plainAttributes(0o755, time)) : await loadDirectory(base);

  const childrenOf = async (directory: DirectoryNode): Promise<Map<ByteString, TreeNode>> => {
    if (directory.children !== undefined) return directory.children;
    const link = directory.sealed?.kind === 'nested' ? directory.sealed.link : undefined;
    if (link === undefined) {
      const what = 'shows another revision: nothing can be changed there';
      throw new PinfsError('PUBLISH_PATH', `a directory on the way ${what}`);
    }
    const loaded = await loadDirectory(await readBase(read, link));
    directory.children = loaded.children ?? new Map<ByteString, TreeNode>();
    return directory.children;
  };

  /** The directory above a path; undefined: there is none, and none is to be made. */
  const parentOf = async (path: ByteString, make: boolean): Promise<DirectoryNode | undefined> => {
    let directory = root;
    let at = '';
    for (const name of path.split('/').slice(1, -1)) {
      at += `/${name}`;
      const children = await childrenOf(directory);
      let next = children.get(name);
      if (next === undefined) {
        if (!make) return undefined;
        next = directoryNode(plainAttributes(0o755, time));
        children.set(name, next);
      }
      if (next.type !== 'directory') {
        if (!make) return undefined;
        const what = `${printable(at)} is no directory in the repository`;
        throw new PinfsError('PUBLISH_PATH', what, { advice: 'Delete it: --delete PATH.' });
      }
      directory = next;
    }
    return directory;
  };
  const nameOf = (path: ByteString): ByteString => path.slice(path.lastIndexOf('/') + 1);

  return {
    get root() {
      return root;
    },
    async find(path) {
      if (path === '') return root;
      const parent = await parentOf(path, false);
      return parent && (await childrenOf(parent)).get(nameOf(path));
    },
    async put(path, node) {
      if (path === '') {
        if (node.type !== 'directory')
          throw new PinfsError('PUBLISH_PATH', 'the root of a repository is a directory');
        root = node;
        return;
      }
      const parent = await parentOf(path, true);
      if (parent !== undefined) (await childrenOf(parent)).set(nameOf(path), node);
    },
    async remove(path) {
      const parent = path === '' ? undefined : await parentOf(path, false);
      return parent !== undefined && (await childrenOf(parent)).delete(nameOf(path));
    },
  };
}
