import type { ByteString } from '../../format/bytes.js';
import { loadDirectory, readBase, type ReadCatalog } from './base-catalog.js';
import { namesInOrder, type DirectoryNode, type TreeNode } from './tree-node.js';

/** What is different at one path of two trees. */
export interface TreeChange {
  readonly path: ByteString;
  readonly kind: 'added' | 'removed' | 'changed';
}

/** Where two trees differ, in order; what is in catalogs that both have is not looked at. */
export async function* treeChanges(
  read: ReadCatalog,
  before: DirectoryNode,
  now: DirectoryNode,
  path: ByteString = '',
): AsyncGenerator<TreeChange> {
  const isSealed = before.children === undefined && now.children === undefined;
  if (isSealed && before.sealed?.link.hash === now.sealed?.link.hash) return;
  const older = await childrenOf(read, before);
  const newer = await childrenOf(read, now);
  const names = namesInOrder(new Map([...older, ...newer])).map(([name]) => name);
  for (const name of names) {
    const [one, other] = [older.get(name), newer.get(name)];
    const below = `${path}/${name}`;
    if (one === undefined || other === undefined) {
      yield* all(read, one ?? other, below, one === undefined ? 'added' : 'removed');
      continue;
    }
    if (one.type !== other.type || factsOf(one) !== factsOf(other))
      yield { path: below, kind: 'changed' };
    if (one.type === 'directory' && other.type === 'directory')
      yield* treeChanges(read, one, other, below);
  }
}

async function* all(
  read: ReadCatalog,
  node: TreeNode | undefined,
  path: ByteString,
  kind: TreeChange['kind'],
): AsyncGenerator<TreeChange> {
  yield { path, kind };
  if (node?.type !== 'directory') return;
  for (const [name, child] of namesInOrder(await childrenOf(read, node)))
    yield* all(read, child, `${path}/${name}`, kind);
}

async function childrenOf(
  read: ReadCatalog,
  { children, sealed }: DirectoryNode,
): Promise<ReadonlyMap<ByteString, TreeNode>> {
  if (children !== undefined) return children;
  if (sealed?.kind !== 'nested') return new Map();
  return (await loadDirectory(await readBase(read, sealed.link))).children ?? new Map();
}

/** All that a reader sees of an entry itself. */
function factsOf(node: TreeNode): string {
  const { mode, uid, gid, mtime, mtimeNs, xattr } = node;
  const own =
    node.type === 'directory'
      ? []
      : node.type === 'file'
        ? [node.size, node.hash, ...(node.chunks ?? []).map(({ hash }) => hash)]
        : [node.type === 'symlink' ? node.target : node.rdev];
  return JSON.stringify([mode, uid, gid, mtime, mtimeNs, xattr?.toString('hex'), ...own]);
}
