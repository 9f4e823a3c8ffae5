import { existsSync } from 'node:fs';
import { openShelf } from '../../store/cache/open-shelf.js';
import { wantKey, type Done, type Failure, type Outcome } from '../../store/want.js';
import { createInodeTable, inodesSeenMax, type GivenNumber } from '../../tree/inode-table.js';
import { openTree } from '../../tree/open-tree.js';
import type { CatalogInfo, NestedCatalog, Tree } from '../../tree/tree.js';
import type { SnapshotDescriptor } from '../../filesystem/snapshot-descriptor.js';
import { ensureInodeFile, inBatches, inodeFile, modeOf } from './inode-files.js';

const pageRows = 512;
// Longer than this nobody waits for a mount: a tree of two million files takes about as much.
const settleMsMax = 20_000;

/**
 * Gives a number of 32 bits to every name of a snapshot at once, if all its catalogs are in the cache and nothing
 * was given yet. The numbers then depend on the snapshot alone: each lower word goes to the smallest number
 * of 63 bits that has it, and those that are left get the next free one, in ascending order.
 * @returns whether it was done, now or before; if not, numbers are given to names as they are seen.
 */
export async function settleInodes(descriptor: SnapshotDescriptor): Promise<boolean> {
  const place = descriptor.inodes;
  if (place === undefined) return false;
  try {
    if (!existsSync(inodeFile(place))) {
      const inodes = await collectInodes(descriptor);
      if (inodes === undefined) return false;
      ensureInodeFile(place, 'whole', inBatches(numbersOf(inodes)));
    }
    return modeOf(place) === 'whole';
  } catch {
    // Whoever opens the file will say what is wrong with the place.
    return false;
  }
}

/** What each of these gets: those that have their lower word come first. */
export function* numbersOf(inodes: BigUint64Array): Generator<GivenNumber> {
  const words = new Uint32Array(inodes.buffer, inodes.byteOffset, inodes.length * 2);
  // Sorted by the lower word, then by the upper one.
  swapWords(words);
  inodes.sort();
  swapWords(words);
  const table = createInodeTable();
  const left: (readonly [number, number])[] = [];
  for (let at = 0; at < words.length; at += 2) {
    const low = words[at] ?? 0;
    const high = words[at + 1] ?? 0;
    if (at > 0 && words[at - 2] === low && words[at - 1] === high) continue;
    if (table.restore({ low, high, number: low })) yield { low, high, number: low };
    else left.push([low, high]);
  }
  for (const [low, high] of left) {
    const number = table.numberOf(low, high);
    if (number !== low) yield { low, high, number };
  }
}

function swapWords(words: Uint32Array): void {
  for (let at = 0; at < words.length; at += 2) {
    const low = words[at] ?? 0;
    words[at] = words[at + 1] ?? 0;
    words[at + 1] = low;
  }
}

/** Asks without fetching; undefined: what it needs is not here. */
type Ask = <T>(operation: () => Outcome<T>) => Done<T> | Failure | undefined;

/** The numbers of 63 bits of everything in the catalogs of a snapshot; undefined: not all of them are here. */
async function collectInodes({
  cacheDirectory,
  cachePlace: at,
  root,
  tree: options,
}: SnapshotDescriptor): Promise<BigUint64Array | undefined> {
  const shelf = openShelf(cacheDirectory, { at });
  const run = {};
  const ask: Ask = (operation) => {
    // ALWAYS_MISS denies each object once.
    for (let denied = ''; ;) {
      shelf.beginRun(run);
      const outcome = operation();
      if (outcome.kind !== 'miss') return outcome;
      const key = wantKey(outcome.want);
      if (key === denied) return undefined;
      denied = key;
    }
  };
  try {
    const opened = ask(() => openTree(root, shelf, options));
    if (opened?.kind !== 'done') return undefined;
    const tree = opened.value;
    return await collectFrom(tree, ask).finally(() => {
      tree.close();
    });
  } finally {
    shelf.close();
  }
}

async function collectFrom(tree: Tree, ask: Ask): Promise<BigUint64Array | undefined> {
  const started = performance.now();
  const catalogs = await everyCatalog(tree, ask);
  if (catalogs === undefined) return undefined;
  let inodes = new BigUint64Array(2 ** 16);
  let count = 0;
  for (const catalog of catalogs) {
    for (let after: number | undefined = 0; after !== undefined;) {
      const from: number = after;
      const page = ask(() => tree.inodes(catalog, from, pageRows));
      if (page === undefined || isOfThisMachine(page)) return undefined;
      if (page.kind === 'failure') break;
      const { value } = page;
      const tooMany = count + value.inodes.length >= inodesSeenMax;
      if (tooMany || performance.now() - started > settleMsMax) return undefined;
      if (count + value.inodes.length > inodes.length) inodes = enlarged(inodes);
      inodes.set(value.inodes, count);
      count += value.inodes.length;
      after = value.next;
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  return inodes.slice(0, count);
}

function enlarged(inodes: BigUint64Array): BigUint64Array<ArrayBuffer> {
  const larger = new BigUint64Array(inodes.length * 2);
  larger.set(inodes);
  return larger;
}

/** What is damaged is so on every machine; any other failure says nothing of the snapshot. */
function isOfThisMachine(outcome: Done<unknown> | Failure): boolean {
  if (outcome.kind === 'done') return false;
  return outcome.error?.code.startsWith('CATALOG_') !== true;
}

/** All sound catalogs that mount points lead to, none twice; undefined: one is not here. */
async function everyCatalog(tree: Tree, ask: Ask): Promise<CatalogInfo[] | undefined> {
  const root = ask(() => tree.catalogOf(tree.root));
  if (root?.kind !== 'done') return undefined;
  const found = [root.value];
  const met = new Set([wantKey(root.value.want)]);
  for (const above of found) {
    const nested = ask(() => tree.nested(above));
    if (nested === undefined || isOfThisMachine(nested)) return undefined;
    if (nested.kind === 'failure') continue;
    for (const listed of nested.value.catalogs) {
      // What is bound into the tree is another snapshot: its names get their numbers when they are seen.
      if (listed.bind || met.has(wantKey(listed.want))) continue;
      met.add(wantKey(listed.want));
      const catalog = mountedAt(tree, ask, listed);
      if (catalog === undefined || isOfThisMachine(catalog)) return undefined;
      // Without a mount point that leads to it, nothing of it is shown.
      const isShown = catalog.kind === 'done' && catalog.value.mountpoint === listed.mountpoint;
      if (isShown && wantKey(catalog.value.want) === wantKey(listed.want))
        found.push(catalog.value);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return found;
}

/** The catalog that is shown at a listed place; of a place that is not there, that of the root. */
function mountedAt(
  tree: Tree,
  ask: Ask,
  { mountpoint }: NestedCatalog,
): Done<CatalogInfo> | Failure | undefined {
  const entry = ask(() => tree.resolve(mountpoint));
  if (entry === undefined) return undefined;
  return ask(() => tree.catalogOf(entry.kind === 'done' ? entry.value.node : tree.root));
}
