import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { openRepository } from './repository/open.js';
import { walk } from './repository/use/path.js';
import { verifyAll } from './store/cache/maintain.js';
import { runOperation } from './store/run.js';
import type { Outcome } from './store/want.js';
import { openBench, readText } from './testing/bench.js';
import { promised, sameTree, treeOf } from './testing/suites/promised.js';
import { file, makeRepository, type EntrySpec } from './publish/write-repository.js';
import { waitOf } from './testing/waiting.js';
import { openSeen } from './trust/memory/seen.js';

// What must always hold on this machine: P3, P4 and P6, as far as nothing has to be mounted for it.

const { made, first, second } = promised;

void t.test('P3 whatever a server does, an operation ends at its deadline', async (t) => {
  const deadline = 200;
  const hangs = ['hang', 'hang-in-body', 'drip', 'endless', 'endless-headers'] as const;
  for (const behaviour of hangs) {
    const bench = await openBench(t, made);
    const { filesystem, tree, store } = await bench.open(second.rootHash.text);
    const root = filesystem.root;
    const node = (name: string): number => {
      const found = filesystem.lookup(root, name);
      if (found.kind !== 'done') throw new Error(name);
      return found.value.node;
    };
    const buffer = Buffer.alloc(40_000);
    const operations: Readonly<Record<string, () => Outcome<unknown>>> = {
      resolve: () => filesystem.resolve('/dir/sub/inside'),
      bound: () => filesystem.resolve('/bound/old/deep/leaf'),
      readdir: () => filesystem.readdir(node('bound'), 0, 100),
      read: () => filesystem.read(node('plain'), 0, 9000, buffer, 0),
      chunks: () => filesystem.read(node('chunked'), 0, 40_000, buffer, 0),
      xattr: () => filesystem.getxattr(node('bound'), 'user.catalog_counters'),
    };
    bench.server.behave(/^data\//, behaviour);
    const begin = performance.now();
    const outcomes = await Promise.all(
      Object.entries(operations).map(async ([name, operation]) => {
        const outcome = await runOperation(operation, store, { wait: waitOf(deadline) });
        return [name, outcome.kind === 'failure' && outcome.error?.code] as const;
      }),
    );
    const took = performance.now() - begin;
    for (const [name, code] of outcomes) {
      const late = code === 'SOURCE_TIMEOUT' || code === 'OBJECT_TOO_LARGE';
      t.ok(late || code === 'SOURCE_UNREACHABLE', `${behaviour}: ${name}: ${String(code)}`);
    }
    t.ok(took < 20 * deadline, `${behaviour}: not after ${took} ms`);
    t.equal(tree.entry(root).kind, 'done', 'what is here is answered meanwhile');
  }
});

void t.test('P3 statfs waits for nothing and needs nothing', async (t) => {
  const bench = await openBench(t, made);
  const { filesystem } = await bench.open(second.rootHash.text);
  bench.server.behave(() => true, 'hang');
  rmSync(join(bench.work, 'cache', 'objects'), { recursive: true, force: true });
  t.match(filesystem.statfs(), { nameMax: 255, filesFree: 0 });
});

const child = fileURLToPath(new URL('./testing/suites/promised-child.js', import.meta.url));

/** A process that opens and reads everything again and again, with a line for each step. */
function start(...args: readonly string[]): { process: ChildProcess; lines: string[] } {
  const process = spawn(globalThis.process.execPath, [child, ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  createInterface({ input: process.stdout }).on('line', (line) => lines.push(line));
  return { process, lines };
}

void t.test('P4 kill -9 at any moment leaves cache and state sound', async (t) => {
  const bench = await openBench(t, made);
  const cache = join(bench.work, 'killed');
  const opened = { cache, keys: [bench.key] };
  for (const after of [1, 2, 3, 5, 8, 13, 21, 34]) {
    const { process, lines } = start(bench.server.url, bench.key, cache);
    t.teardown(() => process.kill('SIGKILL'));
    const ended = once(process, 'close');
    while (lines.length < after && process.exitCode === null) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    process.kill('SIGKILL');
    await ended;
    t.notOk(lines.find((line) => line.startsWith('wrong')));
    t.match(await verifyAll(cache), { damaged: [] }, `after ${after} steps`);
    t.doesNotThrow(() => openSeen(join(cache, 'state'), () => true).get(made.fqrn));
    for (const [pin, revision] of [
      [undefined, second],
      ['v1', first],
    ] as const) {
      const again = await bench.open(pin, opened);
      t.equal(again.descriptor.identity.rootHash, revision.rootHash.text);
      const { failed } = sameTree(await treeOf(again), new Map());
      t.same(failed, []);
      await again.close();
    }
    t.same(readdirSync(join(cache, 'tmp')), [], 'nothing of the dead is left');
    if (after % 2 === 0) rmSync(join(cache, 'objects'), { recursive: true, force: true });
  }
});

/** Bytes of all files below a directory, in whole blocks. */
function usage(directory: string): number {
  let sum = 0;
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' })) {
    const status = statSync(join(directory, name), { throwIfNoEntry: false });
    if (status?.isFile() === true) sum += status.blocks * 512;
  }
  return sum;
}

/** Noise, which does not become smaller in a cache. */
function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed + 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

const large = makeRepository({
  revisions: [
    {
      tree: Object.fromEntries(
        Array.from({ length: 150 }, (_, index): [string, EntrySpec] => [
          `file-${index}`,
          file(noise(index, 60_000)),
        ]),
      ),
    },
  ],
});

void t.test('P6 a cache keeps its limit, with all that belongs to it', async (t) => {
  const bench = await openBench(t, large);
  const limit = 1_500_000;
  const repository = await bench.open(undefined, { cacheLimit: limit });
  const cache = join(bench.work, 'cache');
  let highest = 0;
  for (let index = 0; index < 150; index++) {
    const it = await walk(repository, `/file-${index}`, false);
    const buffer = Buffer.alloc(60_000);
    await repository.run(() => repository.filesystem.read(it.node, 0, 60_000, buffer, 0));
    t.ok(buffer.equals(noise(index, 60_000)));
    highest = Math.max(highest, usage(cache));
  }
  t.ok(repository.store.statistics.evicted > 0);
  // Beside the objects there are records, a lock, and the state.
  t.ok(highest < limit + 3 * 2 ** 20, `${highest} bytes`);
  t.ok(repository.store.statistics.bytes <= limit);
  await repository.close();
});

void t.test('P6 a cache that is too small for one object says so, and goes on', async (t) => {
  const tree = { large: file(noise(1, 400_000)), little: file('little') };
  const bench = await openBench(t, makeRepository({ revisions: [{ tree }] }));
  const repository = await bench.open(undefined, { cacheLimit: 200_000 });
  const it = await walk(repository, '/large', false);
  const read = () => repository.filesystem.read(it.node, 0, 10, Buffer.alloc(10), 0);
  const full = { kind: 'failure', errno: 28, error: { code: 'CACHE_FULL' } };
  t.match(await repository.run(read), full, 'ENOSPC, with its reason');
  t.equal(await readText(repository, '/little'), 'little');
});

const small = mkdtempSync(join(tmpdir(), 'pinfs-small-'));
const mount = (...args: readonly string[]): boolean =>
  spawnSync('mount', [...args, small], { timeout: 10_000, stdio: 'ignore' }).status === 0;
const isSmall =
  process.geteuid?.() === 0 && mount('-t', 'tmpfs', '-o', 'size=6m,mode=700', 'tmpfs');
const needsSmall = isSmall ? {} : { skip: 'only root can mount a small disk' };
t.teardown(() => {
  if (isSmall) spawnSync('umount', ['-l', small], { timeout: 10_000 });
  rmSync(small, { recursive: true, force: true });
});

void t.test('P6 a partition is never filled, whatever limit is given', needsSmall, async (t) => {
  const bench = await openBench(t, large);
  const cache = join(small, 'cache');
  const repository = await bench.open(undefined, { cache, cacheLimit: 2 ** 40 });
  let least = Infinity;
  for (let index = 0; index < 150; index++) {
    const it = await walk(repository, `/file-${index}`, false);
    const read = () => repository.filesystem.read(it.node, 0, 9, Buffer.alloc(9), 0);
    t.equal((await repository.run(read)).kind, 'done');
    const { bavail, bsize } = statfsSync(small);
    least = Math.min(least, bavail * bsize);
  }
  t.ok(least > 2 ** 20, `${least} bytes are left to others`);
  await repository.close();
  rmSync(cache, { recursive: true, force: true });
});

void t.test('P2 a full disk does not keep a mount from coming up', needsSmall, async (t) => {
  const bench = await openBench(t, made);
  const cache = join(small, 'full');
  mkdirSync(cache, { mode: 0o700 });
  chmodSync(cache, 0o700);
  for (const pin of [undefined, 'v1', first.rootHash.text]) {
    const opened = await bench.open(pin, { cache });
    await treeOf(opened);
    await opened.close();
  }
  const others = openSync(join(small, 'others'), 'w');
  t.throws(() => {
    for (;;) writeSync(others, Buffer.alloc(4096));
  }, /ENOSPC/);
  closeSync(others);
  for (const offline of [false, true]) {
    for (const pin of [undefined, 'v1', first.rootHash.text]) {
      const options = { source: bench.server.url + (pin === undefined ? '' : `@${pin}`) };
      const given = { ...options, keys: [bench.key], cache, offline };
      const again = await openRepository(given, bench.environment);
      const { failed } = sameTree(await treeOf(again), new Map());
      t.same(failed, [], `${pin ?? 'head'} ${offline ? 'offline' : ''}`);
      await again.close();
    }
  }
  rmSync(join(small, 'others'));
});
