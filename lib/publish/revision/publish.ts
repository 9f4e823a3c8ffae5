import { printable, type ByteString } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { objectPath, parseHash, type ContentHash } from '../../format/hash.js';
import { buildTree, type LeftOut } from '../catalogs/build-tree.js';
import { loadDirectory, readBase } from '../catalogs/base-catalog.js';
import { treeChanges, type TreeChange } from '../catalogs/changes.js';
import { dirtabBytesMax, dirtabFile, parseDirtab, type Dirtab } from '../catalogs/dirtab.js';
import { editTree, type EditedTree } from '../catalogs/edit-tree.js';
import { placeCatalogs, usualEntriesMax, usualEntriesMin } from '../catalogs/nesting.js';
import {
  automaticMarker,
  plainAttributes,
  type DirectoryNode,
  type FileNode,
} from '../catalogs/tree-node.js';
import { writeCatalogs, type PublishedTree } from '../catalogs/write-catalogs.js';
import type { InputEntry } from '../input/entry.js';
import { commitHead, type Publication } from './commit.js';
import { readHead, type Head } from './head.js';
import { addTag, genericTagName, moveTrunk, type History, type TaggedRoot } from './history.js';
import { readObject } from './read-objects.js';

/** What a new revision is to be. */
export interface RevisionRequest extends Publication {
  /** Together they become what is at `at`; none: nothing is put there. */
  readonly inputs: readonly AsyncIterable<InputEntry>[];
  /** '' for the root, else '/a/b'. */
  readonly at: ByteString;
  readonly deletes: readonly ByteString[];
  readonly tag?: { readonly name: string; readonly message: string } | undefined;
  readonly mtimeNs: boolean;
  readonly crossDirectoryLinks: boolean;
  readonly keepGoing: boolean;
  /** A catalog with more entries is divided. */
  readonly entriesMax?: number;
  /** Told of directories that begin a catalog because something asked for it, among those that were looked into. */
  readonly asked?: (path: ByteString) => void;
  /** Nothing becomes visible; who asks is told what would be different. */
  readonly dryRun?: (change: TreeChange) => void;
}

/** What became of it. */
export interface RevisionReport {
  readonly fqrn: string;
  readonly revision: number;
  readonly rootHash: ContentHash;
  /** The root hash of the revision before. */
  readonly previous: ContentHash;
  /** Nothing is different: there is no new revision. */
  readonly isUnchanged: boolean;
  /** The name that it got. */
  readonly tag: string | undefined;
  /** Entries that were read. */
  readonly entries: number;
  /** New catalogs. */
  readonly catalogs: number;
  readonly leftOut: readonly LeftOut[];
}

/**
 * Publishes a new revision: the tree of the one before, with what is asked for. Whoever calls holds the lock of the
 * storage.
 * @throws PinfsError
 */
export async function publishRevision(request: RevisionRequest): Promise<RevisionReport> {
  const { fqrn, storage, time } = request;
  const head = await readHead(storage, fqrn, request.key);
  // Refused before anything is read.
  const root = headRoot(head);
  if (request.tag !== undefined) addTag(head.history, request.tag.name, noRoot, '');
  const read = (hash: ContentHash): Promise<Buffer> =>
    readObject(storage, { kind: 'catalog', hash });
  const base = await readBase(read, { path: '', hash: root.hash });
  const tree = await editTree(base, read, time);
  const changed = await applyChanges(request, tree);
  await nest(request, tree.root);
  if (request.asked !== undefined) tellAsked(tree.root, '', request.asked);
  if (request.dryRun !== undefined)
    for await (const change of treeChanges(read, await loadDirectory(base), tree.root))
      request.dryRun(change);
  const made = await writeCatalogs(tree.root, base, catalogSettings(request, false));
  return finish(request, head, made, changed);
}

// A name is refused whatever snapshot it is for.
const noRoot: TaggedRoot = { hash: '', revision: 0, timestamp: 0, size: 0 };

function headRoot({ manifest }: Head): TaggedRoot {
  const { rootHash, revision, published, rootSize } = manifest;
  return { hash: rootHash.text, revision, timestamp: published, size: rootSize ?? 0 };
}

function catalogSettings({ storage, writer, time }: Publication, always: boolean) {
  return {
    time,
    read: (hash: ContentHash) => readObject(storage, { kind: 'catalog', hash }),
    store: (plain: Buffer) => writer.storeBytes('catalog', plain),
    properties: {},
    always,
  };
}

interface Changes {
  readonly entries: number;
  readonly leftOut: readonly LeftOut[];
}

async function applyChanges(request: RevisionRequest, tree: EditedTree): Promise<Changes> {
  const { inputs, at, time, mtimeNs, crossDirectoryLinks, keepGoing } = request;
  for (const path of request.deletes) {
    if (await tree.remove(path)) continue;
    const text = `${printable(path) || '/'} is not in the repository, or is its root`;
    throw new PinfsError('PUBLISH_PATH', text, { advice: 'Look at what it has: pinfs ls SOURCE.' });
  }
  if (inputs.length === 0) return { entries: 0, leftOut: [] };
  const { root, entries, leftOut } = await buildTree(inputs, {
    time,
    mtimeNs,
    crossDirectoryLinks,
    keepGoing,
    before: (path) => tree.find(at + path),
  });
  const before = await tree.find(at);
  // What no tree can hold stays: the reference's own directory in the root.
  if (before?.type === 'directory' && at === '')
    for (const [name, node] of before.children ?? [])
      if (node.hidden) root.children?.set(name, node);
  await tree.put(at, root);
  return { entries, leftOut };
}

async function nest(request: RevisionRequest, root: DirectoryNode): Promise<void> {
  const { writer, entriesMax = usualEntriesMax } = request;
  const empty = await writer.store({ bytes: Buffer.alloc(0) });
  const marker: FileNode = {
    ...plainAttributes(0o644, 0),
    type: 'file',
    size: 0,
    algorithm: empty.algorithm,
    compression: empty.compression,
    external: false,
    directIo: false,
    hash: empty.hash?.text,
    chunks: undefined,
  };
  placeCatalogs(root, {
    dirtab: await readDirtab(request, root),
    entriesMax,
    // Of a lower limit the same part.
    entriesMin: Math.ceil((entriesMax / usualEntriesMax) * usualEntriesMin),
    marker,
  });
}

function tellAsked(
  { children, nested }: DirectoryNode,
  path: ByteString,
  tell: (path: ByteString) => void,
): void {
  if (children === undefined) return;
  if (nested && !children.has(automaticMarker)) tell(path);
  for (const [name, child] of children)
    if (child.type === 'directory') tellAsked(child, `${path}/${name}`, tell);
}

async function readDirtab(
  { storage }: Publication,
  root: DirectoryNode,
): Promise<Dirtab | undefined> {
  const node = root.children?.get(dirtabFile);
  if (node === undefined) return undefined;
  const hash = node.type === 'file' && !node.external ? parseHash(node.hash ?? '') : undefined;
  if (node.type !== 'file' || hash === undefined || node.size > dirtabBytesMax)
    throw new PinfsError('DIRTAB_MALFORMED', `${dirtabFile} is no small file`);
  const name = { kind: 'data', hash } as const;
  const plain =
    node.compression === 'none'
      ? (await storage.read(objectPath(name), dirtabBytesMax))?.bytes
      : await readObject(storage, name);
  return plain && parseDirtab(plain.toString('latin1'));
}

async function finish(
  request: RevisionRequest,
  head: Head,
  made: PublishedTree,
  { entries, leftOut }: Changes,
): Promise<RevisionReport> {
  const { fqrn, tag, time } = request;
  const isUnchanged = made.written === 0;
  const before = headRoot(head);
  const root = isUnchanged
    ? before
    : { hash: made.root.hash, revision: made.revision, timestamp: time, size: made.root.size };
  const named =
    isUnchanged && tag === undefined ? undefined : nameRoot(head.history, root, request);
  if (named !== undefined && request.dryRun === undefined) {
    const history = isUnchanged ? named.history : moveTrunk(named.history, root);
    await commitHead(request, head, { root, history });
  }
  const rootHash = parseHash(root.hash) ?? head.manifest.rootHash;
  return {
    fqrn,
    revision: root.revision,
    rootHash,
    previous: head.manifest.rootHash,
    isUnchanged,
    tag: named?.name,
    entries,
    catalogs: made.written,
    leftOut,
  };
}

function nameRoot(
  history: History,
  root: TaggedRoot,
  { tag, time }: Pick<RevisionRequest, 'tag' | 'time'>,
): { name: string; history: History } {
  const name = tag?.name ?? genericTagName(history, time);
  return { name, history: addTag(history, name, root, tag?.message ?? '') };
}

/** Publishes the tree of a tag as a new revision. Whoever calls holds the lock. @throws PinfsError TAG_UNKNOWN */
export async function rollBack(publication: Publication, name: string): Promise<RevisionReport> {
  const { fqrn, storage, key } = publication;
  const head = await readHead(storage, fqrn, key);
  const tag = head.history.tags.find((one) => one.name === name);
  if (tag === undefined)
    throw new PinfsError('TAG_UNKNOWN', `there is no tag ${name}`, {
      advice: 'See all of them with: pinfs repo tag list',
    });
  const settings = catalogSettings(publication, tag.hash !== head.manifest.rootHash.text);
  const base = await readBase(settings.read, { path: '', hash: head.manifest.rootHash.text });
  const tagged = await readBase(settings.read, { path: '', hash: tag.hash });
  const { root } = await editTree(tagged, settings.read, publication.time);
  const made = await writeCatalogs(root, base, settings);
  return finish({ ...noChanges, ...publication }, head, made, { entries: 0, leftOut: [] });
}

const noChanges = {
  inputs: [],
  at: '',
  deletes: [],
  mtimeNs: false,
  crossDirectoryLinks: false,
  keepGoing: false,
} as const;
