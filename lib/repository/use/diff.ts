import { errno } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import type { ByteString } from '../../format/bytes.js';
import { wantKey } from '../../store/want.js';
import type { Chunk, Entry, NodeId } from '../../tree/entry.js';
import { failureError, valueOf } from './path.js';
import type { Reached } from './reach.js';

/* What two snapshots have not in common, from their catalogs alone: no content is read. */

/** In what two entries differ. */
export type Difference =
  'type' | 'content' | 'target' | 'device' | 'mode' | 'owner' | 'attributes' | 'time';

/** One path at which two snapshots differ. */
export interface PathChange {
  readonly kind: 'added' | 'removed' | 'changed';
  readonly path: ByteString;
  /** Undefined: it was added. */
  readonly before: Entry | undefined;
  /** Undefined: it was removed. */
  readonly after: Entry | undefined;
  /** Of what was changed; else empty. */
  readonly differences: readonly Difference[];
}

/** How a comparison went, as it goes. */
export interface DiffProgress {
  /** Pairs of directories that were read. */
  directories: number;
  /** Catalogs with the same hash on both sides: all below them is the same, and was not looked at. */
  skipped: number;
}

export interface DiffOptions {
  /** Only what is at or below this path; no symlink of it is followed. */
  readonly path: ByteString;
  /** Told of what could not be compared; the rest is. May throw to end it. */
  readonly problem: (path: ByteString, thrown: unknown) => void;
  readonly progress?: DiffProgress;
}

interface Side extends Reached {
  /** Keys of the catalogs that one catalog lists, by mountpoint; by the number of the catalog. */
  readonly listed: Map<number, ReadonlyMap<ByteString, string>>;
}

/** The two entries of a path, and the directories that they stand in. */
interface Pair {
  readonly path: ByteString;
  readonly entries: readonly [Entry | undefined, Entry | undefined];
  /** Undefined: the path that the comparison begins with. */
  readonly directories: readonly [NodeId, NodeId] | undefined;
}

// A catalog may list tens of thousands, and is left behind when the walk leaves it.
const catalogsKeptMax = 64;
const pageEntriesMax = 1000;

/**
 * Where two snapshots differ at or below a path, in the order of a walk: what is in a directory stands
 * behind it, in the order of the bytes of its names. A subtree whose catalog is the same on both sides is
 * not looked at, and its catalog not fetched. Content is compared by the hashes under which it is stored:
 * what was compressed in another way differs.
 * @throws PinfsError NOT_FOUND: neither has the path; what can't be read of it; what `options.problem` throws.
 */
export async function* diffTrees(
  before: Reached,
  after: Reached,
  options: DiffOptions,
): AsyncGenerator<PathChange> {
  const progress = options.progress ?? { directories: 0, skipped: 0 };
  const sides = [sideOf(before), sideOf(after)] as const;
  const pending: Pair[] = [await firstPair(sides, options.path)];
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    try {
      const change = await changeOf(sides, pair);
      if (change !== undefined) yield change;
      if (!pair.entries.some(isDirectory)) continue;
      if (await haveOneCatalog(sides, pair)) {
        progress.skipped += 1;
        continue;
      }
      progress.directories += 1;
      pending.push(...(await pairsBelow(sides, pair)).reverse());
    } catch (thrown) {
      options.problem(pair.path, thrown);
    }
  }
}

type Sides = readonly [Side, Side];

function sideOf(snapshot: Reached): Side {
  const { tree } = snapshot;
  return { tree, run: (operation, signal) => snapshot.run(operation, signal), listed: new Map() };
}

async function firstPair(sides: Sides, asked: ByteString): Promise<Pair> {
  const path = asked.replace(/\/+$/, '');
  const entries = await both(sides, async (side) => {
    const outcome = await side.run(() => side.tree.resolve(path));
    if (outcome.kind === 'done') return outcome.value;
    const isAbsent = outcome.errno === errno.ENOENT || outcome.errno === errno.ENOTDIR;
    if (isAbsent && outcome.error === undefined) return undefined;
    throw failureError(outcome, path);
  });
  if (entries[0] === undefined && entries[1] === undefined)
    throw failureError({ kind: 'failure', errno: errno.ENOENT }, path);
  return { path, entries, directories: undefined };
}

/** Both sides at once. */
function both<T>(sides: Sides, work: (side: Side, index: 0 | 1) => Promise<T>): Promise<[T, T]> {
  return Promise.all([work(sides[0], 0), work(sides[1], 1)]);
}

function isDirectory(entry: Entry | undefined): entry is Entry {
  return entry?.type === 'directory' && entry.broken === undefined;
}

async function changeOf(sides: Sides, pair: Pair): Promise<PathChange | undefined> {
  const { path } = pair;
  const [before, after] = pair.entries;
  const one = { path, before, after, differences: [] };
  if (before === undefined) return { ...one, kind: 'added' };
  if (after === undefined) return { ...one, kind: 'removed' };
  const chunks = needChunks(before, after)
    ? await both(sides, (side, index) =>
        valueOf(side, path, () => side.tree.chunks((index === 0 ? before : after).node)),
      )
    : undefined;
  const differences = differencesOf(before, after, chunks);
  return differences.length === 0 ? undefined : { ...one, kind: 'changed', differences };
}

/** Whether only the lists of their chunks tell if the content of two files is the same. */
function needChunks(before: Entry, after: Entry): boolean {
  return (
    before.content?.chunked === true &&
    after.content?.chunked === true &&
    before.size === after.size &&
    (before.content.hash === undefined || after.content.hash === undefined)
  );
}

/**
 * In what two entries of the same path differ. Sizes and numbers of links of directories say nothing that
 * their entries don't; which names are hard links of each other is not compared.
 * @param chunks the lists of chunks of both, where they decide (`content.hash` is lacking).
 */
function differencesOf(
  before: Entry,
  after: Entry,
  chunks?: readonly [readonly Chunk[], readonly Chunk[]],
): Difference[] {
  const differences: Difference[] = [];
  const note = (difference: Difference, differs: boolean): void => {
    if (differs) differences.push(difference);
  };
  const isSameType = before.type === after.type;
  note('type', !isSameType);
  note('content', isSameType && !isSameContent(before, after, chunks));
  note('target', isSameType && before.rawTarget !== after.rawTarget);
  note('device', isSameType && before.rdev !== after.rdev);
  note('mode', isSameType && (before.mode & 0o7777) !== (after.mode & 0o7777));
  note('owner', before.uid !== after.uid || before.gid !== after.gid);
  note('attributes', !haveSameAttributes(before.xattrs, after.xattrs));
  note('time', before.mtime !== after.mtime || before.mtimeNs !== after.mtimeNs);
  return differences;
}

function isSameContent(
  before: Entry,
  after: Entry,
  chunks: readonly [readonly Chunk[], readonly Chunk[]] | undefined,
): boolean {
  if (before.type !== 'file') return true;
  if (before.size !== after.size || (before.broken === undefined) !== (after.broken === undefined))
    return false;
  const [one, other] = [before.content?.hash, after.content?.hash];
  if (one !== undefined && other !== undefined) return one.text === other.text;
  if (chunks === undefined) return one === other;
  const [some, others] = chunks;
  return (
    some.length === others.length &&
    some.every((chunk, index) => {
      const { offset, object } = others[index] ?? chunk;
      return chunk.offset === offset && chunk.object.hash.text === object.hash.text;
    })
  );
}

function haveSameAttributes(before: Entry['xattrs'], after: Entry['xattrs']): boolean {
  if ((before?.size ?? 0) !== (after?.size ?? 0)) return false;
  return [...(before ?? [])].every(([name, value]) => after?.get(name)?.equals(value) === true);
}

/** Whether the same catalog serves a directory on both sides. */
async function haveOneCatalog(sides: Sides, pair: Pair): Promise<boolean> {
  const [before, after] = pair.entries;
  if (!isDirectory(before) || !isDirectory(after)) return false;
  const { path, directories } = pair;
  if (directories === undefined) {
    const [one, other] = await both(sides, (side, index) =>
      valueOf(side, path, () => side.tree.catalogOf((index === 0 ? before : after).node)),
    );
    return one.mountpoint === other.mountpoint && wantKey(one.want) === wantKey(other.want);
  }
  if (!isMountpoint(before) || !isMountpoint(after)) return false;
  const [one, other] = await both(sides, (side, index) =>
    listedKey(side, directories[index], path),
  );
  return one !== undefined && one === other;
}

function isMountpoint(entry: Entry): boolean {
  return entry.nestedMountpoint || entry.bindMountpoint;
}

/** The catalog that is listed for a mountpoint, which need not be here for that. */
async function listedKey(
  side: Side,
  directory: NodeId,
  path: ByteString,
): Promise<string | undefined> {
  const catalog = await valueOf(side, path, () => side.tree.catalogOf(directory));
  let keys = side.listed.get(catalog.number);
  if (keys === undefined) {
    const { catalogs } = await valueOf(side, path, () => side.tree.nested(catalog));
    keys = new Map(catalogs.map(({ mountpoint, want }) => [mountpoint, wantKey(want)]));
    if (side.listed.size >= catalogsKeptMax) side.listed.clear();
    side.listed.set(catalog.number, keys);
  }
  return keys.get(path);
}

async function pairsBelow(sides: Sides, { path, entries }: Pair): Promise<Pair[]> {
  const [before, after] = await both(sides, (side, index) => childrenOf(side, entries[index]));
  const names = [...new Set([...before.keys(), ...after.keys()])].sort();
  const directories = [entries[0]?.node ?? 0, entries[1]?.node ?? 0] as const;
  return names.map((name) => ({
    path: `${path}/${name}`,
    entries: [before.get(name), after.get(name)],
    directories,
  }));
}

/** Entries by name; of what is no directory, none. */
async function childrenOf(
  side: Side,
  directory: Entry | undefined,
): Promise<ReadonlyMap<ByteString, Entry>> {
  const children = new Map<ByteString, Entry>();
  if (!isDirectory(directory)) return children;
  let after = 0;
  for (;;) {
    const from = after;
    const page = await valueOf(side, directory.path, () =>
      side.tree.list(directory.node, from, pageEntriesMax),
    );
    for (const entry of page.entries) children.set(entry.name, entry);
    const last = page.cookies.at(-1);
    if (page.end || last === undefined) return children;
    after = last;
  }
}

/** The first change that is more than one of times, if there is one. @throws PinfsError as `diffTrees`. */
export async function firstChange(
  before: Reached,
  after: Reached,
  path: ByteString,
): Promise<PathChange | undefined> {
  const problem = (_: ByteString, thrown: unknown): never => {
    throw thrown;
  };
  try {
    for await (const change of diffTrees(before, after, { path, problem }))
      if (!isOfTimeAlone(change)) return change;
  } catch (thrown) {
    // Neither had it, so nothing changed.
    if (!(thrown instanceof PinfsError) || thrown.code !== 'NOT_FOUND') throw thrown;
  }
  return undefined;
}

/** Whether nothing but times differs: each publication touches directories. */
export function isOfTimeAlone({ kind, differences }: PathChange): boolean {
  return kind === 'changed' && differences.every((difference) => difference === 'time');
}
