import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { childObject } from '../testing/suites/store-child.js';
import { memorySource } from '../testing/fakes/memory-source.js';
import { objectFile } from './cache/layout.js';
import { openShelf } from './cache/open-shelf.js';
import { verifyAll } from './cache/maintain.js';
import { openStore } from './open.js';
import { readWhole } from './run.js';
import type { Store } from './store.js';
import { wantKey } from './want.js';

const script = fileURLToPath(new URL('../testing/suites/store-child.js', import.meta.url));
const block = 4096;

interface Child {
  readonly process: ChildProcess;
  readonly lines: string[];
  /** Resolves when that many lines were printed, or the child has ended. */
  printed(count: number): Promise<void>;
  readonly ended: Promise<unknown>;
}

function child(t: Test, ...args: (string | number)[]): Child {
  const process = spawn(globalThis.process.execPath, [script, ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines: string[] = [];
  const ended = once(process, 'close');
  t.teardown(() => process.kill('SIGKILL'));
  let more = (): void => undefined;
  createInterface({ input: process.stdout }).on('line', (line) => {
    lines.push(line);
    more();
  });
  const printed = async (count: number): Promise<void> => {
    while (lines.length < count && process.exitCode === null && process.signalCode === null) {
      await Promise.race([new Promise<void>((resolve) => (more = resolve)), ended]);
    }
  };
  return { process, lines, printed, ended };
}

function objectsOnDisk(directory: string): { count: number; bytes: number } {
  const objects = join(directory, 'objects');
  let [count, bytes] = [0, 0];
  for (const folder of readdirSync(objects)) {
    for (const name of readdirSync(join(objects, folder))) {
      const size = statSync(join(objects, folder, name), { throwIfNoEntry: false })?.size ?? 0;
      bytes += Math.max(block, Math.ceil(size / block) * block);
      count++;
    }
  }
  return { count, bytes };
}

void t.test('kill -9 at any moment leaves the cache sound', async (t) => {
  const directory = t.testdir();
  // It evicts as well: 200 objects of 6 KB on average, and room for 100 blocks.
  const limit = 100 * block;
  const source = memorySource();
  const wants = Array.from({ length: 200 }, (_, number) => source.put(childObject(number)));
  for (const count of [1, 7, 30, 101, 180, 350]) {
    const worker = child(t, directory, limit, 0, 200, 'forever');
    await worker.printed(count);
    worker.process.kill('SIGKILL');
    await worker.ended;
    t.notOk(worker.lines.find((line) => !/^\d+ (right)?$/.test(line)));

    const shelf = openShelf(directory);
    let here = 0;
    for (const [number, want] of wants.entries()) {
      const plain = childObject(number);
      const buffer = Buffer.alloc(plain.length + 10);
      const length = shelf.read(want, 0, buffer.length, buffer, 0);
      if (length === undefined) continue;
      here++;
      if (!buffer.subarray(0, length).equals(plain)) t.fail(`object ${number} is wrong`);
    }
    shelf.close();
    t.ok(here > 0 && here <= 100);
    const { damaged, missing } = await verifyAll(directory);
    t.same({ damaged, missing }, { damaged: [], missing: 0 });
    t.equal(objectsOnDisk(directory).count, here, 'nothing is left that nobody knows of');

    const store = openStore({ directory, limit, source });
    t.same(
      readdirSync(join(directory, 'tmp')).filter((name) => !name.includes('.lock')),
      [],
    );
    t.equal(store.statistics.bytes, objectsOnDisk(directory).bytes);
    t.ok(store.statistics.bytes <= limit);
    await store.close();
  }
});

void t.test('what a process that died left is swept when the next one opens', async (t) => {
  const directory = t.testdir();
  const worker = child(t, directory, 1e8, 0, 50, 'hold');
  await worker.printed(51);
  worker.process.kill('SIGKILL');
  await worker.ended;
  const source = memorySource();
  const store = openStore({ directory, limit: 10 * block, source });
  t.ok(store.statistics.bytes <= 10 * block, 'it holds nothing any more');
  t.equal(readdirSync(join(directory, 'tmp')).filter((name) => name.endsWith('.lock')).length, 1);
  await store.close();
});

void t.test('three processes keep one small limit, and all read what is right', async (t) => {
  const directory = t.testdir();
  const limit = 40 * block;
  const children = [
    child(t, directory, limit, 0, 100),
    child(t, directory, limit, 50, 100),
    child(t, directory, limit, 0, 150),
  ];
  let highest = 0;
  const running = new Set(children);
  const watch = (async () => {
    while (running.size > 0) {
      highest = Math.max(highest, objectsOnDisk(directory).bytes);
      await new Promise(setImmediate);
    }
  })().catch(() => undefined);
  await Promise.all(children.map((each) => each.ended));
  running.clear();
  await watch;
  // Who evicts is a matter of turns: of three that write, one may find room each time.
  let evicted = 0;
  for (const { lines } of children) {
    evicted += Number(/^end (\d+)$/.exec(lines.at(-1) ?? '')?.[1]);
    t.same(
      lines.slice(0, -1).filter((line) => !line.endsWith(' right')),
      [],
    );
  }
  const left = objectsOnDisk(directory);
  t.ok(evicted + left.count >= 150, `${evicted} evicted, ${left.count} left of 150`);
  t.ok(left.bytes <= limit);
  // A file is there a moment before the one it replaces is gone, nothing more.
  t.ok(highest <= limit + 10 * block, `${highest} bytes`);
});

void t.test('what a living process holds is not evicted by another one', async (t) => {
  const directory = t.testdir();
  const limit = 40 * block;
  const holder = child(t, directory, limit, 0, 5, 'hold');
  await holder.printed(6);
  const source = memorySource();
  const store = openStore({ directory, limit, source });
  const held = Array.from({ length: 5 }, (_, number) => source.put(childObject(number)));
  for (let number = 100; number < 200; number++) {
    await readWhole(store, source.put(childObject(number)));
  }
  const requests = source.requests.length;
  for (const want of held) await store.fetch(want);
  t.equal(source.requests.length, requests);

  holder.process.kill('SIGKILL');
  await holder.ended;
  for (let number = 200; number < 300; number++) {
    await readWhole(store, source.put(childObject(number)));
  }
  const names = new Set(
    readdirSync(join(directory, 'objects')).flatMap((folder) =>
      readdirSync(join(directory, 'objects', folder)).map((name) => folder + name),
    ),
  );
  t.same(
    held.filter((want) => names.has(wantKey(want))),
    [],
    'a dead one holds nothing',
  );
  await store.close();
});

void t.test('what a dead one held goes at once where there is no other room', async (t) => {
  const directory = t.testdir();
  const limit = 40 * block;
  const holder = child(t, directory, limit, 0, 15, 'hold');
  await holder.printed(16);
  const source = memorySource();
  // So many owners that they seldom look whether the others live.
  const open = (): Store => openStore({ directory, limit, source });
  const store = open();
  const others = Array.from({ length: 20 }, open);
  for (let number = 100; number < 110; number++) {
    await readWhole(store, source.put(childObject(number)));
  }
  holder.process.kill('SIGKILL');
  await holder.ended;
  const want = source.put(randomBytes(30 * block));
  await store.fetch(want);
  t.ok(existsSync(objectFile(directory, wantKey(want))), 'it is stored');
  for (const each of [store, ...others]) await each.close();
});
