import { constants } from 'node:os';
import t from 'tap';
import { PinfsError } from '../../format/errors.js';
import { quietFacts } from '../../filesystem/live-facts.js';
import { openFilesystem } from '../../filesystem/open-filesystem.js';
import type { Filesystem } from '../../filesystem/filesystem.js';
import { defaultWaitLimits } from '../../source/wait.js';
import { runOperation } from '../../store/run.js';
import { nothingComes } from '../../testing/waiting.js';
import { makeFakeTree, type FakeEntry, type FakeTree } from '../../testing/fakes/fake-tree.js';
import { makeHandlers, type Handlers } from './handlers.js';
import { intoBuffer, operationTable, writingOperations } from './operations.js';
import type { NativeListing } from './requests.js';
import { makeDriverCounters, type DriverCounters } from '../counters.js';

const { errno } = constants;

const bytes = Buffer.from(Array.from({ length: 1000 }, (_, index) => index % 251));
const content: FakeEntry = {
  children: {
    file: { bytes, xattrs: new Map([['user.x', Buffer.alloc(300, 'x')]]) },
    chunked: { bytes, chunkSize: 100 },
    'b\xffd': { bytes },
    '\xc3\xa9': { bytes, mtime: -1 },
    link: { target: 'file' },
    badlink: { target: '\xff' },
    longlink: { target: 'x'.repeat(4096) },
    broken: { bytes, broken: new PinfsError('CATALOG_SCHEMA', 'row is damaged') },
    directory: { children: {} },
  },
};

const identity = {
  fqrn: 'test.example.org',
  tag: undefined,
  revision: 1,
  rootHash: '0'.repeat(40),
  pinned: true,
  sourceLabel: 'test',
  trust: '{}',
};

interface Made {
  readonly fake: FakeTree;
  readonly filesystem: Filesystem;
  readonly handlers: Handlers;
  readonly counters: DriverCounters;
  readonly logged: string[];
}

function make(
  change: (filesystem: Filesystem) => Filesystem = (it) => it,
  deadline = 10_000,
): Made {
  const fake = makeFakeTree(content);
  const facts = () => quietFacts({ uid: 0, cacheLimit: 1 << 20 });
  const filesystem = change(openFilesystem(fake.tree, fake.shelf, identity, facts));
  const logged: string[] = [];
  const counters = makeDriverCounters({
    log: (level, message) => logged.push(`${level} ${message}`),
  });
  const run: Parameters<typeof makeHandlers>[1] = (operation, wait) =>
    runOperation(operation, fake.store, { wait });
  const handlers = makeHandlers(filesystem, run, { deadline, minRate: 1024 }, counters);
  return { fake, filesystem, handlers, counters, logged };
}

type Answer<T> = [number, T | undefined];

/** What a handler answers; it fails when there is a second answer. */
function ask<T>(start: (reply: (result: number, value?: T) => void) => void): Promise<Answer<T>> {
  return new Promise((resolve, reject) => {
    let answered = false;
    start((result, value) => {
      if (answered) reject(new Error('answered twice'));
      answered = true;
      resolve([result, value]);
    });
  });
}

async function open({ handlers }: Made, path: string): Promise<number> {
  const [result, handle] = await ask<number>((reply) => handlers.open(path, 0, reply));
  if (result !== 0 || handle === undefined) throw new Error(`open: ${result}`);
  return handle;
}

async function read(
  { handlers }: Made,
  handle: number,
  position: number,
  length: number,
): Promise<[number, Buffer]> {
  const buffer = Buffer.alloc(length);
  const [result] = await ask<never>((reply) =>
    handlers.read('', handle, buffer, length, position, reply),
  );
  return [result, buffer.subarray(0, Math.max(0, result))];
}

void t.test('attributes, targets and errors come back by call-back', async (t) => {
  const { handlers, counters } = make();
  const [result, stat] = await ask((reply) => handlers.getattr('/file', reply));
  t.equal(result, 0);
  t.match(stat, { size: 1000, mode: 0o100644 });
  t.same(await ask((reply) => handlers.getattr('/absent', reply)), [-errno.ENOENT, undefined]);
  t.same(await ask((reply) => handlers.getattr('/file/x', reply)), [-errno.ENOTDIR, undefined]);
  t.same(await ask((reply) => handlers.getattr('/é', reply)).then(([code]) => code), 0);
  t.equal(counters.statistics.notCarried, 1, 'its time is before 1970');
  t.same(await ask((reply) => handlers.readlink('/link', reply)), [0, 'file']);
  t.same(await ask((reply) => handlers.readlink('/file', reply)), [-errno.EINVAL, undefined]);
  t.same(await ask((reply) => handlers.readlink('/badlink', reply)), [-errno.EIO, undefined]);
  t.equal(counters.statistics.notCarried, 2);
  const [long] = await ask((reply) => handlers.readlink('/longlink', reply));
  t.equal(long, -errno.ENAMETOOLONG);
  const [, statfs] = await ask((reply) => handlers.statfs('/', reply));
  t.match(statfs, { bsize: 512, blocks: 2048, namemax: 255 });
  t.match(counters.statistics.requests, { getattr: 4, readlink: 4, statfs: 1 });
  t.same(counters.statistics.errors, {}, 'what is only absent is no error of ours');
});

void t.test('a listing hides names that are not UTF-8, and counts them', async (t) => {
  const { handlers, counters } = make();
  const [, listing] = await ask<NativeListing>((reply) => handlers.readdir('/', reply));
  t.same(listing?.names.slice(0, 4), ['.', '..', 'file', 'chunked']);
  t.ok(listing?.names.includes('é') && listing.names.includes('broken'));
  t.equal(listing?.names.length, listing?.stats.length);
  t.equal(counters.statistics.notCarried, 1);
  t.same(await ask((reply) => handlers.readdir('/file', reply)), [-errno.ENOTDIR, undefined]);
});

void t.test('a large directory comes whole, page by page', async (t) => {
  const children = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`f${i}`, { bytes }]));
  const fake = makeFakeTree({ children });
  const filesystem = openFilesystem(fake.tree, fake.shelf, identity, () => quietFacts());
  const run: Parameters<typeof makeHandlers>[1] = (operation) =>
    runOperation(operation, fake.store);
  const handlers = makeHandlers(
    filesystem,
    run,
    defaultWaitLimits,
    makeDriverCounters({ log: () => undefined }),
  );
  const [, listing] = await ask<NativeListing>((reply) => handlers.readdir('/', reply));
  t.equal(new Set(listing?.names).size, 3002);
});

void t.test('reads go through handles, and fetch what is lacking', async (t) => {
  const made = make();
  const handle = await open(made, '/chunked');
  t.ok(handle > 0 && Number.isInteger(handle));
  made.fake.clear();
  t.same(await read(made, handle, 150, 200), [200, bytes.subarray(150, 350)]);
  t.equal(made.fake.fetched.length, 3, 'three chunks, and no more');
  t.same(await read(made, handle, 990, 500), [10, bytes.subarray(990)]);
  t.equal((await read(made, handle, 5000, 10))[0], 0);
  t.same(await ask((reply) => made.handlers.release('/chunked', handle, reply)), [0, undefined]);
  t.equal((await read(made, handle, 0, 10))[0], -errno.EBADF);
});

void t.test('only reading is allowed, and the error says what is wrong', async (t) => {
  const { handlers } = make();
  const flags = { '/file': 1, '/directory': 0, '/link': 0, '/absent': 0 };
  const expected = [errno.EROFS, errno.EISDIR, errno.ELOOP, errno.ENOENT];
  for (const [index, [path, flag]] of Object.entries(flags).entries()) {
    const [result] = await ask<number>((reply) => handlers.open(path, flag, reply));
    t.equal(result, -(expected[index] ?? 0), path);
  }
  const table = operationTable(handlers, false);
  for (const name of writingOperations) {
    const operation = table[name] as (...values: unknown[]) => void;
    t.same(await ask((reply) => operation('/file', 1, reply)), [-errno.EROFS, undefined], name);
  }
  t.notOk('flush' in table || 'access' in table, 'libfuse says ENOSYS to these');
  t.ok('getxattr' in table && 'listxattr' in table);
  const without = operationTable(handlers, true);
  t.notOk('getxattr' in without || 'listxattr' in without);
});

void t.test('damage is EIO, counted by code, and logged once for each path', async (t) => {
  const { handlers, counters, logged } = make();
  for (let times = 0; times < 3; times++) {
    const [result] = await ask((reply) => handlers.getattr('/broken', reply));
    t.equal(result, -errno.EIO);
  }
  t.same(counters.statistics.errors, { CATALOG_SCHEMA: 3 });
  t.same(logged, ['warn getattr /broken: CATALOG_SCHEMA: row is damaged']);
});

void t.test('a read that failed is EIO, and the next one tries again', async (t) => {
  const made = make();
  made.fake.clear();
  made.fake.failing.set('*', new PinfsError('OBJECT_HASH_MISMATCH', 'bad bytes'));
  const handle = await open(made, '/file');
  t.equal((await read(made, handle, 0, 10))[0], -errno.EIO);
  t.same(made.counters.statistics.errors, { OBJECT_HASH_MISMATCH: 1 });
  made.fake.failing.clear();
  t.same(await read(made, handle, 0, 10), [10, bytes.subarray(0, 10)]);
});

void t.test(
  'a request ends when its deadline is over, and is not waited for again in pieces',
  async (t) => {
    const made = make(undefined, 20);
    made.fake.clear();
    const handle = await open(made, '/chunked');
    let fetches = 0;
    const fetch = made.fake.store.fetch.bind(made.fake.store);
    made.fake.store.fetch = (_, __, how) => {
      fetches++;
      return nothingComes(how?.wait);
    };
    t.equal((await read(made, handle, 0, 100))[0], -errno.ETIMEDOUT);
    t.match(made.counters.statistics.errors, { SOURCE_TIMEOUT: 1 });
    t.equal((await read(made, handle, 40, 10))[0], -errno.ETIMEDOUT);
    t.equal(fetches, 1, 'the kernel asks for the same bytes again, and nobody waits for them');
    made.fake.store.fetch = fetch;
    t.same(await read(made, handle, 100, 10), [10, bytes.subarray(100, 110)], 'others are read');
  },
);

void t.test('an exception is answered with EIO, and an odd errno too', async (t) => {
  const { handlers, counters, logged } = make((filesystem) => ({
    ...filesystem,
    resolve: (path) => {
      if (path === '/throws') throw new TypeError('oops');
      return path === '/odd' ? { kind: 'failure', errno: 600 } : filesystem.resolve(path);
    },
    statfs: () => {
      throw new RangeError('statfs');
    },
  }));
  t.same(await ask((reply) => handlers.getattr('/throws', reply)), [-errno.EIO, undefined]);
  t.same(await ask((reply) => handlers.getattr('/odd', reply)), [-errno.EIO, undefined]);
  t.same(await ask((reply) => handlers.statfs('/', reply)), [-errno.EIO, undefined]);
  t.same(counters.statistics.errors, { INTERNAL: 2 });
  t.match(logged.join('\n'), /oops/);
});

void t.test('a reply that throws ends nothing', async (t) => {
  const { handlers, counters } = make();
  await new Promise<void>((resolve) => {
    handlers.getattr('/file', () => {
      setImmediate(resolve);
      throw new Error('no such signal');
    });
  });
  t.same(counters.statistics.errors, { INTERNAL: 1 });
});

void t.test('extended attributes: lengths, buffers that are too small, names', async (t) => {
  const { handlers } = make();
  const [, value] = await ask<Buffer>((reply) => handlers.getxattr('/file', 'user.x', reply));
  t.equal(value?.length, 300);
  const [absent] = await ask((reply) => handlers.getxattr('/file', 'user.y', reply));
  t.equal(absent, -errno.ENODATA);
  const [, names] = await ask<Buffer>((reply) => handlers.listxattr('/file', reply));
  t.equal(names?.toString(), 'user.x\0');
  const [, empty] = await ask<Buffer>((reply) => handlers.listxattr('/link', reply));
  t.equal(empty?.length, 0);

  const given = Buffer.from('value');
  const exact = Buffer.alloc(5);
  t.equal(intoBuffer(given, Buffer.alloc(0)), 5);
  t.equal(intoBuffer(given, Buffer.alloc(4)), -errno.ERANGE);
  t.equal(intoBuffer(given, exact), 5);
  t.same(exact, given);
  t.equal(intoBuffer(Buffer.alloc(0), exact), 0);
  t.end();
});

/** Goes over to a tree with these entries. */
function replace({ handlers }: Made, children: Readonly<Record<string, FakeEntry>>): FakeTree {
  const next = makeFakeTree({ children });
  handlers.replace(openFilesystem(next.tree, next.shelf, identity, () => quietFacts({ uid: 0 })));
  return next;
}

void t.test('after a replacement open files are what they were, or nothing', async (t) => {
  const made = make();
  const { handlers } = made;
  const handle = await open(made, '/file');
  const chunked = await open(made, '/chunked');
  const other = Buffer.from(bytes);
  other.writeUInt8(255, 500);
  replace(made, {
    other: { bytes: Buffer.from('new') },
    file: { bytes },
    chunked: { bytes: other, chunkSize: 200 },
  });
  t.equal((await ask((reply) => handlers.getattr('/other', reply)))[0], 0);
  t.same(await read(made, handle, 0, 5), [5, bytes.subarray(0, 5)]);
  t.same(await read(made, chunked, 0, 300), [300, bytes.subarray(0, 300)], 'the same so far');
  t.equal((await read(made, chunked, 400, 300))[0], -errno.ESTALE, 'pages must not mix');
  for (const file of [{ bytes: other }, { bytes: bytes.subarray(1) }, { target: 'x' }]) {
    replace(made, { file });
    t.equal((await read(made, handle, 400, 300))[0], -errno.ESTALE);
  }
  replace(made, {});
  t.equal((await ask((reply) => handlers.getattr('/file', reply)))[0], -errno.ENOENT);
  t.equal((await read(made, handle, 0, 5))[0], -errno.ESTALE);
  const [result] = await ask((reply) => handlers.release('/file', handle, reply));
  t.equal(result, 0);
  t.equal((await read(made, handle, 0, 5))[0], -errno.EBADF);
});

void t.test('a read that waits while the head moves is held against the new tree', async (t) => {
  const made = make();
  const handle = await open(made, '/file');
  made.fake.clear();
  const waiting = read(made, handle, 0, 5);
  replace(made, { file: { bytes: Buffer.alloc(1000, 'n') } });
  t.equal((await waiting)[0], -errno.ESTALE);
});
