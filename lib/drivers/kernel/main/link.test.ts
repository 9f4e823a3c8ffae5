import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { quietFacts } from '../../../filesystem/live-facts.js';
import { PinfsError } from '../../../format/errors.js';
import { defaultWaitLimits } from '../../../source/wait.js';
import type { Want } from '../../../store/want.js';
import {
  bodyOf,
  opcodes,
  openFakeKernel,
  type FakeKernel,
} from '../../../testing/fakes/fake-kernel.js';
import { slowWant } from '../../../testing/fakes/fake-maker.js';
import { fakeDescriptor, pinnedSettings } from '../../../testing/fakes/fake-session.js';
import { systemCalls } from '../../../machine/system-calls.js';
import { openFetches } from './fetches.js';
import { openLink, startThread, type Link } from './link.js';
import type { Settings } from '../worker/service.js';
import { counters } from '../worker/statistics.js';

// A whole worker, its loop and its messages, on a socket pair instead of the device.

interface Bench {
  readonly link: Link;
  readonly kernel: FakeKernel;
  readonly directory: string;
  /** Fetches that wait for the test, by path of what is wanted. */
  readonly fetches: Map<string, { resolve: () => void; reject: (error: Error) => void }>;
  readonly aborted: string[];
  readonly errors: string[];
  readonly serving: Promise<void>;
}

function descriptorOf(directory: string, rootHash: string) {
  const descriptor = fakeDescriptor(directory);
  return { ...descriptor, identity: { ...descriptor.identity, rootHash } };
}

const fakeMaker = new URL('../../../testing/fakes/fake-maker.js', import.meta.url).href;

async function openBench(
  t: Test,
  settings: Partial<Settings> = {},
  minor = 45,
  thread = startThread(fakeMaker),
): Promise<Bench> {
  const directory = t.testdir({});
  const wake = systemCalls().pipe();
  if (typeof wake === 'number') throw new Error('no pipe');
  const counted = counters();
  const fetches: Bench['fetches'] = new Map();
  const aborted: string[] = [];
  const errors: string[] = [];
  const store = {
    fetch: (want: Want, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        fetches.set(want.path, { resolve, reject });
        signal?.addEventListener('abort', () => {
          aborted.push(want.path);
          reject(new PinfsError('INTERRUPTED', 'dropped'));
        });
      }),
    fetchAhead: () => undefined,
  };
  const link = await openLink({
    thread,
    start: {
      settings: { ...pinnedSettings, ...settings },
      counters: counted.memory,
      wake: wake.read,
      trace: undefined,
    },
    counters: counted,
    wake,
    fetches: (send) =>
      openFetches(store, defaultWaitLimits, {
        have: (key) => {
          send({ kind: 'have', key });
        },
        fail: (key, errno) => {
          send({ kind: 'fail', key, errno, passing: false });
        },
        news: (key, bytes, trouble) => {
          send({ kind: 'news', key, bytes, trouble });
        },
      }),
    error: (text) => errors.push(text),
  });
  await link.build(descriptorOf(directory, 'first'), quietFacts(), store);
  const kernel = openFakeKernel();
  const serving = link.serve(kernel.device);
  serving.catch(() => undefined);
  kernel.send({ opcode: opcodes.INIT, unique: 2, body: bodyOf.init(minor) });
  t.teardown(async () => {
    kernel.close();
    await link.ended;
    for (const fd of [kernel.device, wake.read, wake.write]) systemCalls().close(fd);
  });
  return { link, kernel, directory, fetches, aborted, errors, serving };
}

/** Waits until a fetch has begun. */
async function fetchOf(bench: Bench, path: string) {
  for (let round = 0; round < 5000; round += 1) {
    const fetch = bench.fetches.get(path);
    if (fetch !== undefined) return fetch;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`nothing asked for ${path}`);
}

void t.test(
  'every protocol from 7.31 to 7.45 is agreed to, older and other ones are refused',
  async (t) => {
    for (const minor of [31, 35, 36, 40, 43, 44, 45, 99]) {
      const bench = await openBench(t, {}, minor);
      const reply = await bench.kernel.receive();
      t.equal(reply.error, 0);
      t.equal(reply.body.readUInt32LE(4), Math.min(minor, 45), `7.${minor}`);
      t.equal(reply.body.readUInt32LE(32) !== 0, minor >= 36, 'flags2 need INIT_EXT');
      await bench.serving;
      bench.kernel.close();
      t.same(await bench.link.ended, { reason: 'unmounted' });
    }
    const old = await openBench(t, {}, 30);
    t.equal((await old.kernel.receive()).error, -71);
    await t.rejects(old.serving, { code: 'MOUNT_FAILED', message: /older than 7\.31/ });
  },
);

void t.test('a miss goes to the main thread and comes back, hits do not wait for it', async (t) => {
  const bench = await openBench(t);
  const { kernel, directory } = bench;
  await kernel.receive();
  kernel.send({ opcode: opcodes.LOOKUP, unique: 4, body: bodyOf.name('slow-name') });
  kernel.send({ opcode: opcodes.LOOKUP, unique: 6, body: bodyOf.name('hello') });
  t.equal((await kernel.receive()).unique, 6);
  const fetch = await fetchOf(bench, 'slow-name');
  t.equal(kernel.poll(), undefined);
  writeFileSync(join(directory, 'slow-name'), '');
  fetch.resolve();
  const reply = await kernel.receive();
  t.same([reply.unique, reply.error], [4, 0]);
});

void t.test('a failed fetch is an errno: EIO, or ETIMEDOUT where it took too long', async (t) => {
  const bench = await openBench(t);
  const { kernel } = bench;
  await kernel.receive();
  const cases = [
    ['slow-name-1', new PinfsError('OBJECT_MISSING', 'gone'), -5],
    ['slow-name-2', new PinfsError('SOURCE_TIMEOUT', 'late'), -110],
    ['slow-name-3', new Error('a fault'), -5],
  ] as const;
  let unique = 10;
  for (const [name, error, errno] of cases) {
    unique += 2;
    kernel.send({ opcode: opcodes.LOOKUP, unique, body: bodyOf.name(name) });
    (await fetchOf(bench, name)).reject(error);
    const reply = await kernel.receive();
    t.same([reply.unique, reply.error], [unique, errno]);
  }
});

void t.test('a deadline ends a request though nothing wakes the worker', async (t) => {
  const bench = await openBench(t, { deadline: 30 });
  await bench.kernel.receive();
  bench.kernel.send({ opcode: opcodes.LOOKUP, unique: 4, body: bodyOf.name('slow-name') });
  t.equal((await bench.kernel.receive()).error, -110);
});

void t.test('an interrupted LOOKUP ends at once, and its fetch is given up', async (t) => {
  const bench = await openBench(t);
  const { kernel, aborted } = bench;
  await kernel.receive();
  kernel.send({ opcode: opcodes.LOOKUP, unique: 4, body: bodyOf.name('slow-name') });
  await fetchOf(bench, 'slow-name');
  kernel.send({ opcode: opcodes.INTERRUPT, unique: 5, body: bodyOf.number(4) });
  const reply = await kernel.receive();
  t.same([reply.unique, reply.error], [4, -4]);
  for (let round = 0; round < 5000 && aborted.length === 0; round += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  t.same(aborted, ['slow-name']);
});

void t.test('told to stop, it answers those who wait, and ends', async (t) => {
  const bench = await openBench(t);
  await bench.kernel.receive();
  bench.kernel.send({ opcode: opcodes.LOOKUP, unique: 4, body: bodyOf.name('slow-name') });
  await fetchOf(bench, 'slow-name');
  bench.link.send({ kind: 'stop' });
  const reply = await bench.kernel.receive();
  t.same([reply.unique, reply.error], [4, -5]);
  t.same(await bench.link.ended, { reason: 'stopped' });
  bench.link.send({ kind: 'stop' });
});

void t.test('a thread that dies is a failure that says so', async (t) => {
  const bench = await openBench(t);
  await bench.kernel.receive();
  bench.kernel.send({ opcode: opcodes.LOOKUP, unique: 4, body: bodyOf.name('crash') });
  const end = await bench.link.ended;
  t.equal(end.reason, 'failed');
  await t.rejects(
    bench.link.build(descriptorOf(bench.directory, 'first'), quietFacts(), failingStore),
    {
      code: 'NOT_MOUNTED',
    },
  );
});

const failingStore = {
  fetch: () => Promise.reject(new PinfsError('OBJECT_MISSING', 'gone')),
};

void t.test(
  'a snapshot descriptor whose root catalog is missing is built once it is fetched',
  async (t) => {
    const bench = await openBench(t);
    await bench.kernel.receive();
    const descriptor = descriptorOf(bench.directory, 'missing');
    await t.rejects(bench.link.build(descriptor, quietFacts(), failingStore), {
      code: 'OBJECT_MISSING',
    });
    const fetched: Want[] = [];
    const store = {
      fetch: (want: Want) => {
        fetched.push(want);
        writeFileSync(join(bench.directory, 'root'), '');
        return Promise.resolve();
      },
    };
    await bench.link.build(descriptor, quietFacts(), store);
    t.same(fetched, [slowWant('root')]);
    await t.rejects(
      bench.link
        .build(descriptor, quietFacts(), { fetch: failingStore.fetch })
        .then(() =>
          bench.link.build(descriptorOf(bench.directory, 'throws'), quietFacts(), failingStore),
        ),
      { code: 'INTERNAL', message: 'a maker that throws' },
    );
  },
);

void t.test('what never becomes complete is given up', async (t) => {
  const bench = await openBench(t);
  await bench.kernel.receive();
  const store = { fetch: () => Promise.resolve() };
  await t.rejects(bench.link.build(descriptorOf(bench.directory, 'missing'), quietFacts(), store), {
    code: 'INTERNAL',
  });
});

void t.test(
  'a change of the snapshot: new names, old nodes as long as they are held',
  async (t) => {
    const bench = await openBench(t, { lifetime: 60, noOpen: false, noOpendir: false });
    const { kernel, link, directory } = bench;
    await kernel.receive();
    const lookup = async (unique: number, name: string) => {
      kernel.send({ opcode: opcodes.LOOKUP, unique, body: bodyOf.name(name) });
      return (await kernel.receive()).body;
    };
    const old = (await lookup(4, 'hello')).subarray(0, 8);
    const change = await link.build(descriptorOf(directory, 'second'), quietFacts(), failingStore);
    t.equal((await kernel.receive()).error, 8, 'the epoch is told at once');
    const codes = change?.map((message) => Buffer.from(message).readInt32LE(4));
    t.same(
      codes,
      [8, 2, 2],
      'the epoch again, and attributes and listing of the root: nobody waits for a name',
    );
    const fresh = await lookup(6, 'hello');
    t.equal(fresh.readUInt32LE(48), 25, 'the new size');
    t.notSame(fresh.subarray(0, 8), old);
    t.equal((await lookup(8, 'only-first')).readBigUInt64LE(0), 0n);
    kernel.send({ opcode: opcodes.READ, unique: 10, node: old, body: bodyOf.read(0, 100) });
    t.equal(
      (await kernel.receive()).body.toString(),
      'hello, first\n',
      'an open file stays what it was',
    );
    kernel.send({ opcode: opcodes.FORGET, unique: 12, node: old, body: bodyOf.number(1) });
    kernel.send({ opcode: opcodes.READ, unique: 14, node: old, body: bodyOf.read(0, 100) });
    t.equal((await kernel.receive()).error, -116, 'ESTALE once it was forgotten');
  },
);

void t.test('without the epoch every name is named before the change is complete', async (t) => {
  const bench = await openBench(t, { lifetime: 60, noOpen: false, noOpendir: false }, 43);
  await bench.kernel.receive();
  const change = await bench.link.build(
    descriptorOf(bench.directory, 'second'),
    quietFacts(),
    failingStore,
  );
  t.equal(change?.length, 2 + 7);
  const names = change?.slice(2).map((it) => Buffer.from(it).toString('latin1', 32, it.length - 1));
  t.ok(names?.includes('only-first') === true && names.includes('only-second'));
});

void t.test('a reply may be large', async (t) => {
  const bench = await openBench(t);
  const { kernel } = bench;
  await kernel.receive();
  kernel.send({ opcode: opcodes.LOOKUP, unique: 4, body: bodyOf.name('big') });
  const node = (await kernel.receive()).body.subarray(0, 8);
  kernel.send({ opcode: opcodes.READ, unique: 6, node, body: bodyOf.read(0, 131072) });
  t.equal((await kernel.receive()).body.length, 131072);
});

void t.test('a thread that was ready before anybody listened serves all the same', async (t) => {
  const thread = startThread(fakeMaker);
  thread.ref();
  await once(thread, 'message');
  const bench = await openBench(t, {}, 45, thread);
  t.equal((await bench.kernel.receive()).error, 0);
  await bench.serving;
});

void t.test('a thread that failed before anybody listened is told of', async (t) => {
  const thread = startThread('data:text/javascript,throw new Error("no such maker")');
  thread.ref();
  await new Promise((resolve) => thread.once('exit', resolve));
  await t.rejects(openBench(t, {}, 45, thread), {
    code: 'MOUNT_FAILED',
    message: 'no such maker',
  });
});
