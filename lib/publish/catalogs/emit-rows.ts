import { toBytes, type ByteString } from '../../format/bytes.js';
import { flagsOfCompression } from '../../format/compression.js';
import { pathDigest, pathKey } from '../../format/path-hash.js';
import { flag, hashFlag, zeroCounters, type CatalogCounters } from './catalog-schema.js';
import type { CatalogLink, ChunkValues, RowValues } from './catalog-writer.js';
import { namesInOrder, type DirectoryNode, type FileNode, type TreeNode } from './tree-node.js';

/** Where the rows of one catalog go. */
export interface RowSink {
  /** @returns false to have no more of them. */
  row(values: RowValues): boolean;
  chunk(values: ChunkValues): boolean;
}

/** What a catalog holds besides its rows. */
export interface Emitted {
  readonly counters: CatalogCounters;
  /** Directories that begin a catalog of their own, in order. */
  readonly nested: readonly NestedDirectory[];
  readonly binds: readonly CatalogLink[];
}

export interface NestedDirectory {
  readonly path: ByteString;
  readonly node: DirectoryNode;
}

type Key = readonly [bigint, bigint];
const typeBits = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
} as const;
// What the file system of the publisher says differs from machine to machine, and means nothing.
const directorySize = 4096n;

interface Emission {
  readonly sink: RowSink;
  readonly counters: CatalogCounters;
  readonly nested: NestedDirectory[];
  readonly binds: CatalogLink[];
  /** How many names a file has in this catalog, and its number where it has several. */
  readonly groups: Map<string, { count: number; number: number }>;
  groupsMade: number;
  wanted: boolean;
}

/**
 * Gives the rows of the catalog that begins at a directory, in one fixed order: each directory before what is in
 * it, names in the order of their bytes.
 */
export function emitRows(path: ByteString, root: DirectoryNode, sink: RowSink): Emitted {
  const emission: Emission = {
    sink,
    counters: zeroCounters(),
    nested: [],
    binds: [],
    groups: new Map(),
    groupsMade: 0,
    wanted: true,
  };
  countLinks(emission, root);
  const slash = path.lastIndexOf('/');
  const parent: Key = path === '' ? [0n, 0n] : pathKey(pathDigest(path.slice(0, slash)));
  const key = pathKey(pathDigest(path));
  const flags = flag.directory | (path === '' ? 0 : flag.nestedRoot);
  emitDirectory(emission, { key, parent, name: path.slice(slash + 1) }, root, flags);
  emitChildren(emission, path, key, root);
  const { counters, nested, binds } = emission;
  counters.nested = nested.length;
  return { counters, nested, binds };
}

function countLinks(emission: Emission, directory: DirectoryNode): void {
  for (const child of directory.children?.values() ?? []) {
    if (child.type === 'directory') {
      if (!child.nested) countLinks(emission, child);
    } else if (child.linkId !== undefined) {
      const group = emission.groups.get(child.linkId);
      if (group === undefined) emission.groups.set(child.linkId, { count: 1, number: 0 });
      else group.count++;
    }
  }
}

interface Place {
  readonly key: Key;
  readonly parent: Key;
  readonly name: ByteString;
}

function emitChildren(
  emission: Emission,
  path: ByteString,
  parent: Key,
  directory: DirectoryNode,
): void {
  for (const [name, node] of namesInOrder(directory.children ?? new Map<ByteString, TreeNode>())) {
    if (!emission.wanted) return;
    const below = `${path}/${name}`;
    const place = { key: pathKey(pathDigest(below)), parent, name };
    if (node.type !== 'directory') {
      emitEntry(emission, place, node);
    } else if (node.sealed?.kind === 'bind') {
      emission.binds.push(node.sealed.link);
      // Neither followed nor counted (docs/format.md, 5.11).
      emitDirectory(emission, place, node, flag.directory | flag.bind);
    } else if (node.nested) {
      emission.nested.push({ path: below, node });
      emitDirectory(emission, place, node, flag.directory | flag.mountpoint);
    } else {
      emitDirectory(emission, place, node, flag.directory);
      emitChildren(emission, below, place.key, node);
    }
  }
}

function emitDirectory(emission: Emission, place: Place, node: DirectoryNode, flags: number): void {
  emission.counters.dir++;
  const row = { flags, size: directorySize, links: BigInt(directoryLinks(node)) };
  emitRow(emission, place, node, row);
}

/** 2 and one for each directory in it, nested and bound ones as well (docs/format.md, 5.7). */
function directoryLinks({ children, sealed }: DirectoryNode): number {
  if (children === undefined) return sealed?.links ?? 2;
  let links = 2;
  for (const child of children.values()) if (child.type === 'directory') links++;
  return links;
}

function emitEntry(emission: Emission, place: Place, node: Exclude<TreeNode, DirectoryNode>): void {
  const links = linksOf(emission, node);
  switch (node.type) {
    case 'file':
      emitFile(emission, place, node, links);
      return;
    case 'symlink': {
      emission.counters.symlink++;
      const size = BigInt(node.target.length);
      const flags = flag.file | flag.symlink;
      emitRow(emission, place, node, { flags, size, links, target: node.target });
      return;
    }
    case 'fifo':
    case 'socket':
    case 'character':
    case 'block': {
      emission.counters.special++;
      const flags = flag.file | flag.special;
      emitRow(emission, place, node, { flags, size: BigInt(node.rdev), links });
      return;
    }
  }
}

/** The column `hardlinks`: groups are numbered as they come. */
function linksOf(emission: Emission, { linkId }: TreeNode): bigint {
  const group = linkId === undefined ? undefined : emission.groups.get(linkId);
  if (group === undefined || group.count < 2) return 1n;
  if (group.number === 0) group.number = ++emission.groupsMade;
  return (BigInt(group.number) << 32n) | BigInt(group.count);
}

function emitFile(emission: Emission, place: Place, node: FileNode, links: bigint): void {
  const { counters } = emission;
  const { size, chunks, external } = node;
  const flags =
    flag.file |
    hashFlag[node.algorithm] |
    flagsOfCompression(node.compression) |
    (chunks === undefined ? 0 : flag.chunked) |
    (external ? flag.external : 0) |
    (node.directIo ? flag.directIo : 0);
  emitRow(emission, place, node, { flags, size: BigInt(size), links, hash: node.hash });
  counters.regular++;
  counters.file_size += size;
  if (external) {
    counters.external++;
    counters.external_file_size += size;
  }
  if (chunks === undefined) return;
  counters.chunked++;
  counters.chunked_size += size;
  counters.chunks += chunks.length;
  for (const chunk of chunks) {
    if (!emission.wanted) return;
    const values = [...place.key, BigInt(chunk.offset), BigInt(chunk.size)] as const;
    emission.wanted = emission.sink.chunk([...values, digestOf(chunk.hash)]);
  }
}

interface RowParts {
  readonly flags: number;
  readonly size: bigint;
  readonly links: bigint;
  readonly hash?: string | undefined;
  readonly target?: ByteString;
}

const noBytes = Buffer.alloc(0);

function emitRow(emission: Emission, place: Place, node: TreeNode, parts: RowParts): void {
  if (node.xattr !== undefined) emission.counters.xattr++;
  if (!emission.wanted) return;
  emission.wanted = emission.sink.row([
    ...place.key,
    ...place.parent,
    parts.links,
    parts.hash === undefined ? null : digestOf(parts.hash),
    parts.size,
    BigInt(typeBits[node.type] | node.mode),
    BigInt(node.mtime),
    node.mtimeNs === undefined ? null : BigInt(node.mtimeNs),
    BigInt(parts.flags | (node.hidden ? flag.hidden : 0)),
    toBytes(place.name),
    parts.target === undefined ? noBytes : toBytes(parts.target),
    BigInt(node.uid),
    BigInt(node.gid),
    node.xattr ?? null,
  ]);
}

function digestOf(hash: string): Buffer {
  return Buffer.from(hash.slice(0, 40), 'hex');
}
