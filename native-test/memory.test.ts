import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { file, makeSmallRepository } from '../lib/publish/write-repository.js';
import { makeTree } from '../lib/testing/trees.js';
import { needsDriver } from './machine.js';
import { run, scene } from './scene.js';
import { setTimeout as pause } from 'node:timers/promises';

// What a mount holds when all was read and nothing is asked any more.

const mebibyte = 2 ** 20;

function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

const made = makeSmallRepository({
  ...makeTree({ files: 1000, directories: 60, nestedCatalogs: 5, seed: 1 }),
  chunked: file(noise(64 * mebibyte), { chunks: [32 * mebibyte] }),
  whole: file(noise(40 * mebibyte)),
});

/** Bytes of memory that are a process's own. */
function ownBytes(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1');
  return Number(/^Pss:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
}

for (const driver of ['kernel', 'fuse-native'] as const) {
  void t.test(
    `${driver}: large files leave no memory behind`,
    { ...needsDriver(driver), timeout: 550_000 },
    async (t) => {
      const here = scene(t, driver);
      const server = await startBadServer(made.files, made.fqrn);
      t.teardown(() => server.close());
      const key = join(here.work, 'key.pub');
      writeFileSync(key, made.masterKey);
      const args = ['--key', key];
      const mountpoint = await here.mount({ source: `${server.url}@v1`, args });
      const pid = (await here.status(mountpoint))?.status?.pid ?? 0;
      const held: number[] = [];
      for (let round = 0; round < 3; round++) {
        const words = ['-c', 'tar -cf - -C "$1" . | cat >/dev/null', 'sh', mountpoint];
        const { code } = await run('sh', words, { timeout: 150_000 });
        t.equal(code, 0);
        // The threads that unpack end, and then memory is given back.
        await pause(15_000);
        held.push(ownBytes(pid));
      }
      t.ok(Math.max(...held) < 125e6, `${held.join(', ')} bytes`);
      t.ok((held[2] ?? 0) < (held[0] ?? 0) + 25e6, 'a third time costs no more than the first');
      await here.umount(mountpoint);
    },
  );
}
