import { errno } from '../format/errno.js';
import { damage } from './catalog/damage.js';
import { LRUCache } from 'lru-cache';
import { printable, type ByteString } from '../format/bytes.js';
import { isName } from '../format/catalog-row.js';
import { linkVariables } from '../format/link-variables.js';
import { pathDigest } from '../format/path-hash.js';
import type { Shelf } from '../store/shelf.js';
import { done, type Outcome, type Want, failure } from '../store/want.js';
import { describeCatalog, listNested, readProperties } from './catalog/catalog-facts.js';
import { createCatalogs, type Catalog, type Catalogs } from './catalog/catalogs.js';
import { checkChunks, chunksMax } from './catalog/chunk-list.js';
import { createDirectories, type DirectoryTables, type Directory } from './directories.js';
import type { Chunk, Entry, NodeId } from './entry.js';
import type { InodeNumbers } from './inode-table.js';
import { inodesPage } from './inodes-page.js';
import { locatedRow } from './catalog/located-row.js';
import { makeEntry, nodeOf, snapshotPath, type EntryOptions } from './catalog/make-entry.js';
import { objectsPage } from './objects.js';
import { placeOfRow } from './catalog/row-place.js';
import type { Listing, Tree, TreeOptions, TreeStatistics } from './tree.js';

const recentEntriesMax = 4096;
// Attributes of an entry may have 128 KiB.
const recentBytesMax = 16 * 1024 * 1024;
const recentChunks = chunksMax + 1;

/**
 * Opens the snapshot with this root catalog. A Miss if the catalog is not on the shelf; a Failure
 * with CATALOG_NOT_SQLITE, CATALOG_SCHEMA, CATALOG_UNSUPPORTED or CATALOG_ROOT_ENTRY if it can't be used.
 * @param inodes how inode numbers are shown; none: with their 63 bits.
 */
export function openTree(
  root: Want,
  shelf: Shelf,
  options: TreeOptions,
  inodes?: InodeNumbers,
): Outcome<Tree> {
  const statistics: TreeStatistics = {
    catalogsOpened: 0,
    catalogsOpen: 0,
    directoriesLoaded: 0,
    rowsRefused: 0,
  };
  const catalogs = createCatalogs(root, shelf, statistics);
  const properties = catalogs.query(catalogs.root, readProperties);
  if (properties.kind !== 'done') {
    catalogs.close();
    return properties;
  }
  const { owner, shown } = options;
  const entryOptions = { variables: linkVariables(options.variables), owner, shown, inodes };
  const state: State = {
    catalogs,
    directories: createDirectories(catalogs, entryOptions, statistics),
    options: entryOptions,
    recent: new LRUCache({
      max: recentEntriesMax,
      maxSize: recentBytesMax,
      sizeCalculation: sizeOf,
    }),
    chunkLists: new LRUCache({ maxSize: recentChunks, sizeCalculation: (list) => list.length + 1 }),
  };
  const rootNode = nodeOf(catalogs.root, catalogs.root.rootRowid);
  const rootEntry = entryOf(state, rootNode);
  if (rootEntry.kind !== 'done') {
    catalogs.close();
    return rootEntry;
  }
  return done({
    root: rootNode,
    properties: properties.value,
    statistics,
    ...entryOperations(state, rootNode),
    ...catalogOperations(state),
    close: () => {
      state.recent.clear();
      state.directories.clear();
      catalogs.close();
    },
  });
}

type EntryOperations = Pick<
  Tree,
  'entry' | 'lookup' | 'list' | 'parent' | 'following' | 'resolve' | 'chunks'
>;
type CatalogOperations = Pick<Tree, 'catalogOf' | 'nested' | 'objects' | 'inodes'>;

function entryOperations(state: State, rootNode: NodeId): EntryOperations {
  return {
    entry: (node) => entryOf(state, node),
    lookup: (directory, name) => lookup(state, directory, name),
    list: (directory, after, limit) => list(state, directory, after, limit),
    parent: (node) => parentOf(state, rootNode, node),
    following: (node) => {
      const holder = state.directories.holding(node);
      return holder && state.directories.following(holder, node);
    },
    resolve: (path) => resolve(state, rootNode, path),
    chunks: (node) => chunksOf(state, node),
  };
}

function catalogOperations(state: State): CatalogOperations {
  const { catalogs, options } = state;
  const infoOf = (catalog: Catalog) =>
    catalogs.query(catalog, (file) => describeCatalog(catalog, file));
  return {
    catalogOf: (node) => {
      const entry = entryOf(state, node);
      if (entry.kind !== 'done') return entry;
      const catalog = childrenCatalog(state, entry.value);
      return catalog.kind === 'done' ? infoOf(catalog.value) : catalog;
    },
    nested: ({ number }) => {
      const catalog = catalogs.byNumber(number);
      if (catalog === undefined) return failure(errno.ENOENT);
      return catalogs.query(catalog, (file) => listNested(catalog, file));
    },
    objects: ({ number }, after, limit) => {
      const catalog = catalogs.byNumber(number);
      if (catalog === undefined) return failure(errno.ENOENT);
      return catalogs.query(catalog, (file) => objectsPage(catalog, file, options, after, limit));
    },
    inodes: ({ number }, after, limit) => {
      const catalog = catalogs.byNumber(number);
      if (catalog === undefined) return failure(errno.ENOENT);
      return catalogs.query(catalog, (file) => inodesPage(catalog, file, after, limit));
    },
  };
}

interface State {
  readonly catalogs: Catalogs;
  readonly directories: DirectoryTables;
  readonly options: EntryOptions;
  /** Entries that were given out last and stand in no directory that is kept; any other is found again from its row. */
  readonly recent: LRUCache<NodeId, Entry>;
  readonly chunkLists: LRUCache<NodeId, readonly Chunk[]>;
}

/** About what an entry takes in memory (bytes). */
function sizeOf({ path, rawTarget, target, xattrs }: Entry): number {
  let size = 600 + path.length + rawTarget.length + target.length;
  for (const [name, value] of xattrs ?? []) size += 200 + name.length + value.length;
  return size;
}

function catalogOfNode(state: State, node: NodeId): Catalog | undefined {
  return state.catalogs.byNumber(Math.floor(node / 2 ** 32));
}

function entryOf(state: State, node: NodeId): Outcome<Entry> {
  const holder = state.directories.holding(node);
  const held = holder && state.directories.entry(holder, node);
  if (held !== undefined) return done(held);
  const recent = state.recent.get(node);
  if (recent !== undefined) return done(recent);
  const catalog = catalogOfNode(state, node);
  if (catalog === undefined) return failure(errno.ENOENT);
  const found = state.catalogs.query(catalog, (file) => {
    const place = placeOfRow(catalog, file, node % 2 ** 32);
    return place && makeEntry(place.row, { ...place, node }, state.options);
  });
  if (found.kind !== 'done') return found;
  if (found.value === undefined) return failure(errno.ENOENT);
  state.recent.set(node, found.value);
  return done(found.value);
}

/** The catalog that holds the children of a directory, or the entry itself. */
function childrenCatalog(state: State, entry: Entry): Outcome<Catalog> {
  const own = catalogOfNode(state, entry.node);
  if (own === undefined) return failure(errno.ENOENT);
  if (!entry.nestedMountpoint && !entry.bindMountpoint) return done(own);
  const bind = entry.bindMountpoint;
  const mounted = state.catalogs.mounted(own, entry.node, entry.path, bind);
  // A mount point that is not listed is a plain directory (docs/format.md, 5.10).
  return mounted.kind === 'done' ? done(mounted.value ?? own) : mounted;
}

function directoryOf(state: State, node: NodeId): Outcome<Directory> {
  const kept = state.directories.kept(node);
  if (kept !== undefined) return done(kept);
  const entry = entryOf(state, node);
  if (entry.kind !== 'done') return entry;
  if (entry.value.type !== 'directory') return failure(errno.ENOTDIR);
  if (entry.value.broken !== undefined) return failure(errno.EIO, entry.value.broken);
  const catalog = childrenCatalog(state, entry.value);
  if (catalog.kind !== 'done') return catalog;
  return state.directories.load(node, entry.value.path, catalog.value);
}

function lookup(state: State, node: NodeId, name: ByteString): Outcome<Entry> {
  if (name.length > 255) return failure(errno.ENAMETOOLONG);
  const directory = directoryOf(state, node);
  if (directory.kind !== 'done') return directory;
  if (!isName(name)) return failure(errno.ENOENT);
  const found = state.directories.find(directory.value, name);
  if (found.kind === 'done' && directory.value.rows === undefined)
    state.recent.set(found.value.node, found.value);
  return found;
}

function list(state: State, node: NodeId, after: number, limit: number): Outcome<Listing> {
  const directory = directoryOf(state, node);
  if (directory.kind !== 'done') return directory;
  const page = state.directories.page(directory.value, after, limit);
  if (page.kind !== 'done' || directory.value.rows !== undefined) return page;
  for (const entry of page.value.entries) state.recent.set(entry.node, entry);
  return page;
}

function parentOf(state: State, root: NodeId, node: NodeId): Outcome<NodeId> {
  const holder = state.directories.holding(node);
  // The row of a root, too, may name any directory as the one that it stands in.
  if (holder !== undefined && state.directories.entry(holder, node) !== undefined)
    return done(holder.node);
  const entry = entryOf(state, node);
  if (entry.kind !== 'done') return entry;
  if (node === root) return done(root);
  const catalog = catalogOfNode(state, node);
  if (catalog === undefined) return failure(errno.ENOENT);
  const path = entry.value.path.slice(0, entry.value.path.lastIndexOf('/'));
  if (path === catalog.mountpoint)
    return done(catalog.parent === undefined ? root : catalog.mountNode);
  const digest = pathDigest(snapshotPath(catalog, path));
  const rowid = state.catalogs.query(
    catalog,
    (file) => locatedRow(file.rowByPath(digest))?.row.rowid,
  );
  if (rowid.kind !== 'done') return rowid;
  return rowid.value === undefined ? failure(errno.ENOENT) : done(nodeOf(catalog, rowid.value));
}

function resolve(state: State, root: NodeId, path: ByteString): Outcome<Entry> {
  let found = entryOf(state, root);
  for (const name of path.split('/')) {
    if (name === '' || found.kind !== 'done') continue;
    found = lookup(state, found.value.node, name);
  }
  return found;
}

function chunksOf(state: State, node: NodeId): Outcome<readonly Chunk[]> {
  const kept = state.chunkLists.get(node);
  if (kept !== undefined) return done(kept);
  const found = entryOf(state, node);
  if (found.kind !== 'done') return found;
  const entry = found.value;
  const catalog = catalogOfNode(state, node);
  const { content } = entry;
  if (catalog === undefined || content?.chunked !== true) return failure(errno.EINVAL);
  const digest = pathDigest(snapshotPath(catalog, entry.path));
  const packed = state.catalogs.query(catalog, (file) => file.chunkRows(digest, chunksMax + 1));
  if (packed.kind !== 'done') return packed;
  const chunks = checkChunks(packed.value, entry.size, content.algorithm);
  if (typeof chunks === 'string')
    return damage('CATALOG_SCHEMA', `${printable(entry.path)} is damaged: ${chunks}`);
  state.chunkLists.set(node, chunks);
  return done(chunks);
}
