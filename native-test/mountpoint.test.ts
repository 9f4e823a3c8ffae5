import { spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { systemCalls } from '../lib/machine/system-calls.js';
import { mountDevice } from '../lib/drivers/kernel/mounting/mounting.js';
import { holdPlace } from '../lib/machine/held-place.js';
import { unmountAt, unmountOwn } from '../lib/machine/unmount.js';
import { fixtureKey, fixtures, pinfs, script } from './cli.js';
import { pinfsAtOnce } from './in-process.js';
import { isMounted, run, until } from './kernel-scene.js';
import { needsAll, needsDriver, needsProgram, needsRoot } from './machine.js';

// Whoever owns a directory above the mountpoint changes what its path leads to.

const needs = { ...needsAll(needsDriver('kernel'), needsRoot), timeout: 120_000 };

function workDirectory(t: Test): string {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-place-')));
  t.teardown(() => {
    for (const name of ['user', 'victim', 'moved']) {
      spawnSync('umount', ['-l', `${work}/${name}/d`]);
    }
    rmSync(work, { recursive: true, force: true });
  });
  for (const name of ['user/d', 'victim/d']) mkdirSync(join(work, name), { recursive: true });
  return work;
}

const wish = { source: 'pinfs:test', allowOther: false, suid: false, dev: false, noExec: false };

void t.test('another directory in the place of the one that was checked', needs, async (t) => {
  for (const instead of ['a link', 'a directory'] as const) {
    const work = workDirectory(t);
    const mountpoint = join(work, 'user', 'd');
    const place = holdPlace(mountpoint);
    renameSync(join(work, 'user'), join(work, 'moved'));
    if (instead === 'a link') symlinkSync(join(work, 'victim'), join(work, 'user'));
    else mkdirSync(mountpoint, { recursive: true });
    await t.rejects(mountDevice({ ...wish, mountpoint, place }), {
      code: 'MOUNTPOINT_UNUSABLE',
      message: /not the directory that was checked/,
    });
    place.close();
    for (const name of ['user', 'victim', 'moved']) {
      t.notOk(isMounted(join(work, name, 'd')), `${instead}: nothing on ${name}`);
    }
  }
});

void t.test('only our own mount is unmounted, wherever it lies by then', needs, async (t) => {
  const work = workDirectory(t);
  const mountpoint = join(work, 'user', 'd');
  const { mounted, device } = await mountDevice({ ...wish, mountpoint });
  t.teardown(() => {
    closeSync(device);
  });
  if (mounted === undefined) throw new Error('it is in the mount table');
  spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(work, 'victim', 'd')]);
  renameSync(join(work, 'user'), join(work, 'moved'));
  symlinkSync(join(work, 'victim'), join(work, 'user'));
  t.ok(isMounted(join(work, 'moved', 'd')));
  // A table that was read before the change tells the old place.
  t.ok(unmountAt(systemCalls(), mountpoint, mounted.device, 2) < 0, 'not by a path with a link');
  t.ok(isMounted(join(work, 'victim', 'd')), "the victim's is still there");
  await unmountOwn(mounted, 'lazy');
  t.notOk(isMounted(join(work, 'moved', 'd')));
  t.ok(isMounted(join(work, 'victim', 'd')));
});

void t.test('status says where a mount really lies', needs, async (t) => {
  const work = workDirectory(t);
  const mountpoint = join(work, 'user', 'd');
  const args = ['--cache', join(work, 'cache'), '--key', fixtureKey];
  const { code, stderr } = await pinfs([
    'mount',
    ...args,
    `${fixtures}/analysis.example.org@2015-legacy`,
    mountpoint,
  ]);
  t.equal(code, 0, stderr);
  renameSync(join(work, 'user'), join(work, 'moved'));
  const { stdout } = await pinfsAtOnce(['status', '--verbose']);
  t.match(stdout, `it lies on ${join(work, 'moved', 'd')}`);
  t.match(await pinfs(['umount', join(work, 'moved', 'd')]), { code: 0 });
  t.notOk(isMounted(join(work, 'moved', 'd')));
});

const userId = 65534;
const mounting = fileURLToPath(
  new URL('../lib/drivers/kernel/mounting/mounting.js', import.meta.url),
);

void t.test(
  'fusermount3, led to another directory by the path',
  needsAll(needs, needsProgram('fusermount3'), needsProgram('setpriv'), needsProgram('unshare')),
  async (t) => {
    const work = workDirectory(t);
    chmodSync(work, 0o777);
    for (const name of ['user', 'user/d']) chownSync(join(work, name), userId, userId);
    mkdirSync(join(work, 'bin'));
    const real = spawnSync('sh', ['-c', 'command -v fusermount3'], { encoding: 'utf8' });
    writeFileSync(
      join(work, 'bin', 'fusermount3'),
      `#!/bin/sh
      case "$*" in *-u*) ;; *) mv ${work}/user ${work}/moved && mkdir -p ${work}/user/d;; esac
      exec ${real.stdout.trim()} "$@"\n`,
      { mode: 0o755 },
    );
    const program = `const { mountDevice } = await import('${mounting}');
      await mountDevice({ ...${JSON.stringify(wish)}, mountpoint: '${work}/user/d' })
        .catch((error) => console.log(error.code, error.message));`;
    writeFileSync(join(work, 'try.mjs'), program);
    const asUser = `setpriv --reuid=${userId} --regid=${userId} --clear-groups`;
    const { out, err } = await run(
      ...['unshare', '-m', 'sh', '-c'],
      `mknod -m 666 ${work}/fuse c 10 229 && mount --bind ${work}/fuse /dev/fuse
       PATH=${work}/bin:$PATH ${asUser} '${process.execPath}' ${work}/try.mjs
       grep -c "${work}/[a-z]*/d " /proc/self/mountinfo`,
    );
    t.match(out, /^MOUNTPOINT_UNUSABLE .*not the directory that was checked/, err);
    t.match(out, /^0$/m, 'nothing is mounted');
  },
);

void t.test('an automount (x-systemd.automount) is mounted on', needs, async (t) => {
  const work = workDirectory(t);
  const mountpoint = join(work, 'user', 'd');
  const { read, end } = automount(mountpoint);
  t.teardown(end);
  // Somebody looks, and waits for the mount; what systemd starts is of its process group, all others wait.
  const looker = spawn('ls', [mountpoint], { detached: true, stdio: ['ignore', 'pipe', 'ignore'] });
  let seen = '';
  looker.stdout.on('data', (data: Buffer) => (seen += data.toString()));
  const token = await read();
  const args = ['--cache', join(work, 'cache'), '--key', fixtureKey, '--driver', 'kernel'];
  const mounted = await run(
    ...[
      process.execPath,
      script,
      'mount',
      ...args,
      `${fixtures}/analysis.example.org@2015-legacy`,
      mountpoint,
    ],
  );
  token.answer(mounted.code === 0);
  t.equal(mounted.code, 0, mounted.err);
  await until('the one who looked sees it', () => looker.exitCode !== null);
  t.match(seen, /\w/);
  t.match(await pinfs(['umount', mountpoint]), { code: 0 });
});

/** What systemd does for an automount unit (autofs.rst of the kernel): packets of version 5 on a pipe. */
function automount(mountpoint: string) {
  const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
  const ioctl = koffi.load(null).func('int ioctl(int, unsigned long, ...)') as (
    ...values: unknown[]
  ) => number;
  const pipe = systemCalls().pipe();
  if (typeof pipe === 'number') throw new Error('no pipe');
  const group = spawnSync('ps', ['-o', 'pgid=', String(process.pid)], { encoding: 'utf8' });
  const data = `fd=${pipe.write},pgrp=${group.stdout.trim()},minproto=5,maxproto=5,direct`;
  if (systemCalls().mount('test', mountpoint, 'autofs', 0, data) < 0) throw new Error('no autofs');
  const root = openSync(mountpoint, 'r');
  const packet = Buffer.alloc(304);
  const READY = 0x9360;
  const FAIL = 0x9361;
  const tryRead = (): boolean => {
    try {
      return readSync(pipe.read, packet) > 0;
    } catch {
      return false;
    }
  };
  return {
    read: async () => {
      await until('the kernel asks for the mount', tryRead);
      const token = packet.readUInt32LE(8);
      return { answer: (good: boolean) => ioctl(root, good ? READY : FAIL, 'ulong', token) };
    },
    end: () => {
      closeSync(root);
      spawnSync('umount', ['-l', mountpoint]);
      for (const fd of [pipe.read, pipe.write]) closeSync(fd);
    },
  };
}
