import { setImmediate as turn } from 'node:timers/promises';
import { PinfsError } from '../../format/errors.js';
import { eachObject } from '../../store/cache/contents.js';
import { openShelf } from '../../store/cache/open-shelf.js';
import { partsOfKey, type ObjectKey } from '../../store/key.js';
import { failureOf, runNow } from '../../store/run.js';
import type { Shelf } from '../../store/shelf.js';
import {
  sizeLimits,
  wantKey,
  type Done,
  type Failure,
  type Outcome,
  type Want,
} from '../../store/want.js';
import { openTree } from '../../tree/open-tree.js';
import type { Tree } from '../../tree/tree.js';
import { reachCatalogs, reachObjects, type Reached } from './reach.js';

/** Objects, and their plain bytes. */
export interface CachedAmount {
  objects: number;
  bytes: number;
}

/** A snapshot whose root catalog is in a cache, and what the cache has of it. */
export interface CachedSnapshot {
  readonly rootHash: string;
  readonly revision: number;
  /** Seconds since 1970. */
  readonly published: number;
  readonly all: CachedAmount;
  /** What no other snapshot here has. */
  readonly alone: CachedAmount;
}

export interface CachedSnapshots {
  readonly snapshots: readonly CachedSnapshot[];
  /** What belongs to no snapshot whose catalogs are here: certificates, histories, what is left of others. */
  readonly rest: CachedAmount;
}

interface Known {
  readonly bytes: number;
  /** The number of the snapshot that has it; or `shared` by several; undefined: none. */
  owner: number | 'shared' | undefined;
}

/** Which snapshots a cache has anything of, found by its root catalogs. Nothing is fetched. @throws PinfsError CACHE_UNUSABLE. */
export async function cachedSnapshots(directory: string): Promise<CachedSnapshots> {
  const objects = new Map<string, Known>();
  const catalogs: ObjectKey[] = [];
  await eachObject(directory, ({ key, bytes }) => {
    objects.set(key, { bytes, owner: undefined });
    if (partsOfKey(key).object.kind === 'catalog') catalogs.push(key);
  });
  const snapshots: CachedSnapshot[] = [];
  if (catalogs.length > 0) {
    const shelf = openShelf(directory);
    try {
      for (const key of catalogs) {
        // One that is nested in what was met is no root: it was made for its place.
        if (objects.get(key)?.owner !== undefined) continue;
        const found = await snapshotOf(shelf, key, objects, snapshots.length);
        if (found !== undefined) snapshots.push(found);
        await turn();
      }
    } finally {
      shelf.close();
    }
  }
  const rest = { objects: 0, bytes: 0 };
  for (const { bytes, owner } of objects.values()) {
    if (owner === 'shared') continue;
    const whose = owner === undefined ? rest : snapshots[owner]?.alone;
    if (whose !== undefined) add(whose, bytes);
  }
  return { snapshots, rest };
}

function add(amount: CachedAmount, bytes: number): void {
  amount.objects += 1;
  amount.bytes += bytes;
}

/** What is here of the snapshot with this root catalog; undefined: it is the root of none. */
async function snapshotOf(
  shelf: Shelf,
  key: ObjectKey,
  objects: ReadonlyMap<string, Known>,
  number: number,
): Promise<CachedSnapshot | undefined> {
  const root = rootWant(key);
  const opened = await readHere(shelf, objects, () =>
    openTree(root, shelf, { variables: {}, owner: { uid: 0, gid: 0 } }),
  );
  if (opened.kind !== 'done') return undefined;
  const tree: Tree = opened.value;
  const all = { objects: 0, bytes: 0 };
  const met = new Set<string>();
  const take = (want: Want): void => {
    const key = wantKey(want);
    const known = objects.get(key);
    if (known === undefined || met.has(key)) return;
    met.add(key);
    known.owner = known.owner === undefined ? number : 'shared';
    add(all, known.bytes);
  };
  const here: Reached = { tree, run: (operation) => readHere(shelf, objects, operation) };
  const reach = { problem: () => undefined, isOver: () => false };
  try {
    await reachCatalogs(
      here,
      { node: tree.root, path: '' },
      {
        ...reach,
        enters: ({ want }) => objects.has(wantKey(want)),
        async catalog(catalog) {
          take(catalog.want);
          for await (const { wants } of reachObjects(here, catalog, '', reach)) wants.forEach(take);
        },
      },
    );
  } finally {
    tree.close();
  }
  const { revision, lastModified } = tree.properties;
  const alone = { objects: 0, bytes: 0 };
  return { rootHash: root.object.hash.text, revision, published: lastModified, all, alone };
}

// With ALWAYS_MISS each object that is here is denied once.
const runsMax = 4096;

/** Runs an operation over what is here. */
function readHere<T>(
  shelf: Shelf,
  objects: ReadonlyMap<string, Known>,
  operation: () => Outcome<T>,
): Promise<Done<T> | Failure> {
  let before = '';
  for (let run = 0; run < runsMax; run++) {
    const outcome = runNow(operation, shelf);
    if (outcome.kind !== 'miss') return Promise.resolve(outcome);
    const key = wantKey(outcome.want);
    if (key === before || !objects.has(key)) break;
    before = key;
  }
  return Promise.resolve(failureOf(new PinfsError('SOURCE_OFFLINE', 'it is not in the cache')));
}

function rootWant(key: ObjectKey): Want {
  const { object, compression } = partsOfKey(key);
  return { object, compression, size: { kind: 'limit', bytes: sizeLimits.catalog }, path: '' };
}
