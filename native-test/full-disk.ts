import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { errorCode } from '../lib/format/errno.js';
import { directory, file, makeRepository } from '../lib/publish/write-repository.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { pinfsAtOnce } from './in-process.js';
import { needsAll, needsDriver, needsRoot, type DriverName } from './machine.js';
import { scene, shell } from './scene.js';

const bytesOfFile = 20_000;
const filesOf = (count: number) =>
  Object.fromEntries(
    Array.from({ length: count }, (_, n) => [`f${n}`, file(randomBytes(bytesOfFile))]),
  );
const tree = { old: directory(filesOf(200)), new: directory(filesOf(120)) };
const made = makeRepository({
  fqrn: 'full.example.org',
  revisions: [{ tree, tags: { v1: '' } }],
});

/** Wrong or missing files, as `sha256sum` finds them. */
const hashes = 'cd "$1" && cat "$2"/* | sha256sum';

/** A mount whose cache lies on a disk that others fill. */
/** A descriptor, or none. */
function openIfThere(path: string): number[] {
  try {
    return [openSync(path, 'r')];
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
    return [];
  }
}

export function fullDisk(driver: DriverName): void {
  const needs = needsAll(needsRoot, needsDriver(driver));
  void t.test(`reading on a full disk (${driver})`, { ...needs, timeout: 180_000 }, async (t) => {
    const here = scene(t, driver);
    const server = await startBadServer(made.files, made.fqrn);
    t.teardown(() => server.close());
    writeFileSync(join(here.work, 'key.pub'), made.masterKey);
    const disk = here.directory('disk');
    const options = ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', disk];
    t.equal(spawnSync('mount', options, { timeout: 10_000 }).status, 0);
    t.teardown(() => spawnSync('umount', ['-l', disk], { timeout: 10_000 }));
    const scenario = { source: `${server.url}@v1`, args: ['--key', join(here.work, 'key.pub')] };
    const cache = join('disk', 'cache');
    const elsewhere = await here.mount({ ...scenario, at: 'elsewhere', cache: 'other' });
    const truth = {
      old: (await shell(hashes, elsewhere, 'old')).stdout,
      new: (await shell(hashes, elsewhere, 'new')).stdout,
    };
    const mountpoint = await here.mount({ ...scenario, cache });
    t.equal((await shell(hashes, mountpoint, 'old')).stdout, truth.old);
    await shell(
      'cd "$1" && mkdir others && (cat /dev/zero > others/large; true) 2>/dev/null',
      disk,
    );
    // As somebody who makes a backup just now.
    const objects = join(disk, 'cache', 'objects');
    const held = readdirSync(objects, { recursive: true, encoding: 'utf8' })
      .map((name) => join(objects, name))
      // What is fetched ahead may have room made for it meanwhile.
      .filter((name) => statSync(name, { throwIfNoEntry: false })?.isFile() === true)
      .flatMap(openIfThere);
    const first = await shell(hashes, mountpoint, 'new');
    t.equal(first.stdout, truth.new, first.stderr);
    for (const fd of held) closeSync(fd);
    const size = async () =>
      JSON.parse(
        (await pinfsAtOnce(['cache', 'size', '--json', '--cache', join(here.work, cache)])).stdout,
      ) as {
        objects: number;
      };
    t.ok((await size()).objects > 190, `${(await size()).objects} objects are left in the cache`);
    t.equal((await shell(hashes, mountpoint, 'new')).stdout, truth.new, 'once more');
    const store = (await here.status(mountpoint))?.status?.store;
    t.match(store, { notStored: { reason: /is full/, objects: Number } });
    const said = (await pinfsAtOnce(['status', '--verbose'])).stdout;
    t.match(said, /not stored {2}nothing since .*is full.*Free some space/);

    await shell('rm -r "$1"/others', disk);
    await here.umount(mountpoint);
    const again = await here.mount({ ...scenario, cache });
    t.equal((await shell(hashes, again, 'new')).stdout, truth.new);
    t.notMatch(JSON.stringify((await here.status(again))?.status?.store), 'notStored');
  });
}
