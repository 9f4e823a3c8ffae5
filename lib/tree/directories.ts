import { errno } from '../format/errno.js';
import { damage, disorder } from './catalog/damage.js';
import { LRUCache } from 'lru-cache';
import { printable, type ByteString } from '../format/bytes.js';
import { isLinked, isName, type RawRow } from '../format/catalog-row.js';
import { isHashOf, pathDigest } from '../format/path-hash.js';
import { done, type Outcome, failure } from '../store/want.js';
import type { CatalogFile } from './catalog/catalog-file.js';
import type { Catalog, Catalogs } from './catalog/catalogs.js';
import { linkedChunks } from './catalog/chunk-list.js';
import type { Entry, NodeId } from './entry.js';
import { locatedRow } from './catalog/located-row.js';
import {
  linkIdentity,
  makeEntry,
  nodeOf,
  snapshotPath,
  type EntryOptions,
} from './catalog/make-entry.js';
import { chunkListOf, loadRows, pageRows, rowOf, type LoadedRows } from './catalog/loaded-rows.js';
import { firstAfter } from './catalog/row-ids.js';
import { isRowid, rowAt } from './catalog/packed-rows.js';
import type { Listing, TreeStatistics } from './tree.js';

/** A directory whose names are answered from its catalog's rows. */
export interface Directory {
  readonly node: NodeId;
  /** Visible path. */
  readonly path: ByteString;
  /** The catalog that holds its children. */
  readonly catalog: Catalog;
  readonly legacy: boolean;
  readonly digest: Buffer;
  /** Undefined: too many to be kept; they are served row by row. */
  readonly rows: LoadedRows | undefined;
}

export interface DirectoryTables {
  /** The directory that is made of these rows. */
  load(node: NodeId, path: ByteString, catalog: Catalog): Outcome<Directory>;
  kept(node: NodeId): Directory | undefined;
  /** The kept directory in which a node stands. */
  holding(node: NodeId): Directory | undefined;
  /** The entry of a node in the directory that holds it; undefined: it has none to show. */
  entry(directory: Directory, node: NodeId): Entry | undefined;
  /** The regular file that is listed behind a node of the directory. */
  following(directory: Directory, node: NodeId): NodeId | undefined;
  find(directory: Directory, name: ByteString): Outcome<Entry>;
  /** Cookies are row ids. Empty only at the end. */
  page(directory: Directory, after: number, limit: number): Outcome<Listing>;
  clear(): void;
}

// Rows in a row that are hidden or refused: nobody has so many, and looking for what comes behind them
// would hold up everything else.
const unseenEntriesMax = 2 ** 15;
// Some 20,000 entries; a larger tree has to load again what was let go, in 0.2 ms a directory.
const keptBytesMax = 16 * 1024 * 1024;
// An entry made from a row, with its name and path and the way to it by node, takes about this much.
const entryBytes = 650;

export function createDirectories(
  catalogs: Catalogs,
  options: EntryOptions,
  statistics: TreeStatistics,
): DirectoryTables {
  const holders = createHolders();
  const kept = new LRUCache<NodeId, Directory>({
    maxSize: keptBytesMax,
    sizeCalculation: (directory) => sizeOf(directory),
    dispose: (directory) => {
      holders.remove(directory);
    },
  });
  const context: Context = { catalogs, options, statistics };
  return {
    clear: () => {
      kept.clear();
    },
    kept: (node) => kept.get(node),
    holding: holders.of,
    entry: (directory, node) => entryOfNode(context, directory, node),
    following: (directory, node) => fileBehind(context, directory, node),
    load: (node, path, catalog) => {
      const digest = pathDigest(snapshotPath(catalog, path));
      const loaded = catalogs.query(catalog, (file) => ({
        rows: loadRows(file, snapshotPath(catalog, path), digest, statistics),
        legacy: file.schema.legacy,
      }));
      if (loaded.kind !== 'done') return loaded;
      const { rows, legacy } = loaded.value;
      const directory = { node, path, catalog, legacy, digest, rows };
      statistics.directoriesLoaded++;
      kept.set(node, directory);
      holders.add(directory);
      return done(directory);
    },
    find: (directory, name) =>
      directory.rows === undefined
        ? findSingle(context, directory, name)
        : findLoaded(context, directory, directory.rows, name),
    page: (directory, after, limit) =>
      directory.rows === undefined
        ? pageOfMany(context, directory, after, limit)
        : done(pageLoaded(context, directory, directory.rows, after, limit)),
  };
}

interface Context {
  readonly catalogs: Catalogs;
  readonly options: EntryOptions;
  readonly statistics: TreeStatistics;
}

function sizeOf(directory: Directory): number {
  const rows = directory.rows;
  const own = 1000 + directory.path.length;
  if (rows === undefined) return own;
  const bytes = rows.pages.reduce((sum, page) => sum + page.length, 0);
  return own + bytes + rows.ids.length * entryBytes;
}

/** The kept directory of each node: costs less than to look for its row and its path again. */
function createHolders() {
  // By number of the catalog and row id: small integers make fast maps, node ids don't.
  const byCatalog: (Map<number, Directory> | undefined)[] = [];
  return {
    of: (node: NodeId) => byCatalog[Math.floor(node / 2 ** 32)]?.get(node % 2 ** 32),
    add: (directory: Directory) => {
      const { catalog, rows } = directory;
      if (rows === undefined) return;
      const byRow = (byCatalog[catalog.number] ??= new Map<number, Directory>());
      for (const rowid of rows.ids) byRow.set(rowid, directory);
    },
    remove: (directory: Directory) => {
      const byRow = byCatalog[directory.catalog.number];
      for (const rowid of directory.rows?.ids ?? [])
        if (byRow?.get(rowid) === directory) byRow.delete(rowid);
      if (byRow?.size === 0) byCatalog[directory.catalog.number] = undefined;
    },
  };
}

// Rows to look at for the next file.
const lookBehindEntries = 64;

function fileBehind(context: Context, directory: Directory, node: NodeId): NodeId | undefined {
  const { rows, catalog } = directory;
  if (rows === undefined) return undefined;
  const first = firstAfter(rows.ids, node - nodeOf(catalog, 0));
  for (let index = first; index < Math.min(first + lookBehindEntries, rows.ids.length); index++) {
    const entry = entryAt(context, directory, rows, index);
    if (entry?.type === 'file' && isShown(rows, index, entry)) return entry.node;
  }
  return undefined;
}

function isShown(rows: LoadedRows, index: number, entry: Entry): boolean {
  return !entry.hidden && rows.byName.get(entry.name) === index;
}

function entryOfNode(context: Context, directory: Directory, node: NodeId): Entry | undefined {
  const { rows, catalog } = directory;
  const rowid = node - nodeOf(catalog, 0);
  const index = rows === undefined ? -1 : firstAfter(rows.ids, rowid - 1);
  if (rows?.ids[index] !== rowid) return undefined;
  return entryAt(context, directory, rows, index) ?? undefined;
}

function findLoaded(
  context: Context,
  directory: Directory,
  rows: LoadedRows,
  name: ByteString,
): Outcome<Entry> {
  const index = rows.byName.get(name);
  if (index === undefined) return failure(errno.ENOENT);
  const entry = entryAt(context, directory, rows, index);
  if (entry !== null) return done(entry);
  // A row that is not what its name says isn't there; one whose type can't be told is, but of no use.
  const row = rowOf(rows, index);
  const isThere = row !== undefined && isHashOf(row.key, `${snapshotOf(directory)}/${name}`);
  return isThere ? unusable(directory, name) : failure(errno.ENOENT);
}

function unusable(directory: Directory, name: ByteString): Outcome<never> {
  const path = printable(`${directory.path}/${name}`);
  return damage('CATALOG_SCHEMA', `${path} is damaged: its mode has no known file type`);
}

function snapshotOf(directory: Directory): ByteString {
  return snapshotPath(directory.catalog, directory.path);
}

/** The entry of a loaded row, decoded once; null if it is refused. */
function entryAt(
  context: Context,
  directory: Directory,
  rows: LoadedRows,
  index: number,
): Entry | null {
  const known = rows.entries[index];
  if (known !== undefined) return known;
  const row = rowOf(rows, index);
  const entry = row && entryOfRow(context, directory, rows, row, chunkListOf(rows, row));
  if (entry === undefined) context.statistics.rowsRefused++;
  return (rows.entries[index] = entry ?? null);
}

function entryOfRow(
  { options }: Context,
  directory: Directory,
  rows: LoadedRows | undefined,
  row: RawRow,
  chunkList: string,
): Entry | undefined {
  if (!isName(row.name)) return undefined;
  const { catalog, legacy } = directory;
  const path = `${directory.path}/${row.name}`;
  if (!isHashOf(row.key, snapshotPath(catalog, path))) return undefined;
  const linked = rows !== undefined && isLinked(row) && !legacy;
  const node = linked ? linkNode(directory, rows, row, chunkList) : nodeOf(catalog, row.rowid);
  return makeEntry(row, { catalog, legacy, path, name: row.name, node, chunkList }, options);
}

/** The node that the names of one hard-link group share: that of the smallest row id. */
function linkNode(directory: Directory, rows: LoadedRows, row: RawRow, chunkList: string): NodeId {
  const own = nodeOf(directory.catalog, row.rowid);
  // Groups count for files only: one that was left on a directory must not merge it with another.
  if ((row.mode & 0o170000) === 0o040000) return own;
  rows.links ??= linksOf(directory, rows);
  return rows.links.get(linkIdentity(row, chunkList)) ?? own;
}

function linksOf(directory: Directory, rows: LoadedRows): ReadonlyMap<string, NodeId> {
  const links = new Map<string, NodeId>();
  for (let index = 0; index < rows.ids.length; index++) {
    const row = rowOf(rows, index);
    if (row === undefined || !isLinked(row)) continue;
    const identity = linkIdentity(row, chunkListOf(rows, row));
    const fits = isHashOf(row.key, `${snapshotOf(directory)}/${row.name}`);
    if (fits && !links.has(identity)) links.set(identity, nodeOf(directory.catalog, row.rowid));
  }
  return links;
}

function pageLoaded(
  context: Context,
  directory: Directory,
  rows: LoadedRows,
  after: number,
  limit: number,
): Listing {
  const entries: Entry[] = [];
  const cookies: number[] = [];
  let index = firstAfter(rows.ids, after);
  for (; index < rows.ids.length && entries.length < limit; index++) {
    const entry = entryAt(context, directory, rows, index);
    if (entry === null || !isShown(rows, index, entry)) continue;
    entries.push(entry);
    cookies.push(rows.ids[index] ?? 0);
  }
  return { entries, cookies, end: index >= rows.ids.length };
}

/** A name in a directory that is too large to be kept. */
function findSingle(context: Context, directory: Directory, name: ByteString): Outcome<Entry> {
  const { catalog } = directory;
  const digest = pathDigest(`${snapshotOf(directory)}/${name}`);
  const found = context.catalogs.query(catalog, (file) => {
    const located = locatedRow(file.rowByPath(digest));
    return located && { ...located, chunkList: linkedChunks(file, located.row) };
  });
  if (found.kind !== 'done') return found;
  const { row, parent, chunkList } = found.value ?? {};
  if (row?.name !== name || parent?.equals(directory.digest) !== true || !isRowid(row.rowid))
    return failure(errno.ENOENT);
  const entry = entryOfRow(context, directory, undefined, row, chunkList ?? '');
  return entry === undefined ? unusable(directory, name) : done(entry);
}

/** A page of a directory that is too large to be kept, straight from the index on parents. */
function pageOfMany(
  context: Context,
  directory: Directory,
  after: number,
  limit: number,
): Outcome<Listing> {
  const wanted = Math.min(Math.max(limit, 1), pageRows);
  let position = after;
  let unseen = 0;
  // Goes on only while whole pages are refused or hidden; each turn moves on in the directory.
  for (;;) {
    const from = position;
    const read = context.catalogs.query(directory.catalog, (file) =>
      readPage(context, directory, file, from, wanted),
    );
    if (read.kind !== 'done') return read;
    const { rows, last, listing } = read.value;
    if (listing.end || listing.entries.length > 0) return done(listing);
    position = last;
    unseen += rows;
    if (unseen > unseenEntriesMax) {
      const shown = printable(directory.path) || '/';
      return damage(
        'CATALOG_SCHEMA',
        `${shown} has more than ${unseenEntriesMax} rows that are not shown`,
      );
    }
  }
}

/** The next rows of a directory: how many, the id of the last one, and what of them is shown. */
function readPage(
  context: Context,
  directory: Directory,
  file: CatalogFile,
  after: number,
  wanted: number,
): { readonly rows: number; readonly last: number; readonly listing: Listing } {
  const entries: Entry[] = [];
  const cookies: number[] = [];
  const { packed, full } = file.children(directory.digest, after, wanted);
  let last = after;
  let rows = 0;
  for (let at = 0; packed !== null && at < packed.length; rows++) {
    const row = rowAt(packed, at);
    if (row === undefined) break;
    if (!(row.rowid > last)) throw disorder(directory.path);
    last = row.rowid;
    at = row.end;
    const entry = entryOfRow(context, directory, undefined, row, linkedChunks(file, row));
    if (entry === undefined) context.statistics.rowsRefused++;
    else if (!entry.hidden) {
      entries.push(entry);
      cookies.push(row.rowid);
    }
  }
  return { rows, last, listing: { entries, cookies, end: rows < full } };
}
