import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import { bulk } from './bulk.js';
import { needsDriver, type DriverName } from './machine.js';
import { scene, shell, type Scene } from './scene.js';

// How long a read waits: as long as there is progress, and no shorter than promised.

interface Stage {
  readonly here: Scene;
  readonly server: BadServer;
  readonly mountpoint: string;
}

async function setUp(t: Test, driver: DriverName, deadline: number): Promise<Stage> {
  const here = scene(t, driver);
  const server = await startBadServer(bulk.files, bulk.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, bulk.masterKey);
  const args = ['--key', key, '--deadline', String(deadline)];
  const mountpoint = await here.mount({ source: `${server.url}@v1`, args });
  await shell('ls -R "$1"', mountpoint);
  return { here, server, mountpoint };
}

/** Reads a file; how it went, and how many milliseconds it took. */
async function read(mountpoint: string, path: string): Promise<{ error: string; took: number }> {
  const began = performance.now();
  const { stderr } = await shell('cat "$1" > /dev/null', join(mountpoint, path));
  return { error: stderr, took: performance.now() - began };
}

/** Tests it over one driver. */
export function waiting(driver: DriverName): void {
  t.setTimeout(240_000);
  const test = (name: string, run: (t: Test, driver: DriverName) => Promise<void>): void => {
    const options = { ...needsDriver(driver), timeout: 120_000 };
    void t.test(`${name} (${driver})`, options, (t) => run(t, driver));
  };
  test('a slow line is waited for, a drip is not', slow);
  test('an outage within the deadline is no error', outage);
  test('who comes after an outage does not hear of it', afterwards);
}

async function slow(t: Test, driver: DriverName): Promise<void> {
  const { server, mountpoint } = await setUp(t, driver, 2);
  // 300 kB: five deadlines.
  server.behave(/^data\//, { rate: 30_000 });
  const healthy = await read(mountpoint, 'whole');
  t.equal(healthy.error, '');
  t.ok(healthy.took > 5000, `it took its time: ${healthy.took} ms`);
  server.behave(/^data\//, { rate: 100 });
  const drip = await read(mountpoint, 'plain/file-1');
  t.match(drip.error, /timed out/);
  t.ok(drip.took >= 1900, `not sooner than promised: ${drip.took} ms`);
  server.reset();
  await sleep(1000);
  t.equal((await read(mountpoint, 'plain/file-1')).error, '');
}

async function outage(t: Test, driver: DriverName): Promise<void> {
  const { server, mountpoint } = await setUp(t, driver, 30);
  for (const [index, behaviour] of (['reset', 'error', 'truncated'] as const).entries()) {
    server.behave(() => true, behaviour);
    const asked = server.requests.length;
    const reading = read(mountpoint, `plain/file-${index}`);
    await sleep(1500);
    const requests = server.requests.length - asked;
    server.reset();
    t.equal((await reading).error, '', behaviour);
    t.ok(requests > 0 && requests < 10, `${requests} requests meanwhile`);
  }
}

async function afterwards(t: Test, driver: DriverName): Promise<void> {
  const { here, server, mountpoint } = await setUp(t, driver, 2);
  server.behave(() => true, 'reset');
  const failed = await read(mountpoint, 'plain/file-5');
  t.match(failed.error, /Input\/output error/);
  t.ok(failed.took >= 1900, `not sooner than promised: ${failed.took} ms`);
  t.match((await here.status(mountpoint))?.status?.errors, { SOURCE_UNREACHABLE: Number });
  server.reset();
  await sleep(300);
  t.equal((await read(mountpoint, 'plain/file-5')).error, '');
}
