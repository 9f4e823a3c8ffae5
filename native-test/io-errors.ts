import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { bulk } from './bulk.js';
import { needsAll, needsDriver, needsProgram, type DriverName } from './machine.js';
import { scene, shell } from './scene.js';

/** Tests over one driver that the errors that callers saw can be asked for. */
export function ioErrors(driver: DriverName): void {
  t.setTimeout(240_000);
  const needs = needsAll(needsDriver(driver), needsProgram('getfattr'));
  void t.test(
    `errors that callers saw are counted (${driver})`,
    { ...needs, timeout: 120_000 },
    (t) => counted(t, driver),
  );
}

async function counted(t: Test, driver: DriverName): Promise<void> {
  const here = scene(t, driver);
  const server = await startBadServer(bulk.files, bulk.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, bulk.masterKey);
  const args = ['--key', key];
  const mountpoint = await here.mount({ source: `${server.url}@v1`, args });
  await shell('ls -R "$1"', mountpoint);
  const facts = async (): Promise<string> => {
    const ask =
      'for name in nioerr timestamp_last_ioerr; do getfattr --only-values -n user.$name "$1"; echo; done';
    return (await shell(`sleep 1.5; ${ask}`, mountpoint)).stdout;
  };
  t.equal(await facts(), '0\n0\n');
  server.behave(/^data\//, 'wrong-content');
  const since = Math.floor(Date.now() / 1000);
  // One fetch fails, and what it led to is remembered: each of the callers has seen an error.
  const read =
    'for i in 1 2 3 4 5; do dd if="$1/plain/file-1" iflag=direct bs=8k of=/dev/null; done';
  const seen = (await shell(read, mountpoint)).stderr.match(/Input\/output error/g)?.length ?? 0;
  t.ok(seen >= 5, `${seen} errors`);
  const [errors = '', last = ''] = (await facts()).split('\n');
  t.ok(Number(errors) >= 5, `user.nioerr ${errors}`);
  t.match(last, /^[0-9]+$/);
  t.ok(
    Number(last) >= since && Number(last) <= Date.now() / 1000,
    `user.timestamp_last_ioerr ${last}`,
  );
  server.reset();
  await shell('sleep 1.2; cat "$1"/plain/* > /dev/null', mountpoint);
  t.match(await facts(), new RegExp(`^${errors}\\n${last}\\n$`), 'what is well counts no more');
}
