import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { fixtureKey, fixtures, pinfs, script } from './cli.js';
import { needsDriver } from './machine.js';

// What the environment says reaches the background process, which stands in another directory.

const needs = { ...needsDriver('kernel'), timeout: 240_000 };

void t.test('a mount has what the environment says, by relative paths too', needs, async (t) => {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-environment-')));
  t.teardown(() => {
    rmSync(work, { recursive: true });
  });
  mkdirSync(join(work, 'mnt'));
  copyFileSync(fixtureKey, join(work, 'key.pub'));
  const env = {
    ...process.env,
    PINFS_KEY: 'key.pub',
    PINFS_CACHE: 'cache',
    PINFS_CACHE_LIMIT: '100M',
    PINFS_DRIVER: 'kernel',
  };
  const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;
  const args = [script, 'mount', '--json', source, 'mnt'];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: work, env });
  t.teardown(() => pinfs(['umount', '--force', join(work, 'mnt')]));
  t.match(JSON.parse(stdout), {
    driver: 'kernel',
    verdict: { status: 'verified', summary: new RegExp(`the key ${work}/key.pub`) },
    store: { limit: 100 * 2 ** 20 },
  });
  t.ok(existsSync(join(work, 'cache', 'index.db')));
  t.equal((await pinfs(['umount', join(work, 'mnt')])).code, 0);
});

void t.test('093-deviceid: status tells the device number of the mount', needs, async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-device-'));
  const mountpoint = join(work, 'mnt');
  mkdirSync(mountpoint);
  t.teardown(async () => {
    await pinfs(['umount', '--force', mountpoint]);
    rmSync(work, { recursive: true, force: true });
  });
  const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;
  const options = ['--key', fixtureKey, '--cache', join(work, 'cache')];
  t.equal((await pinfs(['mount', ...options, source, mountpoint])).code, 0);
  const { stdout } = await pinfs(['status', '--json']);
  const mounts = JSON.parse(stdout) as {
    mounts: { mountpoint: string; status: { device: string } }[];
  };
  const ours = mounts.mounts.find((one) => one.mountpoint === mountpoint);
  const seen = await promisify(execFile)('stat', ['-c', '%Hd:%Ld', mountpoint]);
  t.equal(ours?.status.device, seen.stdout.trim());
  t.equal((await pinfs(['umount', mountpoint])).code, 0);
});
