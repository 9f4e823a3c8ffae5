import { counterNames } from '../format/catalog-row.js';
import { toBytes, type ByteString } from '../format/bytes.js';
import { flagsOfCompression } from '../format/compression.js';
import { hashBytes, type ContentHash } from '../format/hash.js';
import { pathDigest, pathKey } from '../format/path-hash.js';
import type { Objects } from './objects.js';
import { writeCatalog, type CatalogWriter } from './catalogs/catalog-writer.js';
import { xattrBlob } from './catalogs/xattr-blob.js';
import { flag, hashFlag, zeroCounters, type CatalogCounters } from './catalogs/catalog-schema.js';
import type { RowAttributes, DirectorySpec, EntrySpec, FileSpec } from './spec.js';

export interface MadeCatalog {
  readonly hash: ContentHash;
  /** Size of the database (bytes). */
  readonly size: number;
  /** Of this catalog and all below it. */
  readonly counters: CatalogCounters;
}

/** What is the same for all catalogs of one revision. */
export interface CatalogContext {
  readonly objects: Objects;
  /** Content of external files by path (`/a/b`). */
  readonly external: Map<ByteString, Buffer>;
  readonly time: number;
  readonly revision: number;
  /** Root catalogs of the earlier revisions, for bind mountpoints. */
  readonly earlier: readonly MadeCatalog[];
  /** All catalogs made so far, by mountpoint. */
  readonly catalogs: Map<ByteString, MadeCatalog>;
}

/** Makes the catalog of a directory (path: '' for the root), and first those nested below it. */
export function makeCatalog(
  context: CatalogContext,
  path: ByteString,
  spec: DirectorySpec,
  properties: Readonly<Record<string, string>>,
): MadeCatalog {
  const writer = startCatalog(context);
  const isRoot = path === '';
  const own = isRoot ? flag.directory : flag.directory | flag.nestedRoot;
  addRow(writer, path, spec, { flags: own, nlink: directoryLinks(spec), ...directoryRow });
  addEntries(writer, path, spec);
  const all = {
    schema: '2.5',
    schema_revision: '7',
    last_modified: String(context.time),
    revision: String(context.revision),
    ...(isRoot ? {} : { root_prefix: path }),
    ...properties,
  };
  for (const [key, value] of Object.entries(all)) writer.catalog.property(key, value);
  return sealCatalog(writer, path, spec);
}

interface Writer {
  readonly context: CatalogContext;
  readonly catalog: CatalogWriter;
  readonly self: CatalogCounters;
  readonly below: CatalogCounters;
}

function startCatalog(context: CatalogContext): Writer {
  return { context, catalog: writeCatalog(), self: zeroCounters(), below: zeroCounters() };
}

function addEntries(writer: Writer, parent: ByteString, spec: DirectorySpec): void {
  const groups = new Map<number, number>();
  for (const { linkGroup } of Object.values(spec.entries)) {
    if (linkGroup !== undefined) groups.set(linkGroup, (groups.get(linkGroup) ?? 0) + 1);
  }
  for (const [name, entry] of Object.entries(spec.entries)) {
    const links = entry.linkGroup === undefined ? 1 : (groups.get(entry.linkGroup) ?? 1);
    addEntry(writer, `${parent}/${name}`, entry, links);
  }
}

const directoryRow = { type: 0o040000, defaultMode: 0o755, size: 4096 };

function addEntry(writer: Writer, path: ByteString, entry: EntrySpec, nlink: number): void {
  const { self } = writer;
  switch (entry.type) {
    case 'file':
      addFile(writer, path, entry, nlink);
      return;
    case 'symlink': {
      self.symlink++;
      const row = { type: 0o120000, defaultMode: 0o777, size: entry.target.length };
      const flags = flag.file | flag.symlink;
      addRow(writer, path, entry, { ...row, flags, nlink, target: entry.target });
      return;
    }
    case 'directory':
      addDirectory(writer, path, entry);
      return;
    case 'bind': {
      const bound = writer.context.earlier[entry.revision - 1];
      if (bound === undefined) throw new Error(`there is no earlier revision ${entry.revision}`);
      const flags = flag.directory | flag.bind;
      addRow(writer, path, entry, { ...directoryRow, flags, nlink: 2 });
      link(writer, 'bind_mountpoints', path, bound);
      return;
    }
    case 'fifo':
    case 'socket':
    case 'character':
    case 'block': {
      self.special++;
      const row = { type: specialTypes[entry.type], defaultMode: 0o644, size: entry.rdev ?? 0 };
      addRow(writer, path, entry, { ...row, flags: flag.file | flag.special, nlink });
      return;
    }
  }
}

const specialTypes = { fifo: 0o010000, socket: 0o140000, character: 0o020000, block: 0o060000 };

function addDirectory(writer: Writer, path: ByteString, entry: DirectorySpec): void {
  const { context, below } = writer;
  const nlink = directoryLinks(entry);
  if (entry.nested !== true) {
    addRow(writer, path, entry, { ...directoryRow, flags: flag.directory, nlink });
    addEntries(writer, path, entry);
    return;
  }
  addRow(writer, path, entry, { ...directoryRow, flags: flag.directory | flag.mountpoint, nlink });
  const made = makeCatalog(context, path, entry, {});
  link(writer, 'nested_catalogs', path, made);
  writer.self.nested++;
  for (const name of counterNames) below[name] += made.counters[name];
}

/** 2 and one for each subdirectory, nested and bound ones as well (docs/format.md, 5.7). */
function directoryLinks(spec: DirectorySpec): number {
  const all = Object.values(spec.entries);
  return 2 + all.filter(({ type }) => type === 'directory' || type === 'bind').length;
}

function link(
  writer: Writer,
  table: 'nested_catalogs' | 'bind_mountpoints',
  path: ByteString,
  made: MadeCatalog,
): void {
  writer.catalog.link(table, { path, hash: made.hash.text, size: made.size });
}

function addFile(writer: Writer, path: ByteString, entry: FileSpec, nlink: number): void {
  const { self, context } = writer;
  const { objects } = context;
  const content = typeof entry.content === 'string' ? Buffer.from(entry.content) : entry.content;
  const compression = entry.external === true ? 'none' : (entry.compression ?? 'zlib');
  const chunked = entry.chunks !== undefined;
  const store = (kind: 'data' | 'chunk', bytes: Buffer): ContentHash =>
    // External content is known by its hash too, but nothing is stored under that name.
    entry.external === true
      ? hashBytes(objects.algorithm, bytes)
      : objects.add(kind, bytes, compression);
  if (entry.external === true) context.external.set(path, content);
  const whole = !chunked || entry.bulk === true ? store('data', content) : undefined;
  const flags =
    flag.file |
    hashFlag[objects.algorithm] |
    flagsOfCompression(compression) |
    (chunked ? flag.chunked : 0) |
    (entry.external === true ? flag.external : 0) |
    (entry.directIo === true ? flag.directIo : 0);
  const row = { type: 0o100000, defaultMode: 0o644, size: content.length };
  addRow(writer, path, entry, { ...row, flags, nlink, hash: whole });
  self.regular++;
  self.file_size += content.length;
  if (entry.external === true) {
    self.external++;
    self.external_file_size += content.length;
  }
  if (entry.chunks === undefined) return;
  self.chunked++;
  self.chunked_size += content.length;
  let offset = 0;
  for (let index = 0; offset < content.length; index++) {
    const size = entry.chunks[Math.min(index, entry.chunks.length - 1)] ?? 0;
    if (size < 1) throw new Error(`a chunk of ${path} has no size`);
    const part = content.subarray(offset, offset + size);
    writer.catalog.chunk([
      ...pathKeyColumns(path),
      BigInt(offset),
      BigInt(part.length),
      digest(store('chunk', part)),
    ]);
    self.chunks++;
    offset += part.length;
  }
}

interface Row {
  readonly type: number;
  readonly defaultMode: number;
  readonly size: number;
  readonly flags: number;
  readonly nlink: number;
  readonly hash?: ContentHash | undefined;
  readonly target?: ByteString;
}

function addRow(writer: Writer, path: ByteString, spec: RowAttributes, row: Row): void {
  const slash = path.lastIndexOf('/');
  const isDirectory = row.type === directoryRow.type;
  if (isDirectory) writer.self.dir++;
  if (spec.xattrs !== undefined) writer.self.xattr++;
  writer.catalog.row([
    ...pathKeyColumns(path),
    ...(path === '' ? ([0n, 0n] as const) : pathKeyColumns(path.slice(0, slash))),
    (BigInt(spec.linkGroup ?? 0) << 32n) | BigInt(row.nlink),
    row.hash === undefined ? null : digest(row.hash),
    BigInt(row.size),
    BigInt(row.type | (spec.mode ?? row.defaultMode)),
    BigInt(spec.mtime ?? writer.context.time),
    spec.mtimeNs === undefined ? null : BigInt(spec.mtimeNs),
    BigInt(row.flags | (spec.hidden === true ? flag.hidden : 0)),
    toBytes(path.slice(slash + 1)),
    toBytes(row.target ?? ''),
    BigInt(spec.uid ?? 0),
    BigInt(spec.gid ?? 0),
    spec.xattrs === undefined ? null : blobOf(spec.xattrs),
  ]);
}

/** The two numbers by which a path is found (docs/format.md, 5.4). */
export function pathKeyColumns(path: ByteString): readonly [bigint, bigint] {
  return pathKey(pathDigest(path));
}

function digest(hash: ContentHash): Buffer {
  return Buffer.from(hash.text.slice(0, 40), 'hex');
}

function blobOf(xattrs: Readonly<Record<string, string | Buffer>>): Buffer | null {
  const values = Object.entries(xattrs).map(([key, value]) => [key, Buffer.from(value)] as const);
  return xattrBlob(new Map(values)) ?? null;
}

function sealCatalog(writer: Writer, path: ByteString, spec: DirectorySpec): MadeCatalog {
  const { catalog, self, below, context } = writer;
  const counters = zeroCounters();
  for (const name of counterNames) counters[name] = self[name] + below[name];
  catalog.counters(self, below);
  if (spec.sql !== undefined) catalog.execute(spec.sql);
  let bytes = catalog.finish();
  if (spec.patch !== undefined) bytes = spec.patch(bytes);
  const hash = context.objects.add('catalog', bytes, 'zlib', spec.object);
  const made = { hash, size: bytes.length, counters };
  context.catalogs.set(path, made);
  return made;
}
