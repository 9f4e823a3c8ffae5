import type { ByteString } from '../../format/bytes.js';
import type { Compression } from '../../format/compression.js';
import type { HashAlgorithm } from '../../format/hash.js';
import type { CatalogLink } from './catalog-writer.js';

/* The tree that is to be published, as far as it was looked at. */

/** What every entry has. */
export interface NodeAttributes {
  /** Permission bits only. */
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970. */
  mtime: number;
  /** Undefined: not known, NULL in the catalog. */
  mtimeNs: number | undefined;
  /** As the catalog has it (docs/format.md, 5.9). */
  xattr: Buffer | undefined;
  hidden: boolean;
  /** Entries of one catalog that have the same are names of one file. */
  linkId: string | undefined;
}

/** One chunk of a file; offset and size are those of the plain bytes. */
export interface NodeChunk {
  readonly offset: number;
  readonly size: number;
  /** Text of its hash. */
  readonly hash: string;
}

export interface FileNode extends NodeAttributes {
  readonly type: 'file';
  readonly size: number;
  readonly algorithm: HashAlgorithm;
  readonly compression: Compression;
  readonly external: boolean;
  readonly directIo: boolean;
  /** Text of the hash of the whole; a chunked file may be without. */
  readonly hash: string | undefined;
  readonly chunks: readonly NodeChunk[] | undefined;
}

export interface SymlinkNode extends NodeAttributes {
  readonly type: 'symlink';
  readonly target: ByteString;
}

export interface SpecialNode extends NodeAttributes {
  readonly type: 'fifo' | 'socket' | 'character' | 'block';
  /** Device number as glibc packs it. */
  readonly rdev: number;
}

export interface DirectoryNode extends NodeAttributes {
  readonly type: 'directory';
  /** Undefined: all of it is in a catalog that was not looked into. */
  children: Map<ByteString, TreeNode> | undefined;
  /** That catalog, or what the directory shows. */
  readonly sealed: SealedDirectory | undefined;
  /** Whether it begins a nested catalog. The root of the tree says no. */
  nested: boolean;
}

export interface SealedDirectory {
  readonly kind: 'nested' | 'bind';
  readonly link: CatalogLink;
  /** Its link count, which says how many directories it holds. */
  readonly links: number;
}

export type TreeNode = FileNode | SymlinkNode | SpecialNode | DirectoryNode;

/** What asks for a nested catalog. */
export const nestedMarker = '.cvmfscatalog';
/** Beside it where the publisher itself asked. */
export const automaticMarker = '.cvmfsautocatalog';

export function plainAttributes(mode: number, mtime: number): NodeAttributes {
  return {
    mode,
    uid: 0,
    gid: 0,
    mtime,
    mtimeNs: undefined,
    xattr: undefined,
    hidden: false,
    linkId: undefined,
  };
}

/** An empty directory. */
export function directoryNode(attributes: NodeAttributes): DirectoryNode {
  return {
    ...attributes,
    type: 'directory',
    children: new Map(),
    sealed: undefined,
    nested: false,
  };
}

/** Entries in the order of the bytes of their names: the one order in which catalogs are written. */
export function namesInOrder(
  children: ReadonlyMap<ByteString, TreeNode>,
): (readonly [ByteString, TreeNode])[] {
  return [...children].sort(([a], [b]) => (a < b ? -1 : 1));
}
