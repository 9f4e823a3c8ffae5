import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { directory, file, makeRepository } from '../lib/publish/write-repository.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { pinfsAtOnce } from './in-process.js';
import { needsAll, needsDriver, needsRoot } from './machine.js';
import { scene, shell } from './scene.js';

const filesIn = (bytes: number) =>
  Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`f${n}`, file(randomBytes(bytes))]));
const tree = {
  // Small ones lie in segments, the others have files of their own.
  old: directory({ ...filesIn(5000), large: file(randomBytes(200_000)) }),
  new: directory(filesIn(7000)),
};
const made = makeRepository({ fqrn: 'ro.example.org', revisions: [{ tree, tags: { v1: '' } }] });
const hashes = 'cd "$1" && cat "$2"/* | sha256sum';
const content = /^data\/..\/[0-9a-f]+$/;

const mountProgram = (...args: string[]) =>
  spawnSync('mount', args, { timeout: 10_000, encoding: 'utf8' });

for (const driver of ['kernel', 'fuse-native'] as const) {
  const needs = needsAll(needsRoot, needsDriver(driver));
  void t.test(
    `041-rocache: a mount lets go of its cache, whose file system becomes read-only (${driver})`,
    { ...needs, timeout: 90_000 },
    async (t) => {
      const here = scene(t, driver);
      const server = await startBadServer(made.files, made.fqrn);
      t.teardown(() => server.close());
      const key = join(here.work, 'key.pub');
      writeFileSync(key, made.masterKey);
      const disk = here.directory('disk');
      t.equal(mountProgram('-t', 'tmpfs', '-o', 'size=600m', 'tmpfs', disk).status, 0);
      t.teardown(() => spawnSync('umount', ['-l', disk], { timeout: 10_000 }));
      const [source, cache] = [`${server.url}@v1`, join('disk', 'cache')];
      const fetched = ['fetch', '--key', key, '--cache', join(here.work, cache), source, '/old'];
      t.equal((await pinfsAtOnce(fetched)).code, 0);
      const args = ['--key', key, '--ahead', 'off'];
      const mountpoint = await here.mount({ source, cache, args });
      t.not(mountProgram('-o', 'remount,ro', disk).status, 0, 'what is open to write forbids it');

      const left = await pinfsAtOnce(['cache', 'read-only', mountpoint]);
      t.equal(left.code, 0, left.stderr);
      t.match(left.stdout, /nothing is written into .*disk\/cache by this mount any more/);
      const remounted = mountProgram('-o', 'remount,ro', disk);
      t.equal(remounted.status, 0, remounted.stderr);

      server.reset();
      const elsewhere = await here.mount({ source, args, at: 'elsewhere', cache: 'other' });
      const truth = [];
      for (const name of ['old', 'new']) truth.push(await shell(hashes, elsewhere, name));
      server.reset();
      t.equal((await shell(hashes, mountpoint, 'old')).stdout, truth[0]?.stdout);
      t.equal(server.count(content), 0, 'what the cache has is read on');
      t.equal((await shell(hashes, mountpoint, 'new')).stdout, truth[1]?.stdout);
      t.equal(server.count(content), 40, 'and what is new comes');
      const store = (await here.status(mountpoint))?.status?.store;
      t.match(store?.notStored?.reason, /told to write nothing into the cache/);
      // Once more: nothing changes.
      t.equal((await pinfsAtOnce(['cache', 'read-only', mountpoint])).code, 0);
    },
  );
}
