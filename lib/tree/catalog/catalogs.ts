import { errno } from '../../format/errno.js';
import { LRUCache } from 'lru-cache';
import { printable, toBytes, type ByteString } from '../../format/bytes.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { fileShares, givesBackFiles } from '../../machine/file-budget.js';
import { parseHash } from '../../format/hash.js';
import type { Shelf } from '../../store/shelf.js';
import { done, sizeLimits, type Outcome, type Want, failure } from '../../store/want.js';
import { UnusualDatabase } from './database-rows.js';
import type { CatalogFile, NestedRow } from './catalog-file.js';
import { openCatalog, type OpenedCatalog } from './open-catalog.js';
import type { NodeId } from '../entry.js';
import type { TreeStatistics } from '../tree.js';

/** A catalog that was used once: what is needed to open its file again. Kept for the life of the tree. */
export interface Catalog {
  readonly number: number;
  readonly parent: Catalog | undefined;
  /** The directory that it is mounted on, a node of the parent; the root's is 0. */
  readonly mountNode: NodeId;
  /** Visible path of that directory. */
  readonly mountpoint: ByteString;
  /** Path of its root inside its own snapshot: differs from `mountpoint` below a bind mountpoint (docs/format.md, 5.11). */
  readonly prefix: ByteString;
  readonly want: Want;
  readonly bind: boolean;
  readonly depth: number;
  /** Row id of its root entry, known once it was open. */
  rootRowid: number;
  /** Why it can't be used, and of which file that was found. */
  fault: { readonly error: PinfsError; readonly file: string } | undefined;
  /** Only SQLite can read it. */
  isUnusual: boolean;
}

/** The catalogs of a tree: a small record of each one used, and an LRU of open files. */
export interface Catalogs {
  readonly root: Catalog;
  byNumber(number: number): Catalog | undefined;
  open(catalog: Catalog): Outcome<CatalogFile>;
  /** Runs a query on a catalog's file; what it throws becomes EIO. */
  query<T>(catalog: Catalog, ask: (file: CatalogFile) => T): Outcome<T>;
  /**
   * The catalog mounted on a directory whose row is marked as a mount point; undefined when none is
   * listed, which makes it a plain directory (docs/format.md, 5.10). Does not open it.
   */
  mounted(
    parent: Catalog,
    node: NodeId,
    visible: ByteString,
    bind: boolean,
  ): Outcome<Catalog | undefined>;
  close(): void;
}

// Deeper than any tree of names can be walked; bounds the re-runs of one operation.
const depthMax = 256;
// Each takes about 0.9 KiB; the thread that serves a mount may have 1 GiB.
const catalogsMax = 2 ** 19;

// Of those that are decoded: a walk comes back to few.
const decodedMax = 64;
// Together (bytes).
const decodedTogetherBytesMax = 8 * 1024 * 1024;

/**
 * Each that SQLite has open costs about 180 KiB and the pages that were read of it, up to 256 KiB, and a descriptor; one
 * that is decoded, its bytes and a third more.
 */
function openCatalogs(statistics: TreeStatistics) {
  const dispose = ({ file }: OpenedCatalog): void => {
    statistics.catalogsOpen--;
    file.close();
  };
  const sizeCalculation = ({ bytes }: OpenedCatalog): number => bytes;
  return {
    files: new LRUCache<number, OpenedCatalog>({ max: fileShares().catalogs, dispose }),
    decoded: new LRUCache<number, OpenedCatalog>({
      max: decodedMax,
      maxSize: decodedTogetherBytesMax,
      sizeCalculation,
      dispose,
    }),
  };
}

export function createCatalogs(root: Want, shelf: Shelf, statistics: TreeStatistics): Catalogs {
  const rootCatalog = rootRecord(root);
  const records: Catalog[] = [rootCatalog];
  const byMount = new Map<NodeId, Catalog>();
  const { files, decoded } = openCatalogs(statistics);

  // The last ones may be in use just now.
  const forgetGiver = givesBackFiles(() => files.size > 2 && files.pop() !== undefined);

  let isClosed = false;

  const open = (catalog: Catalog): Outcome<CatalogFile> => {
    // An operation may be run again behind the end of its tree: what it opened nobody would close.
    if (isClosed)
      return failure(errno.EIO, new PinfsError('INTERRUPTED', 'the snapshot was closed'));
    const kept = decoded.get(catalog.number) ?? files.get(catalog.number);
    if (kept?.isUnchanged() === true) return done(kept.file);
    files.delete(catalog.number);
    const opened = openCatalog(catalog, shelf);
    if (opened.kind !== 'done') return opened;
    statistics.catalogsOpened++;
    statistics.catalogsOpen++;
    (opened.value.isDecoded ? decoded : files).set(catalog.number, opened.value);
    return done(opened.value.file);
  };

  const query = <T>(catalog: Catalog, ask: (file: CatalogFile) => T): Outcome<T> => {
    const file = open(catalog);
    if (file.kind !== 'done') return file;
    try {
      return done(ask(file.value));
    } catch (error) {
      if (!(error instanceof UnusualDatabase)) return failure(errno.EIO, asPinfsError(error));
    }
    catalog.isUnusual = true;
    decoded.delete(catalog.number);
    return query(catalog, ask);
  };

  const mounted: Catalogs['mounted'] = (parent, node, visible, bind) => {
    const known = byMount.get(node);
    if (known !== undefined) return done(known);
    const place = { number: records.length, parent, mountNode: node, mountpoint: visible, bind };
    const found = query(parent, (file) => recordOf(file, place));
    if (found.kind !== 'done') return found;
    const made = found.value;
    if (made === undefined) return done(undefined);
    if (made instanceof PinfsError) return failure(errno.EIO, made);
    records.push(made);
    byMount.set(node, made);
    return done(made);
  };

  return {
    root: rootCatalog,
    byNumber: (number) => records[number],
    open,
    query,
    mounted,
    close: () => {
      isClosed = true;
      forgetGiver();
      files.clear();
      decoded.clear();
    },
  };
}

/** The record of a catalog from the row that lists it; undefined if it isn't listed, an error if it can't be used. */
function recordOf(
  file: CatalogFile,
  place: Place & { readonly parent: Catalog },
): Catalog | PinfsError | undefined {
  const { parent, mountpoint, bind } = place;
  const path = parent.prefix + mountpoint.slice(parent.mountpoint.length);
  const row = file.nestedRow(toBytes(path), bind);
  if (row === undefined) return undefined;
  const want = wantOfNested(row, mountpoint, file.schema.nestedWithoutHash);
  if (want instanceof PinfsError) return want;
  const refusal = refuseLoop(place.number, parent, want);
  if (refusal !== undefined)
    return new PinfsError('CATALOG_SCHEMA', `the catalog of ${printable(mountpoint)} ${refusal}`);
  // A bind mountpoint shows the root of another snapshot.
  return record(place, bind ? '' : path, want);
}

function rootRecord(want: Want): Catalog {
  const place = { number: 0, parent: undefined, mountNode: 0, mountpoint: '', bind: false };
  return record(place, '', want);
}

type Place = Pick<Catalog, 'number' | 'parent' | 'mountNode' | 'mountpoint' | 'bind'>;

/** All records are made here, with their fields in one order: it keeps the code that reads them fast. */
function record(place: Place, prefix: ByteString, want: Want): Catalog {
  const { number, parent, mountNode, mountpoint, bind } = place;
  const depth = parent === undefined ? 0 : parent.depth + 1;
  const unknown = { rootRowid: 0, fault: undefined, isUnusual: false };
  return { number, parent, mountNode, mountpoint, prefix, want, bind, depth, ...unknown };
}

/** What is needed to fetch a listed catalog, or why it can't be. */
export function wantOfNested(
  row: NestedRow,
  visible: ByteString,
  withoutHash: boolean,
): Want | PinfsError {
  if (withoutHash) {
    return new PinfsError(
      'CATALOG_UNSUPPORTED',
      `the catalog of ${printable(visible)} can't be found: catalogs of schema 0.9 don't name their nested catalogs by hash`,
    );
  }
  const hash = row.hash === undefined ? undefined : parseHash(row.hash);
  if (hash === undefined)
    return new PinfsError(
      'CATALOG_SCHEMA',
      `the hash of the catalog of ${printable(visible)} is malformed`,
    );
  if (row.size > sizeLimits.catalog) {
    return new PinfsError(
      'OBJECT_TOO_LARGE',
      `the catalog of ${printable(visible)} is said to have ${row.size} bytes, more than pinfs opens`,
    );
  }
  return {
    object: { hash, kind: 'catalog' },
    compression: 'zlib',
    size:
      row.size > 0
        ? { kind: 'exact', bytes: row.size }
        : { kind: 'limit', bytes: sizeLimits.catalog },
    path: visible,
  };
}

function refuseLoop(number: number, parent: Catalog, want: Want): string | undefined {
  if (number >= catalogsMax) return 'is one too many';
  if (parent.depth + 1 > depthMax) return 'is nested too deeply';
  for (let above: Catalog | undefined = parent; above !== undefined; above = above.parent) {
    if (above.want.object.hash.text === want.object.hash.text) return 'contains itself';
  }
  return undefined;
}
