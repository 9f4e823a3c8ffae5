import { createHash } from 'node:crypto';
import Database from 'better-sqlite3';
import { toBytes, type ByteString } from '../format/bytes.js';
import { flagsOfCompression } from '../format/compression.js';
import { hashBytes, type ContentHash } from '../format/hash.js';
import type { Objects } from './objects.js';
import {
  catalogSchema,
  counterNames,
  flag,
  hashFlag,
  zeroCounters,
  type CatalogCounters,
} from './catalog-schema.js';
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
  writer.db.transaction(() => {
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
    const insert = writer.db.prepare('INSERT INTO properties VALUES (?, CAST(? AS TEXT))');
    for (const [key, value] of Object.entries(all)) insert.run(key, toBytes(value));
  })();
  return sealCatalog(writer, path, spec);
}

interface Writer {
  readonly context: CatalogContext;
  readonly db: Database.Database;
  readonly row: Database.Statement;
  readonly chunk: Database.Statement;
  readonly self: CatalogCounters;
  readonly below: CatalogCounters;
}

function startCatalog(context: CatalogContext): Writer {
  const db = new Database(':memory:');
  db.exec(catalogSchema);
  return {
    context,
    db,
    // Names and targets are bytes: bound as blobs and turned to text unchanged.
    row: db.prepare(
      'INSERT INTO catalog VALUES (?,?,?,?,?,?,?,?,?,?,?,CAST(? AS TEXT),CAST(? AS TEXT),?,?,?)',
    ),
    chunk: db.prepare('INSERT INTO chunks VALUES (?,?,?,?,?)'),
    self: zeroCounters(),
    below: zeroCounters(),
  };
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

function link(writer: Writer, table: string, path: ByteString, made: MadeCatalog): void {
  writer.db
    .prepare(`INSERT INTO ${table} VALUES (CAST(? AS TEXT), ?, ?)`)
    .run(toBytes(path), made.hash.text, made.size);
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
    writer.chunk.run(...pathKeyColumns(path), offset, part.length, digest(store('chunk', part)));
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
  writer.row.run(
    ...pathKeyColumns(path),
    ...(path === '' ? [0, 0] : pathKeyColumns(path.slice(0, slash))),
    (BigInt(spec.linkGroup ?? 0) << 32n) | BigInt(row.nlink),
    row.hash === undefined ? null : digest(row.hash),
    row.size,
    row.type | (spec.mode ?? row.defaultMode),
    spec.mtime ?? writer.context.time,
    spec.mtimeNs ?? null,
    row.flags | (spec.hidden === true ? flag.hidden : 0),
    toBytes(path.slice(slash + 1)),
    toBytes(row.target ?? ''),
    spec.uid ?? 0,
    spec.gid ?? 0,
    spec.xattrs === undefined ? null : xattrBlob(spec.xattrs),
  );
}

/** The two numbers by which a path is found (docs/format.md, 5.4). */
export function pathKeyColumns(path: ByteString): [bigint, bigint] {
  const md5 = createHash('md5').update(toBytes(path)).digest();
  return [md5.readBigInt64LE(0), md5.readBigInt64LE(8)];
}

function digest(hash: ContentHash): Buffer {
  return Buffer.from(hash.text.slice(0, 40), 'hex');
}

/** Format document, 5.9. */
function xattrBlob(xattrs: Readonly<Record<string, string | Buffer>>): Buffer {
  const parts: Buffer[] = [Buffer.from([1, Object.keys(xattrs).length])];
  for (const key of Object.keys(xattrs).sort()) {
    const value = Buffer.from(xattrs[key] ?? '');
    parts.push(Buffer.from([key.length, value.length]), toBytes(key), value);
  }
  return Buffer.concat(parts);
}

function sealCatalog(writer: Writer, path: ByteString, spec: DirectorySpec): MadeCatalog {
  const { db, self, below, context } = writer;
  const counter = db.prepare('INSERT INTO statistics VALUES (?, ?)');
  const counters = zeroCounters();
  db.transaction(() => {
    for (const name of counterNames) {
      counter.run(`self_${name}`, self[name]);
      counter.run(`subtree_${name}`, below[name]);
      counters[name] = self[name] + below[name];
    }
  })();
  if (spec.sql !== undefined) db.exec(spec.sql);
  let bytes = db.serialize();
  db.close();
  if (spec.patch !== undefined) bytes = spec.patch(bytes);
  const hash = context.objects.add('catalog', bytes, 'zlib', spec.object);
  const made = { hash, size: bytes.length, counters };
  context.catalogs.set(path, made);
  return made;
}
