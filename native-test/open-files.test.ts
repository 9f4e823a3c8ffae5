import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { directory, file, makeSmallRepository, nested } from '../lib/publish/write-repository.js';
import { limitedPinfs } from './limited.js';
import { needsDriver } from './machine.js';
import { scene, shell } from './scene.js';

// A limit of open files that is smaller than what a mount would like to keep open.

const made = makeSmallRepository({
  plain: directory(
    Object.fromEntries(Array.from({ length: 150 }, (_, n) => [`f${n}`, file(`plain ${n}\n`)])),
  ),
  ...Object.fromEntries(
    Array.from({ length: 90 }, (_, n) => [`n${n}`, nested({ f: file(`nested ${n}\n`) })]),
  ),
});

const readAll = 'find "$1" -type f -print0 | xargs -0 -P 4 -n 40 cat | wc -l';

for (const driver of ['kernel', 'fuse-native'] as const) {
  void t.test(
    `${driver}: a mount whose process may open 256 files`,
    { ...needsDriver(driver), timeout: 180_000 },
    async (t) => {
      const here = scene(t, driver);
      const server = await startBadServer(made.files, made.fqrn);
      t.teardown(() => server.close());
      const key = join(here.work, 'key.pub');
      writeFileSync(key, made.masterKey);
      const mountpoint = here.directory('mnt');
      const options = ['--driver', driver, '--key', key, '--cache', here.directory('cache')];
      const args = ['mount', ...options, `${server.url}@v1`, mountpoint];
      const little = await limitedPinfs(['-n', 128], [...args, '--json']);
      t.equal(little.code, 1);
      t.match(JSON.parse(little.stdout), { error: { code: 'FILES_EXHAUSTED', advice: /ulimit/ } });
      const { code, stderr } = await limitedPinfs(['-n', 256], args);
      t.same({ code, stderr }, { code: 0, stderr: '' });
      for (const round of ['cold', 'warm']) {
        const read = await shell(readAll, mountpoint);
        t.same([read.stdout.trim(), read.stderr], ['240', ''], round);
      }
      const status = (await here.status(mountpoint))?.status;
      t.same(status?.errors, {});
      const open = readdirSync(`/proc/${status?.pid ?? 'self'}/fd`).length;
      t.ok(open < 240, `${open} files are open`);
      await here.umount(mountpoint);
    },
  );
}
