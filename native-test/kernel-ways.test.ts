import { spawnSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import type { DaemonOptions } from './kernel-daemon.js';
import { run } from './kernel-scene.js';
import { needsAll, needsDriver, needsProgram, needsRoot, type Needs } from './machine.js';

// The ways of mounting, each in a mount namespace of its own.
const daemon = fileURLToPath(new URL('kernel-daemon.js', import.meta.url));

// As an ordinary user: it needs an account, and the right to use the device and to read this build.
const userId = 65534;
const asUser = `setpriv --reuid=${userId} --regid=${userId} --clear-groups`;

const needsNamespaces: Needs =
  spawnSync('unshare', ['-Urm', 'true']).status === 0
    ? {}
    : { skip: 'user namespaces are not allowed here' };
const needsUser: Needs =
  spawnSync('sh', ['-c', `${asUser} test -r '${daemon}'`]).status === 0
    ? {}
    : { skip: 'an ordinary user may not read this build' };

/** A directory for one test that everyone may enter. */
function workDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-ways-'));
  chmodSync(directory, 0o777);
  t.teardown(() => {
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/**
 * Shell functions: `start [COMMAND…]` starts the daemon through the command given and waits for its first
 * words, `stop` ends it with SIGTERM, `mounts` counts the mounts at $M. $W is the work directory.
 */
function prelude(options: Omit<DaemonOptions, 'mountpoint'>, mountpoint: string): string {
  const json = JSON.stringify({ ...options, mountpoint });
  return `
    set -u; W=$1; M=$W/mnt; mkdir -p $M; L=$W/log
    words() { for i in $(seq 400); do grep -q . $L 2>/dev/null && return; sleep 0.05; done; }
    start() { "$@" '${process.execPath}' '${daemon}' '${json}' > $L 2>&1 & words; }
    daemon() { for i in $(seq 400); do P=$(pgrep -f "^${process.execPath} ${daemon} .*$W") && echo $P && return; sleep 0.05; done; }
    stop() { P=$(daemon); kill -$1 $P; for i in $(seq 400); do kill -0 $P 2>/dev/null || break; sleep 0.05; done; }
    gone() { for i in $(seq 400); do grep -q " $M " /proc/self/mountinfo || break; sleep 0.05; done; echo mounts $(grep -c " $M " /proc/self/mountinfo); }
  `;
}

async function inNamespace(
  unshare: readonly string[],
  directory: string,
  options: Omit<DaemonOptions, 'mountpoint'>,
  script: string,
  mountpoint = join(directory, 'mnt'),
) {
  const text = prelude(options, mountpoint) + script;
  const result = await run('unshare', ...unshare, 'sh', '-c', text, 'sh', directory);
  return { ...result, lines: result.out.split('\n') };
}

const isRootNamespace = needsAll(needsDriver('kernel'), needsRoot, needsProgram('unshare'));

// Of the whole file, on a machine that is busy: its end takes the daemons away.
t.setTimeout(240_000);

void t.test(
  'inside a user and mount namespace, without any privilege outside',
  needsAll(needsDriver('kernel'), needsNamespaces),
  async (t) => {
    const { lines, err } = await inNamespace(
      ['-Urm'],
      workDirectory(t),
      {},
      `start; cat $M/hello; grep " $M " /proc/self/mountinfo; touch $M/new; stop TERM; gone; cat $L`,
    );
    t.equal(lines[0], 'hello, first');
    t.match(lines[1], /ro,nosuid,nodev.* - fuse\.pinfs pinfs:.*default_permissions/);
    t.ok(lines.includes('mounts 0'));
    t.match(err, /Read-only file system/);
  },
);

// A device that everyone may open, in place of the real one, seen only in the namespace.
const openDevice = `mknod -m 666 $W/fuse c 10 229 && mount --bind $W/fuse /dev/fuse || exit 77; chown ${userId} $M; `;
const needsHelper = needsAll(
  isRootNamespace,
  needsUser,
  needsProgram('fusermount3'),
  needsProgram('setpriv'),
);

void t.test('as an ordinary user, through fusermount3', needsHelper, async (t) => {
  const { lines, err } = await inNamespace(
    ['-m'],
    workDirectory(t),
    {},
    `${openDevice} start ${asUser}; ${asUser} cat $M/hello; cat $M/hello; grep " $M " /proc/self/mountinfo; stop TERM; gone`,
  );
  t.equal(lines[0], 'hello, first');
  t.match(err, /hello: Permission denied/, 'nobody else gets in, not even root');
  t.match(lines[1], /ro,nosuid,nodev.* - fuse\.pinfs pinfs:.*user_id=65534.*default_permissions/);
  t.ok(lines.includes('mounts 0'));
});

void t.test('an ordinary user that is killed leaves no mount', needsHelper, async (t) => {
  const { lines } = await inNamespace(
    ['-m'],
    workDirectory(t),
    {},
    `${openDevice} start ${asUser}; ${asUser} cat $M/hello; stop KILL; gone`,
  );
  t.equal(lines[0], 'hello, first');
  t.ok(lines.includes('mounts 0'));
});

void t.test('what an ordinary user may not do is said in words', needsHelper, async (t) => {
  const refused = async (options: Omit<DaemonOptions, 'mountpoint'>, script: string) =>
    (await inNamespace(['-m'], workDirectory(t), options, `${script}; cat $L`)).out;
  const other = await refused({ allowOther: true }, `${openDevice} start ${asUser}`);
  t.match(other, /"MOUNT_NOT_PERMITTED".*allow_other/);
  const foreign = await refused({}, `${openDevice} chown 0 $M; chmod 755 $M; start ${asUser}`);
  t.match(foreign, /"MOUNTPOINT_UNUSABLE"|"MOUNT_NOT_PERMITTED"/);
  const closed = await refused({}, `${openDevice} chmod 600 $W/fuse; start ${asUser}`);
  t.match(closed, /"MOUNT_NOT_PERMITTED"/);
  const none = await refused(
    {},
    `${openDevice} start env PATH=/nowhere $(command -v setpriv) --reuid=${userId} --regid=${userId} --clear-groups`,
  );
  t.match(none, /"MOUNT_NOT_PERMITTED".*fusermount3/);
});

void t.test('root without a device, or without the right to mount', isRootNamespace, async (t) => {
  const without = await inNamespace(
    ['-m'],
    workDirectory(t),
    {},
    `mount --bind /dev/null /dev/fuse; start; cat $L; gone`,
  );
  t.match(without.out, /"MOUNT_NO_DEVICE"|"MOUNT_FAILED"/);
  const stripped = await inNamespace(
    ['-m'],
    workDirectory(t),
    {},
    `start setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin; cat $L; gone`,
  );
  t.match(stripped.out, /"MOUNT_NOT_PERMITTED".*mount\(2\)/);
  t.ok(stripped.lines.includes('mounts 0'));
});

void t.test(
  'through mount.fuse3, which passes the device and takes the privileges away',
  needsAll(isRootNamespace, needsProgram('mount.fuse3')),
  async (t) => {
    const directory = workDirectory(t);
    const program = join(directory, 'program');
    const options = JSON.stringify({ mountpoint: 'MOUNTPOINT' });
    writeFileSync(
      program,
      `#!/bin/sh\nexec '${process.execPath}' '${daemon}' "$(echo '${options}' | sed "s,MOUNTPOINT,$2,")" > '${directory}/log' 2>&1\n`,
      { mode: 0o755 },
    );
    const { lines } = await inNamespace(
      ['-m'],
      directory,
      {},
      `mount.fuse3 "$W/program#source" $M -o ro,drop_privileges,default_permissions & words
       cat $M/hello; umount $M; wait; gone; cat $L`,
    );
    t.equal(lines[0], 'hello, first');
    t.ok(lines.includes('mounts 0'));
    t.match(lines.join('\n'), /"ended","reason":"unmounted"/);
  },
);
