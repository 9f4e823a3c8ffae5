import { createHash } from 'node:crypto';
import type { ByteString } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import { hashBytes } from '../../format/hash.js';
import type { Shelf } from '../../store/shelf.js';
import type { Store } from '../../store/store.js';
import { done, wantKey, type Failure, type Outcome, type Want } from '../../store/want.js';
import type { Chunk, Entry, NodeId } from '../../tree/entry.js';
import type { CatalogInfo, RootProperties, Tree } from '../../tree/tree.js';

/** An entry of a fake tree: what differs from an ordinary file, directory or link. */
export interface FakeEntry extends Partial<
  Pick<
    Entry,
    | 'type'
    | 'mode'
    | 'uid'
    | 'gid'
    | 'nlink'
    | 'mtime'
    | 'mtimeNs'
    | 'rdev'
    | 'ino'
    | 'xattrs'
    | 'broken'
    | 'hidden'
    | 'target'
    | 'rawTarget'
    | 'directIo'
  >
> {
  readonly children?: Readonly<Record<ByteString, FakeEntry>>;
  /** Content of a file, in chunks of `chunkSize` if that is given. */
  readonly bytes?: Buffer;
  readonly chunkSize?: number;
}

export interface FakeTree {
  readonly tree: Tree;
  readonly shelf: Shelf;
  readonly store: Store;
  /** Keys of objects that are on the shelf; take one away and the next read of it misses. */
  readonly present: Map<string, Buffer>;
  /** Takes all objects from the shelf; the store still has them. */
  clear(): void;
  /** What was asked of the store, by key. */
  readonly fetched: string[];
  /** Errors that the store answers with, by key (`*`: all). */
  readonly failing: Map<string, PinfsError>;
}

const errnos = { ENOENT: 2, EIO: 5, ENOTDIR: 20, ENAMETOOLONG: 36 };

/** A tree in memory, with a shelf and a store for its objects: for tests of what stands above the tree. */
export function makeFakeTree(root: FakeEntry, properties: Partial<RootProperties> = {}): FakeTree {
  const nodes = new Map<NodeId, Node>();
  const objects = new Map<string, Buffer>();
  plant(root, '', '', undefined, nodes, objects);
  const present = new Map(objects);
  const fetched: string[] = [];
  const failing = new Map<string, PinfsError>();
  const shelf = fakeShelf(present);
  return {
    tree: fakeTree(nodes, properties),
    shelf,
    store: fakeStore(shelf, { objects, present, fetched, failing }),
    present,
    clear: () => present.clear(),
    fetched,
    failing,
  };
}

interface Node {
  readonly entry: Entry;
  readonly parent: NodeId;
  readonly children: Map<ByteString, NodeId>;
  readonly chunks: readonly Chunk[];
}

const typeBits = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
};

function plant(
  spec: FakeEntry,
  name: ByteString,
  path: ByteString,
  parent: NodeId | undefined,
  nodes: Map<NodeId, Node>,
  objects: Map<string, Buffer>,
): NodeId {
  const node = nodes.size + 1;
  const type = spec.type ?? guessType(spec);
  const chunks = chunksOf(spec, objects);
  const children = new Map<ByteString, NodeId>();
  const entry: Entry = {
    node,
    name,
    path,
    type,
    mode: typeBits[type] | (spec.mode ?? (type === 'directory' ? 0o755 : 0o644)),
    uid: spec.uid ?? 0,
    gid: spec.gid ?? 0,
    size: type === 'directory' ? 4096 : (spec.bytes ?? spec.target ?? '').length,
    mtime: spec.mtime ?? 1_000_000_000,
    mtimeNs: spec.mtimeNs ?? 0,
    nlink: spec.nlink ?? 1,
    rdev: spec.rdev ?? 0,
    ino: spec.ino ?? createHash('md5').update(path, 'latin1').digest().readBigUInt64LE(0) >> 1n,
    linkGroup: 0,
    rawTarget: spec.rawTarget ?? spec.target ?? '',
    target: spec.target ?? '',
    xattrs: spec.xattrs,
    content:
      type === 'file'
        ? {
            algorithm: 'sha1',
            compression: 'none',
            external: false,
            chunked: spec.chunkSize !== undefined,
            hash: spec.chunkSize === undefined ? keep(spec.bytes, objects) : undefined,
          }
        : undefined,
    hidden: spec.hidden ?? false,
    nestedMountpoint: false,
    bindMountpoint: false,
    directIo: spec.directIo ?? false,
    broken: spec.broken,
  };
  nodes.set(node, { entry, parent: parent ?? node, children, chunks });
  for (const [childName, child] of Object.entries(spec.children ?? {})) {
    const childPath = `${path}/${childName}`;
    children.set(childName, plant(child, childName, childPath, node, nodes, objects));
  }
  return node;
}

function guessType(spec: FakeEntry): Entry['type'] {
  if (spec.children !== undefined) return 'directory';
  return spec.target === undefined ? 'file' : 'symlink';
}

function keep(bytes: Buffer | undefined, objects: Map<string, Buffer>, kind?: 'chunk') {
  const content = bytes ?? Buffer.alloc(0);
  const hash = hashBytes('sha1', content);
  objects.set(wantKey({ object: { hash, kind: kind ?? 'data' }, compression: 'none' }), content);
  return hash;
}

function chunksOf(spec: FakeEntry, objects: Map<string, Buffer>): Chunk[] {
  const { bytes, chunkSize } = spec;
  const chunks: Chunk[] = [];
  if (bytes === undefined || chunkSize === undefined) return chunks;
  for (let offset = 0; offset < bytes.length; offset += chunkSize) {
    const part = bytes.subarray(offset, offset + chunkSize);
    const hash = keep(part, objects, 'chunk');
    chunks.push({ offset, size: part.length, object: { hash, kind: 'chunk' } });
  }
  return chunks;
}

function failed(errno: number): Failure {
  return { kind: 'failure', errno };
}

function fakeTree(nodes: Map<NodeId, Node>, properties: Partial<RootProperties>): Tree {
  const of = (node: NodeId): Node | undefined => nodes.get(node);
  const entry = (node: NodeId | undefined): Outcome<Entry> => {
    const found = node === undefined ? undefined : of(node);
    return found === undefined ? failed(errnos.ENOENT) : done(found.entry);
  };
  const lookup = (directory: NodeId, name: ByteString): Outcome<Entry> => {
    const found = of(directory);
    if (found?.entry.type !== 'directory') return failed(errnos.ENOTDIR);
    if (name.length > 255) return failed(errnos.ENAMETOOLONG);
    return entry(found.children.get(name));
  };
  const catalog = fakeCatalog();
  return {
    root: 1,
    entry,
    lookup,
    list(directory, after, limit) {
      const found = of(directory);
      if (found?.entry.type !== 'directory') return failed(errnos.ENOTDIR);
      const all = [...found.children.values()].flatMap((it) => of(it)?.entry ?? []);
      const behind = all.filter((it) => it.node > after);
      // As in the real one, hidden entries count in the limit.
      const entries = behind.slice(0, limit).filter((it) => !it.hidden);
      const cookies = entries.map((it) => it.node);
      return done({ entries, cookies, end: limit >= behind.length });
    },
    parent: (node) => done(of(node)?.parent ?? 1),
    following: () => undefined,
    resolve(path) {
      let found = entry(1);
      for (const name of path.split('/').filter((it) => it !== '')) {
        if (found.kind === 'done') found = lookup(found.value.node, name);
      }
      return found;
    },
    chunks: (node) => done(of(node)?.chunks ?? []),
    catalogOf: () => done(catalog),
    nested: () => done({ catalogs: [], broken: [] }),
    objects: () => done({ wants: [], broken: [], next: undefined }),
    inodes: () => done({ inodes: [], next: undefined }),
    properties: {
      revision: 7,
      lastModified: 1_000_000_000,
      ttl: 240,
      schema: '2.5',
      volatile: false,
      vomsAuthz: undefined,
      previousRevision: undefined,
      ...properties,
    },
    statistics: { catalogsOpened: 1, catalogsOpen: 1, directoriesLoaded: 0, rowsRefused: 0 },
    close: () => undefined,
  };
}

function fakeCatalog(): CatalogInfo {
  const object = { hash: hashBytes('sha1', Buffer.from('catalog')), kind: 'catalog' } as const;
  return {
    number: 0,
    mountpoint: '',
    want: { object, compression: 'zlib', size: { kind: 'limit', bytes: 1 << 20 }, path: '' },
    counters: new Map([
      ['regular', { self: 3n, subtree: 40n }],
      ['symlink', { self: 1n, subtree: 0n }],
      ['dir', { self: 2n, subtree: 5n }],
    ]),
  };
}

function fakeShelf(present: Map<string, Buffer>): Shelf {
  return {
    read(want, position, length, target, targetOffset) {
      const bytes = present.get(wantKey(want));
      return bytes?.copy(target, targetOffset, position, position + length);
    },
    path: () => undefined,
    descriptor: () => undefined,
    has: (want) => present.has(wantKey(want)),
    beginRun: () => undefined,
    close: () => undefined,
  };
}

interface Stock {
  readonly objects: Map<string, Buffer>;
  readonly present: Map<string, Buffer>;
  readonly fetched: string[];
  readonly failing: Map<string, PinfsError>;
}

function fakeStore(shelf: Shelf, { objects, present, fetched, failing }: Stock): Store {
  const fetch = async (want: Want): Promise<void> => {
    await Promise.resolve();
    const key = wantKey(want);
    fetched.push(key);
    const error = failing.get(key) ?? failing.get('*');
    if (error !== undefined) throw error;
    const bytes = objects.get(key);
    if (bytes === undefined) throw new PinfsError('OBJECT_MISSING', `${key} is missing`);
    present.set(key, bytes);
  };
  return {
    shelf,
    directory: '',
    fetch,
    fetchAhead: () => undefined,
    hold: () => undefined,
    release: () => undefined,
    statistics: {
      hits: 0,
      misses: 0,
      catalogHits: 0,
      catalogMisses: 0,
      stored: 0,
      evicted: 0,
      bytes: 0,
      limit: 0,
      rebuilt: 0,
      notStored: undefined,
      failures: {},
      lastFailure: undefined,
    },
    close: () => Promise.resolve(),
  };
}
