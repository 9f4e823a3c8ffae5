import type { Filesystem } from '../../filesystem/filesystem.js';
import { quietFacts } from '../../filesystem/live-facts.js';
import { openFilesystem } from '../../filesystem/open-filesystem.js';
import type { Identity, SnapshotDescriptor } from '../../filesystem/snapshot-descriptor.js';
import type { Connection } from '../../drivers/kernel/protocol/negotiation.js';
import { usualWishes } from '../../drivers/kernel/protocol/negotiation.js';
import { makeFrame } from '../../drivers/kernel/protocol/protocol.js';
import type { Settings } from '../../drivers/kernel/worker/service.js';
import { openSession, type KernelSession } from '../../drivers/kernel/worker/session.js';
import { openSnapshots, type Snapshots } from '../../drivers/kernel/worker/snapshots.js';
import { counters, type Counters } from '../../drivers/kernel/worker/statistics.js';
import { PinfsError } from '../../format/errors.js';
import { defaultWaitLimits } from '../../source/wait.js';
import { hashBytes } from '../../format/hash.js';
import type { Miss } from '../../store/want.js';
import { makeFakeTree, type FakeEntry, type FakeTree } from './fake-tree.js';
import { bodyOf, opcodes, readReply, requestBytes, type FakeReply } from './fake-kernel.js';

/** A session of the kernel driver over a tree in memory, with a clock that only the test moves. */
export interface FakeSession {
  readonly session: KernelSession;
  readonly snapshots: Snapshots;
  readonly counters: Counters;
  readonly tree: FakeTree;
  readonly misses: { readonly key: string; readonly miss: Miss }[];
  readonly joined: string[];
  readonly dropped: string[];
  readonly reported: PinfsError[];
  readonly connections: (Connection | string)[];
  readonly traced: string[];
  /** Milliseconds; moved by hand. */
  now: number;
  /** Sends a request; its reply, or undefined if there is none (yet). */
  readonly ask: (opcode: number, body?: Buffer, node?: Buffer | number) => FakeReply | undefined;
  readonly askBytes: (bytes: Buffer) => FakeReply | undefined;
  /** Unique of the last request. */
  readonly lastUnique: () => number;
  /** All replies that came since the last `ask` began. */
  readonly replies: FakeReply[];
}

const fakeIdentity: Identity = {
  fqrn: 'fake.example.org',
  tag: undefined,
  revision: 7,
  rootHash: '0'.repeat(40),
  pinned: true,
  sourceLabel: 'memory',
  trust: '{}',
};

export function fakeDescriptor(cacheDirectory: string): SnapshotDescriptor {
  const object = { hash: hashBytes('sha1', Buffer.from('catalog')), kind: 'catalog' } as const;
  return {
    cacheDirectory,
    root: { object, compression: 'zlib', size: { kind: 'limit', bytes: 1 << 20 }, path: '' },
    tree: { variables: {}, owner: { uid: 0, gid: 0 } },
    identity: fakeIdentity,
  };
}

export const pinnedSettings: Settings = {
  lifetime: 'pinned',
  aheadBytesMax: 0,
  noXattrs: false,
  noOpen: true,
  noOpendir: true,
  ...defaultWaitLimits,
  wishes: usualWishes,
};

export interface FakeSessionOptions {
  readonly settings?: Partial<Settings>;
  /** Changes what the filesystem answers. */
  readonly change?: (filesystem: Filesystem) => Filesystem;
  /** Kernel's minor version; INIT is done already. */
  readonly minor?: number;
}

/** A filesystem over a tree in memory. */
export function fakeFilesystem(tree: FakeTree): Filesystem {
  return openFilesystem(tree.tree, tree.shelf, fakeIdentity, () => quietFacts({ uid: 0 }));
}

export function fakeSession(root: FakeEntry, options: FakeSessionOptions = {}): FakeSession {
  const tree = makeFakeTree(root);
  const filesystem = (options.change ?? ((it) => it))(fakeFilesystem(tree));
  const snapshots = openSnapshots({ filesystem, close: () => undefined });
  const replies: FakeReply[] = [];
  const counted = counters();
  const frame = makeFrame(128 * 1024);
  let unique = 0;
  const fake = {
    misses: [],
    fetchAhead: () => undefined,
    joined: [],
    dropped: [],
    reported: [],
    connections: [],
    traced: [],
  } as Pick<FakeSession, 'misses' | 'joined' | 'dropped' | 'reported' | 'connections' | 'traced'>;
  const session = openSession({
    settings: { ...pinnedSettings, ...options.settings },
    snapshots,
    counters: counted,
    beginRun: () => undefined,
    write: (bytes, length) => replies.push(readReply(Buffer.from(bytes.subarray(0, length)))),
    clock: () => result.now,
    connected: (connection) => fake.connections.push(connection),
    miss: (key, miss) => fake.misses.push({ key, miss }),
    fetchAhead: () => undefined,
    joined: (key) => fake.joined.push(key),
    drop: (key) => fake.dropped.push(key),
    report: (error) => fake.reported.push(error),
  });
  const askBytes = (bytes: Buffer) => {
    replies.length = 0;
    bytes.copy(frame.bytes);
    frame.length = bytes.length;
    session.handle(frame, result.now);
    return replies.find((reply) => reply.unique === unique);
  };
  const result: FakeSession = {
    session,
    snapshots,
    counters: counted,
    tree,
    ...fake,
    now: 1000,
    ask(opcode, body, node) {
      unique += 2;
      return askBytes(
        requestBytes({
          opcode,
          unique,
          ...(body === undefined ? {} : { body }),
          ...(node === undefined ? {} : { node }),
        }),
      );
    },
    askBytes,
    lastUnique: () => unique,
    replies,
  };
  result.ask(opcodes.INIT, bodyOf.init(options.minor ?? 45));
  return result;
}

/** The eight bytes of the node id that a LOOKUP gave. */
export function lookUp(fake: FakeSession, name: string, node?: Buffer): Buffer {
  const reply = fake.ask(opcodes.LOOKUP, bodyOf.name(name), node);
  if (reply?.error !== 0) throw new Error(`${name} was not found`);
  return reply.body.subarray(0, 8);
}

/** A tree with one of each kind. */
export const sampleTree: FakeEntry = {
  children: {
    hello: { bytes: Buffer.from('hello, world\n') },
    empty: { bytes: Buffer.alloc(0) },
    chunked: { bytes: Buffer.from('0123456789'), chunkSize: 4 },
    link: { target: 'caf\xe9' },
    'caf\xe9': { bytes: Buffer.from('x') },
    tagged: { bytes: Buffer.from('t'), xattrs: new Map([['user.note', Buffer.from('v1')]]) },
    sub: { children: { deep: { bytes: Buffer.from('d') } } },
    broken: {
      bytes: Buffer.from('b'),
      broken: new PinfsError('OBJECT_SIZE_MISMATCH', 'a bad row'),
    },
  },
};
