import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { memorySource } from '../testing/memory-source.js';
import { openStore } from './open.js';

function run(...command: [string, ...string[]]): boolean {
  const [program, ...args] = command;
  return spawnSync(program, args, { timeout: 10_000, stdio: 'ignore' }).status === 0;
}

const directory = t.testdir();
const mounted =
  process.geteuid?.() === 0 && run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory);

void t.test(
  'on a disk that others filled, what is old makes room for what is new (P6)',
  mounted ? {} : { skip: 'only root can mount a small disk' },
  async (t) => {
    t.teardown(() => run('umount', '-l', directory));
    const cache = join(directory, 'cache');
    mkdirSync(cache, { mode: 0o700 });
    const source = memorySource();
    const store = openStore({ directory: cache, limit: 1e9, source });
    t.ok(store.statistics.limit <= 2 * 1024 * 1024, 'half of what is free');
    for (let count = 0; count < 60; count++) await store.fetch(source.put(randomBytes(20_000)));
    t.equal(store.statistics.evicted, 0);

    const others = openSync(join(directory, 'others'), 'w');
    t.throws(
      () => {
        for (;;) writeSync(others, Buffer.alloc(4096));
      },
      { code: 'ENOSPC' },
    );
    closeSync(others);
    for (let count = 0; count < 200; count++) {
      const want = source.put(randomBytes(20_000));
      await store.fetch(want);
      t.ok(store.shelf.has(want));
    }
    t.ok(store.statistics.evicted > 0);
    t.same(store.statistics.failures, {});
    await store.close();
  },
);
