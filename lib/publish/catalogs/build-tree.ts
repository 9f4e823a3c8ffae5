import { printable, type ByteString } from '../../format/bytes.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import type { InputEntry } from '../input/entry.js';
import {
  directoryNode,
  plainAttributes,
  type DirectoryNode,
  type NodeAttributes,
  type TreeNode,
} from './tree-node.js';
import { xattrBlob } from './xattr-blob.js';

export interface BuildSettings {
  /** Seconds since 1970, for directories that no entry tells of. */
  readonly time: number;
  readonly mtimeNs: boolean;
  /** Names of one file in several directories stay one file, within a catalog. */
  readonly crossDirectoryLinks: boolean;
  /** What can't be read is left as it was, and told of; else it ends all. */
  readonly keepGoing: boolean;
  /** What the repository has at a path below that of the input. */
  readonly before: (path: ByteString) => Promise<TreeNode | undefined>;
}

/** What was not published as it is. */
export interface LeftOut {
  readonly path: ByteString;
  readonly error: PinfsError;
}

export interface BuiltTree {
  readonly root: DirectoryNode;
  readonly entries: number;
  readonly leftOut: readonly LeftOut[];
}

/** The tree of all entries together; of two with the same path the later one counts. */
export async function buildTree(
  inputs: readonly AsyncIterable<InputEntry>[],
  settings: BuildSettings,
): Promise<BuiltTree> {
  const root = directoryNode(plainAttributes(0o755, settings.time));
  const building: Building = { root, settings, implied: new Map([[root, '']]) };
  const leftOut: LeftOut[] = [];
  let entries = 0;
  for (const input of inputs) {
    for await (const entry of input) {
      entries += entry.unchanged?.entries ?? 1;
      if (entry.unchanged !== undefined) {
        await keepUnchanged(building, entry.path);
        continue;
      }
      if (entry.problem !== undefined) {
        leftOut.push({ path: entry.path, error: entry.problem });
        if (!settings.keepGoing) throw entry.problem;
        await keepAsBefore(building, entry.path);
        continue;
      }
      const { attributes, error } = attributesOf(entry, settings);
      if (error !== undefined) leftOut.push({ path: entry.path, error });
      if (entry.path === '') become(building, root, attributes);
      else place(building, entry, attributes);
    }
  }
  for (const [directory, path] of building.implied) {
    const before = await settings.before(path);
    if (before?.type === 'directory') become(building, directory, before);
  }
  return { root, entries, leftOut };
}

interface Building {
  readonly root: DirectoryNode;
  readonly settings: BuildSettings;
  /** Directories of which no entry has told. */
  readonly implied: Map<DirectoryNode, ByteString>;
}

function become(building: Building, directory: DirectoryNode, attributes: NodeAttributes): void {
  const { mode, uid, gid, mtime, mtimeNs, xattr } = attributes;
  Object.assign(directory, { mode, uid, gid, mtime, mtimeNs, xattr });
  building.implied.delete(directory);
}

/** Of a directory that begins a catalog, which is not looked into. */
async function keepUnchanged(building: Building, path: ByteString): Promise<void> {
  const before = await building.settings.before(path);
  if (before?.type !== 'directory' || !before.nested)
    throw new PinfsError('INTERNAL', `${printable(path)} began no catalog before`);
  const { directory, name } = parentOf(building, path);
  directory.set(name, before);
}

async function keepAsBefore(building: Building, path: ByteString): Promise<void> {
  const before = await building.settings.before(path);
  if (before === undefined) return;
  const { directory, name } = parentOf(building, path);
  directory.set(name, before);
}

function attributesOf(
  entry: InputEntry,
  { mtimeNs, crossDirectoryLinks }: BuildSettings,
): { attributes: NodeAttributes; error?: PinfsError } {
  const { path, linkKey, xattrs = new Map<ByteString, Buffer>() } = entry;
  const xattr = xattrBlob(xattrs);
  const attributes = {
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    mtime: entry.mtime,
    mtimeNs: mtimeNs ? entry.mtimeNs : undefined,
    xattr,
    hidden: false,
    linkId:
      linkKey === undefined || crossDirectoryLinks
        ? linkKey
        : `${path.slice(0, path.lastIndexOf('/'))}\0${linkKey}`,
  };
  if (xattrs.size === 0 || xattr !== undefined) return { attributes };
  const text = `the attributes of ${printable(path)} are left out: catalogs take 255 of 255 bytes`;
  return { attributes, error: new PinfsError('PUBLISH_PATH', text) };
}

function place(building: Building, entry: InputEntry, attributes: NodeAttributes): void {
  const { directory, name } = parentOf(building, entry.path);
  const there = directory.get(name);
  if (entry.type === 'directory' && there?.type === 'directory')
    become(building, there, attributes);
  else directory.set(name, nodeOf(entry, attributes));
}

function parentOf(
  { root, settings, implied }: Building,
  path: ByteString,
): { directory: Map<ByteString, TreeNode>; name: ByteString } {
  const names = path.split('/').slice(1);
  const name = names.pop() ?? '';
  let directory = root.children ?? new Map<ByteString, TreeNode>();
  let at = '';
  for (const step of names) {
    at += `/${step}`;
    let next = directory.get(step);
    if (next?.type !== 'directory') {
      next = directoryNode(plainAttributes(0o755, settings.time));
      directory.set(step, next);
      implied.set(next, at);
    }
    directory = next.children ??= new Map<ByteString, TreeNode>();
  }
  return { directory, name };
}

function nodeOf(entry: InputEntry, attributes: NodeAttributes): TreeNode {
  switch (entry.type) {
    case 'directory':
      return directoryNode(attributes);
    case 'symlink':
      return { ...attributes, type: 'symlink', target: entry.target ?? '' };
    case 'file': {
      const { stored } = entry;
      if (stored === undefined)
        throw asPinfsError(new Error(`nothing is stored of ${printable(entry.path)}`));
      const chunks = stored.chunks.map(({ offset, size, hash }) => ({
        offset,
        size,
        hash: hash.text,
      }));
      return {
        ...attributes,
        type: 'file',
        size: stored.size,
        algorithm: stored.algorithm,
        compression: stored.compression,
        external: stored.external,
        directIo: false,
        hash: stored.hash?.text,
        chunks: chunks.length === 0 ? undefined : chunks,
      };
    }
    case 'fifo':
    case 'socket':
    case 'character':
    case 'block':
      return { ...attributes, type: entry.type, rdev: entry.rdev };
  }
}
