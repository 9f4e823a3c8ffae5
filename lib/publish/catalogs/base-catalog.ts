import { counterNames } from '../../format/catalog-row.js';
import type Database from 'better-sqlite3';
import { fromBytes, printable, type ByteString } from '../../format/bytes.js';
import { compressionOfFlags } from '../../format/compression.js';
import { PinfsError } from '../../format/errors.js';
import { hashFromDigest, parseHash, type ContentHash } from '../../format/hash.js';
import { pathDigest, pathKey } from '../../format/path-hash.js';
import { flag, zeroCounters, type CatalogCounters } from './catalog-schema.js';
import type { CatalogLink, ChunkValues, RowValues } from './catalog-writer.js';
import {
  directoryNode,
  type DirectoryNode,
  type NodeAttributes,
  type NodeChunk,
  type TreeNode,
} from './tree-node.js';
import { openStoredCatalog } from './stored-catalog.js';

/** How catalogs that were published are read: the plain bytes of an object, its hash having been checked. */
export type ReadCatalog = (hash: ContentHash) => Promise<Buffer>;

/** A catalog that was published before; what it holds is looked at where it counts. */
export interface BaseCatalog {
  readonly path: ByteString;
  readonly hash: string;
  /** Of the database (bytes). */
  readonly size: number;
  readonly revision: number;
  /** The catalogs directly below, by mountpoint. */
  readonly nested: ReadonlyMap<ByteString, CatalogLink>;
  readonly binds: ReadonlyMap<ByteString, CatalogLink>;
  readonly self: CatalogCounters;
  readonly below: CatalogCounters;
  readonly properties: ReadonlyMap<string, string>;
  /** Opens its database; whoever asks closes it. */
  open(): Promise<Database.Database>;
}

/** Reads what stands in a catalog besides its rows. @throws PinfsError CATALOG_SCHEMA and those of reading */
export async function readBase(
  read: ReadCatalog,
  { path, hash }: Pick<CatalogLink, 'path' | 'hash'>,
): Promise<BaseCatalog> {
  const parsed = parseHash(hash);
  if (parsed === undefined) throw unusable(path, 'is named by no hash');
  let size = 0;
  const open = async (): Promise<Database.Database> => {
    const bytes = await read(parsed);
    size = bytes.length;
    return openStoredCatalog(bytes, { hash: parsed, kind: 'catalog' });
  };
  const db = await open();
  try {
    const properties = propertiesOf(db);
    if (properties.get('schema') !== '2.5')
      throw unusable(path, 'has a schema on which nothing can be published');
    const counters = countersOf(db);
    return {
      path,
      hash,
      size,
      revision: Number(properties.get('revision') ?? 0),
      nested: linksIn(db, 'nested_catalogs'),
      binds: linksIn(db, 'bind_mountpoints'),
      ...counters,
      properties,
      open,
    };
  } finally {
    db.close();
  }
}

function unusable(path: ByteString, what: string): PinfsError {
  return new PinfsError('CATALOG_SCHEMA', `the catalog of ${printable(path) || '/'} ${what}`);
}

function propertiesOf(db: Database.Database): Map<string, string> {
  const rows = db
    .prepare('SELECT key, CAST(value AS BLOB) FROM properties')
    .raw()
    .all() as (readonly [string, Buffer | null])[];
  return new Map(rows.map(([key, value]) => [key, value === null ? '' : fromBytes(value)]));
}

function linksIn(db: Database.Database, table: string): Map<ByteString, CatalogLink> {
  if (!columnsOf(db, table).has('path')) return new Map();
  const size = columnsOf(db, table).has('size') ? 'size' : '0';
  const rows = db
    .prepare(
      `SELECT CAST(path AS BLOB), CAST(sha1 AS TEXT), coalesce(${size},0) FROM ${table} ORDER BY path`,
    )
    .raw()
    .all() as (readonly [Buffer, string, number])[];
  return new Map(
    rows.map(([bytes, hash, bytesOfDatabase]) => {
      const path = fromBytes(bytes);
      return [path, { path, hash, size: bytesOfDatabase }];
    }),
  );
}

function columnsOf(db: Database.Database, table: string): Set<string> {
  const columns = db.pragma(`table_info(${table})`) as { name: string }[];
  return new Set(columns.map(({ name }) => name));
}

function countersOf(db: Database.Database): { self: CatalogCounters; below: CatalogCounters } {
  const rows = db.prepare('SELECT counter, value FROM statistics').raw().all() as [
    string,
    number,
  ][];
  const values = new Map(rows);
  const withPrefix = (prefix: string): CatalogCounters => {
    const counters = zeroCounters();
    for (const name of counterNames) counters[name] = values.get(prefix + name) ?? 0;
    return counters;
  };
  return { self: withPrefix('self_'), below: withPrefix('subtree_') };
}

const rowColumns = [
  'md5path_1',
  'md5path_2',
  'parent_1',
  'parent_2',
  'hardlinks',
  'hash',
  'size',
  'mode',
  'mtime',
  'mtimens',
  'flags',
  'CAST(name AS BLOB)',
  'CAST(symlink AS BLOB)',
  'uid',
  'gid',
  'xattr',
] as const;

/** All rows of a catalog in the order in which they were written. */
export function rowsOf(db: Database.Database): IterableIterator<RowValues> {
  const there = columnsOf(db, 'catalog');
  const columns = rowColumns.map((name) =>
    (name === 'xattr' || name === 'mtimens') && !there.has(name) ? 'NULL' : name,
  );
  return db
    .prepare(`SELECT ${columns.join(',')} FROM catalog ORDER BY rowid`)
    .raw()
    .safeIntegers()
    .iterate() as IterableIterator<RowValues>;
}

/** All chunks of its files in the order in which they were written. */
export function chunksOf(db: Database.Database): IterableIterator<ChunkValues> {
  return db
    .prepare('SELECT md5path_1,md5path_2,offset,size,hash FROM chunks ORDER BY rowid')
    .raw()
    .safeIntegers()
    .iterate() as IterableIterator<ChunkValues>;
}

/** What is at and below the directory where a catalog begins; catalogs further below stay closed. */
export async function loadDirectory(catalog: BaseCatalog): Promise<DirectoryNode> {
  const db = await catalog.open();
  try {
    const chunks = chunksByFile(db);
    const byParent = new Map<string, RowValues[]>();
    let rootRow: RowValues | undefined;
    const [first, second] = pathKey(pathDigest(catalog.path));
    for (const row of rowsOf(db)) {
      if (row[0] === first && row[1] === second) {
        rootRow = row;
        continue;
      }
      const key = `${row[2]},${row[3]}`;
      const siblings = byParent.get(key);
      if (siblings === undefined) byParent.set(key, [row]);
      else siblings.push(row);
    }
    if (rootRow === undefined) throw unusable(catalog.path, 'has no entry for its own root');
    const root = directoryNode(attributesOf(catalog, rootRow));
    root.nested = catalog.path !== '';
    addChildren({ catalog, byParent, chunks }, catalog.path, rootRow, root);
    return root;
  } finally {
    db.close();
  }
}

interface Loading {
  readonly catalog: BaseCatalog;
  readonly byParent: Map<string, RowValues[]>;
  readonly chunks: ReadonlyMap<string, readonly NodeChunk[]>;
}

function addChildren(
  loading: Loading,
  path: ByteString,
  row: RowValues,
  directory: DirectoryNode,
): void {
  const key = `${row[0]},${row[1]}`;
  const rows = loading.byParent.get(key) ?? [];
  // Taken only once: a directory that is its own ancestor ends here.
  loading.byParent.delete(key);
  const children = directory.children ?? new Map<ByteString, TreeNode>();
  for (const child of rows) {
    const name = fromBytes(child[11]);
    const below = `${path}/${name}`;
    const node = nodeOf(loading, below, child);
    children.set(name, node);
    if (node.type === 'directory' && node.children !== undefined)
      addChildren(loading, below, child, node);
  }
}

function nodeOf({ catalog, chunks }: Loading, path: ByteString, row: RowValues): TreeNode {
  const attributes = attributesOf(catalog, row);
  const flags = Number(row[10]);
  const size = Number(row[6]);
  switch (Number(row[7]) & 0o170000) {
    case 0o040000:
      return directoryOf(catalog, path, row, attributes);
    case 0o100000: {
      const algorithm = (['sha1', 'rmd160', 'shake128'] as const)[(flags >> 8) & 7];
      const compression = compressionOfFlags(flags);
      if (algorithm === undefined || compression === undefined)
        throw unusable(path, 'has a file of a kind that is not known');
      return {
        ...attributes,
        type: 'file',
        size,
        algorithm,
        compression,
        external: (flags & flag.external) !== 0,
        directIo: (flags & flag.directIo) !== 0,
        hash: row[5] === null ? undefined : hashFromDigest(algorithm, row[5])?.text,
        chunks:
          (flags & flag.chunked) === 0 ? undefined : (chunks.get(`${row[0]},${row[1]}`) ?? []),
      };
    }
    case 0o120000:
      return { ...attributes, type: 'symlink', target: fromBytes(row[12]) };
    case 0o010000:
      return { ...attributes, type: 'fifo', rdev: size };
    case 0o140000:
      return { ...attributes, type: 'socket', rdev: size };
    case 0o020000:
      return { ...attributes, type: 'character', rdev: size };
    case 0o060000:
      return { ...attributes, type: 'block', rdev: size };
    default:
      throw unusable(path, 'has an entry of a type that is not known');
  }
}

function directoryOf(
  catalog: BaseCatalog,
  path: ByteString,
  row: RowValues,
  attributes: NodeAttributes,
): DirectoryNode {
  const flags = Number(row[10]);
  const links = Number(row[4] & 0xffff_ffffn);
  const directory = directoryNode(attributes);
  const bind = (flags & flag.bind) === 0 ? undefined : catalog.binds.get(path);
  const nested = (flags & flag.mountpoint) === 0 ? undefined : catalog.nested.get(path);
  if (bind !== undefined)
    return { ...directory, children: undefined, sealed: { kind: 'bind', link: bind, links } };
  if (nested === undefined) return directory;
  const sealed = { kind: 'nested', link: nested, links } as const;
  return { ...directory, children: undefined, sealed, nested: true };
}

function attributesOf(catalog: BaseCatalog, row: RowValues): NodeAttributes {
  const group = row[4] >> 32n;
  return {
    mode: Number(row[7]) & 0o7777,
    uid: Number(row[13]),
    gid: Number(row[14]),
    mtime: Number(row[8]),
    mtimeNs: row[9] === null ? undefined : Number(row[9]),
    xattr: row[15] ?? undefined,
    hidden: (Number(row[10]) & flag.hidden) !== 0,
    linkId: group === 0n ? undefined : `${catalog.hash}#${group}`,
  };
}

function chunksByFile(db: Database.Database): Map<string, NodeChunk[]> {
  const chunks = new Map<string, NodeChunk[]>();
  for (const [first, second, offset, size, digest] of chunksOf(db)) {
    const key = `${first},${second}`;
    const hash = digest.toString('hex');
    const chunk = { offset: Number(offset), size: Number(size), hash };
    const before = chunks.get(key);
    if (before === undefined) chunks.set(key, [chunk]);
    else before.push(chunk);
  }
  for (const list of chunks.values()) list.sort((a, b) => a.offset - b.offset);
  return chunks;
}
