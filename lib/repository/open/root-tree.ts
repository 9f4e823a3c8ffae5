import { asPinfsError } from '../../format/errors.js';
import { runOperation } from '../../store/run.js';
import type { Want } from '../../store/want.js';
import { openTree } from '../../tree/open-tree.js';
import type { Tree } from '../../tree/tree.js';
import type { Opening } from './opening.js';

/**
 * The tree of a root catalog that something verified names, as it was published. The catalog stays in use until the tree
 * is closed.
 * @throws PinfsError OBJECT_*, CATALOG_*, SOURCE_*.
 */
export async function openRoot(
  { store }: Pick<Opening, 'store'>,
  root: Want,
  signal: AbortSignal,
): Promise<Tree> {
  const options = { variables: {}, owner: { uid: 0, gid: 0 } };
  store.hold(root);
  const opened = await runOperation(() => openTree(root, store.shelf, options), store, {
    signal,
    brief: true,
  }).catch((thrown: unknown) => {
    store.release(root);
    throw thrown;
  });
  if (opened.kind === 'failure') {
    store.release(root);
    throw asPinfsError(opened.error);
  }
  const tree = opened.value;
  return {
    ...tree,
    close() {
      tree.close();
      store.release(root);
    },
  };
}
