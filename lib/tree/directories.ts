import { errno } from '../format/errno.js';
import { damage, disorder } from './damage.js';
import { LRUCache } from 'lru-cache';
import { printable, type ByteString } from '../format/bytes.js';
import { isName, type RawRow } from '../format/catalog-row.js';
import { pathDigest } from '../format/path-hash.js';
import { done, type Outcome, failure } from '../store/want.js';
import type { CatalogFile } from './catalog-file.js';
import type { Catalog, Catalogs } from './catalogs.js';
import type { Entry, NodeId } from './entry.js';
import { hasDigest, locatedRow } from './located-row.js';
import { linkIdentity, makeEntry, nodeOf, snapshotPath, type EntryOptions } from './make-entry.js';
import { isRowid, rowAt, spanAt } from './packed-rows.js';
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

/** All rows of a directory, packed as they were read, decoded when they are asked for. */
interface LoadedRows {
  readonly pages: readonly Buffer[];
  /** Of each row, in the order of row ids: page, position, id. */
  readonly page: readonly number[];
  readonly start: readonly number[];
  readonly ids: readonly number[];
  readonly byName: ReadonlyMap<ByteString, number>;
  /** `null`: the row was refused. */
  readonly entries: (Entry | null | undefined)[];
  /** The node of each hard-link group: that of its smallest row id. Made when first needed. */
  links: ReadonlyMap<string, NodeId> | undefined;
}

export interface Directories {
  /** The directory that is made of these rows. */
  load(node: NodeId, path: ByteString, catalog: Catalog): Outcome<Directory>;
  kept(node: NodeId): Directory | undefined;
  find(directory: Directory, name: ByteString): Outcome<Entry>;
  /** Cookies are row ids. Empty only at the end. */
  page(directory: Directory, after: number, limit: number): Outcome<Listing>;
}

const pageRows = 512;
// Larger directories are served row by row, so that a million entries take no more memory than these.
const loadedRowsLimit = 8 * pageRows;
const loadedBytesLimit = 2 * 1024 * 1024;
// Rows in a row that are hidden or refused: nobody has so many, and looking for what comes behind them
// would hold up everything else.
const unseenLimit = 2 ** 15;
const keptBytes = 24 * 1024 * 1024;
// An entry made from a row, with its name and path, takes about this much.
const entryBytes = 600;

export function createDirectories(
  catalogs: Catalogs,
  options: EntryOptions,
  statistics: TreeStatistics,
): Directories {
  const kept = new LRUCache<NodeId, Directory>({
    maxSize: keptBytes,
    sizeCalculation: (directory) => sizeOf(directory),
  });
  const context: Context = { catalogs, options, statistics };
  return {
    kept: (node) => kept.get(node),
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

function loadRows(
  file: CatalogFile,
  snapshotPath: ByteString,
  digest: Buffer,
  statistics: TreeStatistics,
): LoadedRows | undefined {
  const pages: Buffer[] = [];
  const page: number[] = [];
  const start: number[] = [];
  const ids: number[] = [];
  const byName = new Map<ByteString, number>();
  let bytes = 0;
  for (let after = 0; ;) {
    const packed = file.children(digest, after, pageRows);
    if (packed === null) break;
    bytes += packed.length;
    if (bytes > loadedBytesLimit || ids.length >= loadedRowsLimit) return undefined;
    let read = 0;
    for (let position = 0; position < packed.length; read++) {
      const span = spanAt(packed, position);
      if (span === undefined) break;
      if (!(span.rowid > after)) throw disorder(snapshotPath);
      after = span.rowid;
      if (span.name === undefined || !isRowid(span.rowid)) statistics.rowsRefused++;
      else {
        // Of two rows with one name, the one whose path hash fits is meant.
        const fits = !byName.has(span.name) || fitsName(packed, position, snapshotPath, span.name);
        if (fits) byName.set(span.name, ids.length);
        page.push(pages.length);
        start.push(position);
        ids.push(span.rowid);
      }
      position = span.end;
    }
    pages.push(packed);
    if (read < pageRows) break;
  }
  const entries = new Array<Entry | null | undefined>(ids.length).fill(undefined);
  return { pages, page, start, ids, byName, entries, links: undefined };
}

function fitsName(
  packed: Buffer,
  position: number,
  directory: ByteString,
  name: ByteString,
): boolean {
  const row = rowAt(packed, position);
  return row !== undefined && hasDigest(row, pathDigest(`${directory}/${name}`));
}

function rowOf(rows: LoadedRows, index: number): RawRow | undefined {
  const page = rows.pages[rows.page[index] ?? -1];
  const start = rows.start[index];
  return page === undefined || start === undefined ? undefined : rowAt(page, start);
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
  const isThere =
    row !== undefined && hasDigest(row, pathDigest(`${snapshotOf(directory)}/${name}`));
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
  const entry = row === undefined ? undefined : entryOfRow(context, directory, rows, row);
  if (entry === undefined) context.statistics.rowsRefused++;
  return (rows.entries[index] = entry ?? null);
}

function entryOfRow(
  { options }: Context,
  directory: Directory,
  rows: LoadedRows | undefined,
  row: RawRow,
): Entry | undefined {
  if (!isName(row.name)) return undefined;
  const digest = pathDigest(`${snapshotOf(directory)}/${row.name}`);
  if (!hasDigest(row, digest)) return undefined;
  const { catalog, legacy } = directory;
  const linked = rows !== undefined && row.linkGroup > 0 && !legacy;
  const node = linked ? linkNode(directory, rows, row) : nodeOf(catalog, row.rowid);
  const path = `${directory.path}/${row.name}`;
  return makeEntry(row, { catalog, legacy, path, name: row.name, digest, node }, options);
}

/** The node that the names of one hard-link group share: that of the smallest row id. */
function linkNode(directory: Directory, rows: LoadedRows, row: RawRow): NodeId {
  const own = nodeOf(directory.catalog, row.rowid);
  // Groups count for files only: one that was left on a directory must not merge it with another.
  if ((row.mode & 0o170000) === 0o040000) return own;
  rows.links ??= linksOf(directory, rows);
  return rows.links.get(linkIdentity(row)) ?? own;
}

function linksOf(directory: Directory, rows: LoadedRows): ReadonlyMap<string, NodeId> {
  const links = new Map<string, NodeId>();
  for (let index = 0; index < rows.ids.length; index++) {
    const row = rowOf(rows, index);
    if (row === undefined || !(row.linkGroup > 0)) continue;
    const identity = linkIdentity(row);
    const fits = hasDigest(row, pathDigest(`${snapshotOf(directory)}/${row.name}`));
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
    if (entry === null || entry.hidden || rows.byName.get(entry.name) !== index) continue;
    entries.push(entry);
    cookies.push(rows.ids[index] ?? 0);
  }
  return { entries, cookies, end: index >= rows.ids.length };
}

/** Index of the first id above `after` in ascending ids. */
function firstAfter(ids: readonly number[], after: number): number {
  let low = 0;
  let high = ids.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ids[middle] ?? Infinity) > after) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** A name in a directory that is too large to be kept. */
function findSingle(context: Context, directory: Directory, name: ByteString): Outcome<Entry> {
  const { catalog } = directory;
  const digest = pathDigest(`${snapshotOf(directory)}/${name}`);
  const packed = context.catalogs.query(catalog, (file) => file.rowByPath(digest));
  if (packed.kind !== 'done') return packed;
  const found = locatedRow(packed.value);
  if (
    found?.row.name !== name ||
    !found.parent.equals(directory.digest) ||
    !isRowid(found.row.rowid)
  )
    return failure(errno.ENOENT);
  const entry = entryOfRow(context, directory, undefined, found.row);
  return entry === undefined ? unusable(directory, name) : done(entry);
}

/** A page of a directory that is too large to be kept, straight from the index on parents. */
function pageOfMany(
  context: Context,
  directory: Directory,
  after: number,
  limit: number,
): Outcome<Listing> {
  const { catalog, digest } = directory;
  const entries: Entry[] = [];
  const cookies: number[] = [];
  const wanted = Math.min(Math.max(limit, 1), pageRows);
  let position = after;
  let unseen = 0;
  // Goes on only while whole pages are refused or hidden; each turn moves on in the directory.
  for (;;) {
    const from = position;
    const packed = context.catalogs.query(catalog, (file) => file.children(digest, from, wanted));
    if (packed.kind !== 'done') return packed;
    let read = 0;
    for (let at = 0; packed.value !== null && at < packed.value.length; read++) {
      const row = rowAt(packed.value, at);
      if (row === undefined) break;
      if (!(row.rowid > position)) return failure(errno.EIO, disorder(directory.path));
      position = row.rowid;
      at = row.end;
      const entry = entryOfRow(context, directory, undefined, row);
      if (entry === undefined) context.statistics.rowsRefused++;
      else if (!entry.hidden) {
        entries.push(entry);
        cookies.push(row.rowid);
      }
    }
    const end = read < wanted;
    if (end || entries.length > 0) return done({ entries, cookies, end });
    unseen += read;
    if (unseen > unseenLimit) {
      const shown = printable(directory.path) || '/';
      return damage(
        'CATALOG_SCHEMA',
        `${shown} has more than ${unseenLimit} rows that are not shown`,
      );
    }
  }
}
