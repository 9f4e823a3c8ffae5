import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fixtureKey, fixtures, script } from './cli.js';
import { needsAll, needsMount, needsProgram, needsRoot, type Needs } from './machine.js';
import { run } from './scene.js';
import { until } from './stage.js';

// The real automount(8) and mount(8), with what `pinfs setup` writes, in a mount namespace where /etc, /usr/sbin and
// the directories that are written to are the test's own.

const needs = {
  ...needsAll(
    needsMount,
    needsRoot,
    ...['automount', 'nsenter', 'mount', 'umount'].map(needsProgram),
    needsKernel('autofs'),
    needsKernel('overlay'),
  ),
  timeout: 240_000,
};

function needsKernel(type: string): Needs {
  const types = readFileSync('/proc/filesystems', 'utf8');
  return types.includes(`\t${type}\n`) ? {} : { skip: `this kernel has no ${type}` };
}

// /etc and /usr/sbin are seen through, and what is written to them is gone with the namespace.
const enter = String.raw`
set -e
mount -t tmpfs none "$1"
mkdir "$1/etc" "$1/etc-work" "$1/sbin" "$1/sbin-work" "$1/run" "$1/cache" "$1/cvmfs" "$1/direct"
mount -t overlay -o lowerdir=/etc,upperdir="$1/etc",workdir="$1/etc-work" none /etc
sbin=$(realpath /sbin)
mount -t overlay -o lowerdir="$sbin",upperdir="$1/sbin",workdir="$1/sbin-work" none "$sbin"
mount --bind "$1/cache" /var/cache
mount --bind "$1/run" /run
echo ready
read line
`;

const fqrn = 'analysis.example.org';

async function place(t: Test) {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-autofs-')));
  const namespace = spawn(
    'unshare',
    ['-m', '--propagation', 'private', 'sh', '-c', enter, 'sh', work],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const ready = await Promise.race([once(namespace.stdout, 'data'), once(namespace, 'exit')]);
  t.teardown(() => {
    namespace.stdin.end();
    rmSync(work, { recursive: true, force: true });
  });
  if (!Buffer.isBuffer(ready[0])) throw new Error('no such namespace can be made here');
  const pid = String(namespace.pid);
  const inside = (command: string, ...args: string[]) =>
    run('nsenter', ['-t', pid, '-m', '--', command, ...args], { timeout: 60_000 });
  const pinfs = (...args: string[]) => inside(process.execPath, script, ...args);
  const types = (path: string) =>
    readFileSync(`/proc/${pid}/mountinfo`, 'utf8')
      .split('\n')
      .filter((line) => line.split(' ')[4] === path)
      .map((line) => line.split(' - ')[1]?.split(' ')[0]);
  const started = await pinfs('setup');
  t.equal(started.code, 0, started.stderr);
  const root = `/proc/${pid}/root`;
  const configuration = join(root, 'etc/cvmfs/config.d');
  mkdirSync(configuration, { recursive: true });
  const configure = (tag: string): void => {
    writeFileSync(
      join(configuration, `${fqrn}.conf`),
      [
        `CVMFS_SERVER_URL=file://${fixtures}/@fqrn@`,
        `CVMFS_PUBLIC_KEY=${fixtureKey}`,
        'CVMFS_HTTP_PROXY=DIRECT',
        `CVMFS_REPOSITORY_TAG=${tag}`,
        '',
      ].join('\n'),
    );
  };
  configure('2015-legacy');
  return { work, root, inside, pinfs, types, pid, configure };
}

type Place = Awaited<ReturnType<typeof place>>;

/** Serves DIR/cvmfs by the map that was written, with seconds in the place of minutes. */
async function automount(t: Test, { work, root, pid, types }: Place) {
  const directory = join(work, 'cvmfs');
  const master = join(work, 'master');
  writeFileSync(
    join(root, master),
    `${directory} /etc/auto.pinfs --timeout=3 --negative-timeout=1\n`,
  );
  const daemon = spawn('nsenter', ['-t', pid, '-m', '--', 'automount', '-f', master], {
    stdio: 'ignore',
    // What is of its process group is served by it, and waits for no mount.
    detached: true,
  });
  const ended = once(daemon, 'exit');
  t.ok(await until(() => types(directory).includes('autofs')), 'autofs waits there');
  const end = async (signal: 'SIGKILL' | 'SIGTERM') => {
    daemon.kill(signal);
    await ended;
  };
  return { directory, end };
}

async function pidOf({ pinfs }: Place, mountpoint: string): Promise<number | undefined> {
  const { mounts } = JSON.parse((await pinfs('status', '--json')).stdout) as {
    mounts: { mountpoint: string; pid: number }[];
  };
  return mounts.find((one) => one.mountpoint === mountpoint)?.pid;
}

t.test(
  'a repository comes up when somebody steps in, and goes when it is idle',
  needs,
  async (t) => {
    const here = await place(t);
    const { work, inside, types } = here;
    const first = await automount(t, here);
    const mountpoint = join(first.directory, fqrn);
    const stepIn = async (why: string) => {
      const { stdout, stderr } = await inside('sh', '-c', 'cd "$1" && ls', 'sh', mountpoint);
      t.match([stdout, stderr], [/^LICENSE\nREADME\n/, ''], why);
    };
    await stepIn('step in');
    t.ok(await until(() => types(mountpoint).length === 0), 'it goes when it is idle');
    await stepIn('step in again');
    const pid = await pidOf(here, mountpoint);
    t.type(pid, 'number');
    if (pid !== undefined) process.kill(pid, 'SIGKILL');
    t.ok(await until(() => types(mountpoint).length === 0), 'what is dead is taken away');
    await stepIn('after kill -9 of pinfs');

    const wrong = await inside('ls', join(first.directory, 'analysis.exmaple.org'));
    t.match(wrong, { code: 2, stderr: /No such file or directory/ }, 'a typing error in a name');
    const none = await inside('ls', join(first.directory, 'analysis'));
    t.match(none, { code: 2, stderr: /No such file or directory/ }, 'no name at all');

    await first.end('SIGKILL');
    await inside('umount', '-l', first.directory);
    const second = await automount(t, here);
    await stepIn('after kill -9 of automount');
    await second.end('SIGTERM');
    t.ok(await until(() => types(mountpoint).length === 0), 'and it ends with autofs');
    await inside('sh', '-c', 'umount -l "$1"/cvmfs/* "$1"/cvmfs 2>&1', 'sh', work);
  },
);

t.test('mount -t pinfs takes a name, and what mount -t cvmfs takes', needs, async (t) => {
  const here = await place(t);
  const { work, root, inside, types, pinfs, configure } = here;
  const mountpoint = join(work, 'direct');
  const options = 'cache=/var/cache/pinfs';
  const mounted = await inside('mount', '-t', 'pinfs', '-o', options, fqrn, mountpoint);
  t.equal(mounted.code, 0, mounted.stderr);
  t.match((await inside('ls', mountpoint)).stdout, /^LICENSE\n/);
  t.same(types(mountpoint), ['fuse.pinfs']);
  t.match((await pinfs('status', '--verbose')).stdout, /tag 2015-legacy/);
  configure('2010-reprocessing');
  const repinned = await pinfs('repin', mountpoint, fqrn);
  t.match(repinned, { code: 0, stdout: /tag 2010-reprocessing/ }, 'the pin of the site by then');
  t.equal((await inside('umount', mountpoint)).code, 0);

  const config = join(work, 'other.conf');
  writeFileSync(
    join(root, config),
    `CVMFS_SERVER_URL=file://${fixtures}/@fqrn@\nCVMFS_PUBLIC_KEY=${fixtureKey}\nCVMFS_HTTP_PROXY=DIRECT\n`,
  );
  const other = `${options},config=${config},tag=2024-open-data`;
  const fstab = join(work, 'fstab');
  writeFileSync(join(root, fstab), `${fqrn} ${mountpoint} pinfs ${other} 0 0\n`);
  const line = await inside('mount', '-T', fstab, '-a');
  t.equal(line.code, 0, line.stderr);
  t.match((await pinfs('status', '--verbose')).stdout, /tag 2024-open-data/);
  t.match(await inside('mount', '-T', fstab, '-a'), { code: 0 }, 'again');
  t.equal(types(mountpoint).length, 1);
  const again = ['-T', fstab, '-o', 'remount,tag=2010-reprocessing', mountpoint];
  const remounted = await inside('mount', ...again);
  t.equal(remounted.code, 0, remounted.stderr);
  t.match(
    (await pinfs('status', '--verbose')).stdout,
    /tag 2010-reprocessing[^]*before .*2024-open-data/,
  );
  t.equal((await inside('umount', mountpoint)).code, 0);
  const undone = await pinfs('setup', '--undo');
  t.match(undone, { code: 0, stdout: /remove +\/sbin\/mount\.pinfs/ });
  t.not((await inside('mount', '-t', 'pinfs', fqrn, mountpoint)).code, 0, 'all is as before');
});
