import type { Compression } from '../format/compression.js';
import type { ByteString } from '../format/bytes.js';
import type { HashAlgorithm } from '../format/hash.js';
import type { MasterKeyPair, SigningCertificate } from './keys.js';

/** What every entry of a made tree may have; what is left out has a plain default. */
export interface RowAttributes {
  /** Permission bits only. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since 1970, and nanoseconds (default: NULL in the catalog). */
  readonly mtime?: number;
  readonly mtimeNs?: number;
  readonly xattrs?: Readonly<Record<ByteString, string | Buffer>>;
  readonly hidden?: boolean;
  /** Entries of one directory with the same number are names of one file. */
  readonly linkGroup?: number;
}

export interface FileSpec extends RowAttributes {
  readonly type: 'file';
  readonly content: string | Buffer;
  readonly compression?: Compression;
  /** Splits the content into chunks of these sizes, the last one repeated as needed. */
  readonly chunks?: readonly number[];
  /** A chunked file that also has an object of the whole. */
  readonly bulk?: boolean;
  /** The content lies on the external server (`MadeRepository.external`), not below `data/`. */
  readonly external?: boolean;
  readonly directIo?: boolean;
}

export interface SymlinkSpec extends RowAttributes {
  readonly type: 'symlink';
  readonly target: ByteString;
}

export interface SpecialSpec extends RowAttributes {
  readonly type: 'fifo' | 'socket' | 'character' | 'block';
  /** Device number as glibc packs it. */
  readonly rdev?: number;
}

/** Damage done to one catalog before it is sealed; the hashes above it are right for the damaged one. */
export interface Damage {
  /** Run on the finished database. */
  readonly sql?: string;
  /** Changes the bytes of the database file. */
  readonly patch?: (database: Buffer) => Buffer;
  /** Changes the object as it is stored (its name still fits). */
  readonly object?: (stored: Buffer) => Buffer;
}

export interface DirectorySpec extends RowAttributes, Damage {
  readonly type: 'directory';
  /** By name (byte strings: `fromText` for names that are not ASCII). */
  readonly entries: TreeSpec;
  /** Begins a nested catalog; `sql`, `patch` and `object` need this. */
  readonly nested?: boolean;
}

/** A directory that shows the tree of an earlier revision. */
export interface BindSpec extends RowAttributes {
  readonly type: 'bind';
  readonly revision: number;
}

export type EntrySpec = FileSpec | SymlinkSpec | SpecialSpec | DirectorySpec | BindSpec;
export type TreeSpec = Readonly<Record<ByteString, EntrySpec>>;

export interface RevisionSpec extends Damage {
  readonly tree: TreeSpec;
  /** Tags besides trunk and trunk-previous, name to description. */
  readonly tags?: Readonly<Record<string, string>>;
  /** Default: a day later than the revision before. */
  readonly time?: number;
  /** Attributes of the root directory. */
  readonly root?: RowAttributes;
  /** Further properties of the root catalog, such as `voms_authz`. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Run on the tag database that is published with this revision. */
  readonly historySql?: string;
}

export interface RepositorySpec {
  /** Default: `made.example.org`. */
  readonly fqrn?: string;
  readonly algorithm?: HashAlgorithm;
  /** Oldest first. The numbers of revisions begin with 1. */
  readonly revisions: readonly RevisionSpec[];
  /** Seconds; default 240. */
  readonly ttl?: number;
  readonly master?: MasterKeyPair;
  readonly certificate?: SigningCertificate;
}

/** A file with the content given. */
export function file(
  content: string | Buffer,
  more: Omit<FileSpec, 'type' | 'content'> = {},
): FileSpec {
  return { type: 'file', content, ...more };
}

export function symlink(target: ByteString, more: RowAttributes = {}): SymlinkSpec {
  return { type: 'symlink', target, ...more };
}

export function special(
  type: SpecialSpec['type'],
  more: Omit<SpecialSpec, 'type'> = {},
): SpecialSpec {
  return { type, ...more };
}

export function directory(
  entries: TreeSpec,
  more: Omit<DirectorySpec, 'type' | 'entries'> = {},
): DirectorySpec {
  return { type: 'directory', entries, ...more };
}

/** A directory with a catalog of its own, and the file that publishers put there to say so. */
export function nested(
  entries: TreeSpec,
  more: Omit<DirectorySpec, 'type' | 'entries' | 'nested'> = {},
): DirectorySpec {
  return directory({ '.cvmfscatalog': file(''), ...entries }, { nested: true, ...more });
}

export function bind(revision: number, more: RowAttributes = {}): BindSpec {
  return { type: 'bind', revision, ...more };
}
