import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { memorySource } from '../testing/memory-source.js';
import { openStore } from './open.js';

function run(...command: [string, ...string[]]): boolean {
  const [program, ...args] = command;
  return spawnSync(program, args, { timeout: 10_000, stdio: 'ignore' }).status === 0;
}

/** A disk of 4 MiB, until the end of the tests; empty where none can be mounted. */
function smallDisk(): string {
  if (process.geteuid?.() !== 0) return '';
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-disk-'));
  t.teardown(() => {
    run('umount', '-l', directory);
    rmSync(directory, { recursive: true, force: true });
  });
  return run('mount', '-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', directory) ? directory : '';
}

const filled = smallDisk();
const scarce = smallDisk();
const needs = scarce === '' ? { skip: 'only root can mount a small disk' } : {};

void t.test(
  'on a disk that others filled, what is old makes room for what is new (P6)',
  needs,
  async (t) => {
    const cache = join(filled, 'cache');
    mkdirSync(cache, { mode: 0o700 });
    const source = memorySource();
    const store = openStore({ directory: cache, limit: 1e9, source });
    t.ok(store.statistics.limit <= 2 * 1024 * 1024, 'half of what is free');
    for (let count = 0; count < 60; count++) await store.fetch(source.put(randomBytes(20_000)));
    t.equal(store.statistics.evicted, 0);

    const others = openSync(join(filled, 'others'), 'w');
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

void t.test('where the disk limits the cache, no other limit is advised', needs, async (t) => {
  const cache = join(scarce, 'cache');
  const advice = /^Free some space, or .*--cache DIR/;
  const full = { code: 'CACHE_FULL', message: /disk.* too full/, advice };
  const source = memorySource();
  const store = openStore({ directory: cache, limit: 1e9, source });
  t.teardown(() => store.close());
  await t.rejects(store.fetch(source.put(randomBytes(3_000_000))), full, 'it could never fit');
  for (let bytes = 102_400; bytes < store.statistics.limit; bytes += 102_400) {
    const want = source.put(randomBytes(100_000));
    store.hold(want);
    await store.fetch(want);
  }
  await t.rejects(store.fetch(source.put(randomBytes(200_000))), full);
});
