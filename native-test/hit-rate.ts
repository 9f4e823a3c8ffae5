import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { bulk } from './bulk.js';
import { needsDriver, type DriverName } from './machine.js';
import { scene, shell, type Scene } from './scene.js';

// In the slow order each object is denied once, after it was found.
const isSlowOrder = process.env['ALWAYS_MISS'] === '1';

/** Tests over one driver that the hit rate says what a client would say, in each place where it stands. */
export function hitRates(driver: DriverName): void {
  t.setTimeout(240_000);
  const options = { ...needsDriver(driver), timeout: 120_000 };
  if (isSlowOrder) return;
  void t.test(`a cold walk has no hits, a warm one nothing else (${driver})`, options, (t) =>
    coldAndWarm(t, driver),
  );
}

async function coldAndWarm(t: Test, driver: DriverName): Promise<void> {
  const here = scene(t, driver);
  const server = await startBadServer(bulk.files, bulk.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, bulk.masterKey);
  const mount = (at: string): Promise<string> =>
    here.mount({ source: `${server.url}@v1`, at, args: ['--key', key] });

  const cold = await mount('cold');
  t.equal((await shell('find "$1" -type f -exec cat {} + > /dev/null', cold)).stderr, '');
  await agree(t, here, cold, 0, 'cold');
  await here.umount(cold);

  const warm = await mount('warm');
  t.equal((await shell('find "$1" -type f -exec cat {} + > /dev/null', warm)).stderr, '');
  await agree(t, here, warm, 1, 'warm');
}

/** `user.hitrate` lags a second behind, as the thread that answers it is told the facts once a second. */
async function agree(
  t: Test,
  here: Scene,
  mountpoint: string,
  rate: number,
  when: string,
): Promise<void> {
  const expected = (100 * rate).toFixed(3);
  const loop =
    'for i in $(seq 50); do getfattr --only-values -n user.hitrate "$1"; echo; sleep 0.2; done';
  const { stdout } = await shell(`${loop} | grep -m 1 -x "$2"`, mountpoint, expected);
  t.equal(stdout.trim(), expected, `user.hitrate, ${when}`);
  const status = (await here.status(mountpoint))?.status;
  t.equal(status?.store.hitRate, rate, `status, ${when}`);
}
