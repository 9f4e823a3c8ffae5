import type { ByteString } from '../format/bytes.js';
import type { PinfsError } from '../format/errors.js';
import type { Outcome, Want } from '../store/want.js';
import type { Chunk, Entry, NodeId } from './entry.js';

export interface TreeOptions {
  /** Variables for links `$(NAME)`; nothing else is looked at. */
  readonly variables: Readonly<Record<string, string>>;
  /** Owner shown for catalogs of schema 1.x, which have none. */
  readonly owner: { readonly uid: number; readonly gid: number };
  /** Not given: owners and modes are those that were published. */
  readonly shown?: ShownAttributes;
}

/** What of a row is shown in another way than it was published. Plain data. */
export interface ShownAttributes {
  readonly uids?: IdMap;
  readonly gids?: IdMap;
  /** Everybody may read everything, and enter each directory. */
  readonly worldReadable?: boolean;
}

/** Numbers of owners or groups, by those that were published. */
export interface IdMap {
  readonly ids: Readonly<Record<number, number>>;
  /** All others; undefined: as they are. */
  readonly others?: number;
}

/**
 * One snapshot as a tree. Synchronous and pure over what the shelf holds: an operation gives its
 * value, a Miss naming the catalog that is lacking, or a Failure.
 */
export interface Tree {
  readonly root: NodeId;

  /** The entry of a node. ENOENT for a number that was never given out. */
  entry(node: NodeId): Outcome<Entry>;

  /** The entry `name` in a directory. Failure: ENOENT, ENOTDIR, EIO (its catalog is unusable), ENAMETOOLONG (over 255 bytes). Finds hidden entries too. */
  lookup(directory: NodeId, name: ByteString): Outcome<Entry>;

  /**
   * Up to `limit` entries of a directory in a stable order, beginning behind the cookie `after`
   * (0 = from the start). Hidden entries and damaged names are left out; `.` and `..` are not in it.
   */
  list(directory: NodeId, after: number, limit: number): Outcome<Listing>;

  /** The node of the directory that holds this one; the root's is the root. */
  parent(node: NodeId): Outcome<NodeId>;

  /** The regular file behind a node in the listing of its directory, if that directory is loaded. */
  following(node: NodeId): NodeId | undefined;

  /** Walks a visible path (`/a/b`; empty or `/` = root; symlinks are not followed). */
  resolve(path: ByteString): Outcome<Entry>;

  /** The checked chunk list of a chunked file: sorted, without gap or overlap, ending at the size. EIO otherwise. */
  chunks(node: NodeId): Outcome<readonly Chunk[]>;

  /** The catalog that holds the children of a directory (or the entry itself), for catalog_counters and check. */
  catalogOf(node: NodeId): Outcome<CatalogInfo>;

  /** All catalogs named by a catalog: nested ones and bind mountpoints, with what is needed to fetch them. */
  nested(catalog: CatalogInfo): Outcome<NestedCatalogs>;

  /**
   * The content objects that the files of one catalog need, read row by row: pass `next` as `after`
   * to go on (0 = from the start). What lies below a mount point in the catalog above it is left out.
   */
  objects(catalog: CatalogInfo, after: number, limit: number): Outcome<ObjectsPage>;

  /**
   * The inode numbers of 63 bits of the rows of one catalog, read as `objects` are; those of rows that are not
   * shown may be among them. Not of a catalog below a bind mountpoint: there they depend on the place.
   */
  inodes(catalog: CatalogInfo, after: number, limit: number): Outcome<InodesPage>;

  /** Facts of the root catalog. */
  readonly properties: RootProperties;

  readonly statistics: TreeStatistics;
  close(): void;
}

export interface Listing {
  readonly entries: readonly Entry[];
  /** Cookie behind each entry, at the same index: pass it as `after` to go on there. Positive, at most 2^53. */
  readonly cookies: readonly number[];
  readonly end: boolean;
}

export interface CatalogInfo {
  readonly number: number;
  readonly mountpoint: ByteString;
  readonly want: Want;
  /** `self` and `subtree` counters by name without prefix; missing ones are 0. */
  readonly counters: ReadonlyMap<string, { readonly self: bigint; readonly subtree: bigint }>;
}

export interface NestedCatalog {
  readonly mountpoint: ByteString;
  readonly want: Want;
  readonly bind: boolean;
}

export interface NestedCatalogs {
  readonly catalogs: readonly NestedCatalog[];
  /** Those that are listed, but can't be fetched: no hash, malformed hash, too large. */
  readonly broken: readonly BrokenPath[];
}

export interface BrokenPath {
  readonly path: ByteString;
  readonly error: PinfsError;
}

export interface ObjectsPage {
  /** Whole objects and chunks; the same object may come several times. */
  readonly wants: readonly Want[];
  /** Files whose row or chunk list is damaged. */
  readonly broken: readonly BrokenPath[];
  /** Undefined: that was the last page. */
  readonly next: number | undefined;
}

export interface InodesPage {
  readonly inodes: readonly bigint[];
  /** Undefined: that was the last page. */
  readonly next: number | undefined;
}

export interface RootProperties {
  readonly revision: number;
  readonly lastModified: number;
  /** Seconds until a head should be asked for again. */
  readonly ttl: number;
  readonly schema: string;
  readonly volatile: boolean;
  /** Membership that the repository asks of its readers, as stored; undefined: none. */
  readonly vomsAuthz: string | undefined;
  readonly previousRevision: string | undefined;
}

export interface TreeStatistics {
  catalogsOpened: number;
  catalogsOpen: number;
  directoriesLoaded: number;
  rowsRefused: number;
}
