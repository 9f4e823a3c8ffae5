import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import { bulk } from './bulk.js';
import { limitedPinfs, type Limit } from './limited.js';
import { needsDriver, type DriverName } from './machine.js';
import { scene, shell, type Scene } from './scene.js';

// Address space as batch systems and web hosts limit it.

interface Stage {
  readonly here: Scene;
  readonly server: BadServer;
  readonly options: readonly string[];
}

async function setUp(t: Test, driver: DriverName): Promise<Stage> {
  const here = scene(t, driver);
  const server = await startBadServer(bulk.files, bulk.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, bulk.masterKey);
  return { here, server, options: ['--key', key, '--cache', here.directory('cache')] };
}

const kibibytes = (gigabytes: number): Limit => ['-v', gigabytes * 1_000_000];

void t.test('everything is read over HTTP in little address space', async (t) => {
  const { here, server, options } = await setUp(t, 'kernel');
  for (const gigabytes of [1.5, 2.5, 4, 6, 8, 12]) {
    const cache = ['--cache', here.directory(`cache-${gigabytes}`)];
    const args = ['check', ...options, ...cache, `${server.url}@v1`];
    const { code, stderr } = await limitedPinfs(kibibytes(gigabytes), args);
    t.same({ code, stderr }, { code: 0, stderr: '' }, `${gigabytes} GB`);
  }
});

void t.test('too little is said before anything is begun', async (t) => {
  const { server, options } = await setUp(t, 'kernel');
  const args = ['stat', '--json', ...options, `${server.url}@v1`, '/x'];
  const { code, stdout } = await limitedPinfs(['-v', 1_300_000], args);
  t.equal(code, 1);
  t.match(JSON.parse(stdout), { error: { code: 'MEMORY_LIMITED', advice: /ulimit -v/ } });
});

for (const driver of ['kernel', 'fuse-native'] as const) {
  void t.test(`${driver}: a mount in little address space`, needsDriver(driver), async (t) => {
    const { here, server, options } = await setUp(t, driver);
    const mountpoint = here.directory('mnt');
    const args = ['mount', '--driver', driver, ...options, `${server.url}@v1`, mountpoint];
    for (const gigabytes of [2.5, 6, 12]) {
      const { code, stderr } = await limitedPinfs(kibibytes(gigabytes), args);
      t.same({ code, stderr }, { code: 0, stderr: '' }, `${gigabytes} GB`);
      const read = await shell(
        'find "$1" -type f -print0 | xargs -0 -P 8 cat > /dev/null',
        mountpoint,
      );
      t.same(read.stderr, '');
      await here.umount(mountpoint);
    }
    const little = await limitedPinfs(['-v', 2_000_000], [...args, '--json']);
    t.equal(little.code, 1);
    t.match(JSON.parse(little.stdout), { error: { code: 'MEMORY_LIMITED' } });
  });
}
