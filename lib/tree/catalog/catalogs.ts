import { errno } from '../../format/errno.js';
import { existsSync, statSync } from 'node:fs';
import { LRUCache } from 'lru-cache';
import { printable, toBytes, type ByteString } from '../../format/bytes.js';
import { asPinfsError, isMachineFault, PinfsError } from '../../format/errors.js';
import { fileShares, givesBackFiles, withFiles } from '../../machine/file-budget.js';
import { objectText, parseHash } from '../../format/hash.js';
import { pathDigest } from '../../format/path-hash.js';
import type { Shelf } from '../../store/shelf.js';
import { done, sizeLimits, type Outcome, type Want, failure } from '../../store/want.js';
import { openCatalogFile, type CatalogFile, type NestedRow } from './catalog-file.js';
import type { NodeId } from '../entry.js';
import { isRowid } from './packed-rows.js';
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

/** Each costs about 180 KiB and the pages that were read of it, up to 256 KiB, and a descriptor. */
function openFiles(statistics: TreeStatistics): LRUCache<number, OpenCatalog> {
  return new LRUCache<number, OpenCatalog>({
    max: fileShares().catalogs,
    dispose: ({ file }) => {
      statistics.catalogsOpen--;
      file.close();
    },
  });
}

export function createCatalogs(root: Want, shelf: Shelf, statistics: TreeStatistics): Catalogs {
  const rootCatalog = rootRecord(root);
  const records: Catalog[] = [rootCatalog];
  const byMount = new Map<NodeId, Catalog>();
  const files = openFiles(statistics);

  // The last ones may be in use just now.
  const forgetGiver = givesBackFiles(() => files.size > 2 && files.pop() !== undefined);

  let isClosed = false;

  const open = (catalog: Catalog): Outcome<CatalogFile> => {
    // An operation may be run again behind the end of its tree: what it opened nobody would close.
    if (isClosed)
      return failure(errno.EIO, new PinfsError('INTERRUPTED', 'the snapshot was closed'));
    const kept = files.get(catalog.number);
    if (kept !== undefined && isUnchanged(kept)) return done(kept.file);
    files.delete(catalog.number);
    const path = shelf.path(catalog.want);
    if (path === undefined) return { kind: 'miss', want: catalog.want };
    const opened = openChecked(catalog, path);
    if (opened.kind !== 'done') return opened;
    if (shelf.stillThere?.() === false) {
      opened.value.close();
      return { kind: 'miss', want: catalog.want };
    }
    statistics.catalogsOpened++;
    statistics.catalogsOpen++;
    const stamp = stampOf(path)?.stamp;
    files.set(catalog.number, { file: opened.value, path, stamp, lookedMs: Date.now() });
    return opened;
  };

  const query = <T>(catalog: Catalog, ask: (file: CatalogFile) => T): Outcome<T> => {
    const file = open(catalog);
    if (file.kind !== 'done') return file;
    try {
      return done(ask(file.value));
    } catch (error) {
      return failure(errno.EIO, asPinfsError(error));
    }
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
    },
  };
}

interface OpenCatalog {
  readonly file: CatalogFile;
  readonly path: string;
  /** By what the file was known when it was opened. */
  readonly stamp: string | undefined;
  lookedMs: number;
}

// A catalog that is open may be changed in place: when it is asked it is looked at again, not before so long (ms).
const lookIntervalMs = 1000;

/** Whether an open catalog is still the file that was verified. What was removed or replaced meanwhile stays as it was. */
function isUnchanged(open: OpenCatalog): boolean {
  const now = Date.now();
  if (Math.abs(now - open.lookedMs) < lookIntervalMs) return true;
  open.lookedMs = now;
  const found = stampOf(open.path);
  const inode = open.stamp?.split(':')[0];
  return found === undefined || found.inode !== inode || found.stamp === open.stamp;
}

function stampOf(path: string): { readonly inode: string; readonly stamp: string } | undefined {
  const status = statSync(path, { bigint: true, throwIfNoEntry: false });
  if (status === undefined) return undefined;
  const inode = `${status.ino}`;
  return { inode, stamp: `${inode}:${status.size}:${status.mtimeNs}:${status.ctimeNs}` };
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
  const unknown = { rootRowid: 0, fault: undefined };
  return { number, parent, mountNode, mountpoint, prefix, want, bind, depth, ...unknown };
}

/** What a catalog is called in messages. */
function catalogSubject(catalog: Pick<Catalog, 'want' | 'mountpoint'>): string {
  return `catalog ${objectText(catalog.want.object)} of ${printable(catalog.mountpoint) || '/'}`;
}

/** Opens and checks; a file that was refused is not looked at again until another one is in its place. */
function openChecked(catalog: Catalog, path: string): Outcome<CatalogFile> {
  let stamp: string;
  let file: CatalogFile | undefined;
  try {
    const stat = statSync(path);
    stamp = `${stat.dev}:${stat.ino}:${stat.mtimeMs}:${stat.size}`;
    if (catalog.fault?.file === stamp) return failure(errno.EIO, catalog.fault.error);
  } catch {
    // Evicted between the question and the answer.
    return { kind: 'miss', want: catalog.want };
  }
  try {
    file = withFiles(() =>
      openCatalogFile(path, catalogSubject(catalog), pathDigest(catalog.prefix)),
    );
    checkIdentity(catalog, file);
    catalog.fault = undefined;
    return done(file);
  } catch (thrown) {
    file?.close();
    if (!existsSync(path)) return { kind: 'miss', want: catalog.want };
    const error = asPinfsError(thrown);
    // Faults of this machine, such as too many open files, may pass.
    const passes = error.code === 'INTERNAL' || error.code === 'CACHE_UNUSABLE';
    if (!passes && !isMachineFault(error)) catalog.fault = { error, file: stamp };
    return failure(errno.EIO, error);
  }
}

/** The catalog is the one that belongs here: its prefix fits, and its root entry is a directory. */
function checkIdentity(catalog: Catalog, { prefix, rootRow }: CatalogFile): void {
  const subject = catalogSubject(catalog);
  if (prefix !== catalog.prefix) {
    throw new PinfsError(
      'CATALOG_SCHEMA',
      `the ${subject} was made for another place: ${printable(prefix) || '/'}`,
    );
  }
  const wrong =
    rootRow === undefined || !isRowid(rootRow.rowid)
      ? 'has no entry for its own root'
      : (rootRow.mode & 0o170000) !== 0o040000
        ? 'has a root entry that is no directory'
        : undefined;
  if (wrong !== undefined) throw new PinfsError('CATALOG_ROOT_ENTRY', `the ${subject} ${wrong}`);
  catalog.rootRowid = rootRow?.rowid ?? 0;
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
