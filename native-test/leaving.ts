import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { fixtureKey, fixtures, pinfs, script } from './cli.js';
import { pinfsAtOnce } from './in-process.js';
import {
  needsAll,
  needsDriver,
  needsProgram,
  needsRoot,
  type DriverName,
  type Needs,
} from './machine.js';
import { run } from './scene.js';
import { isGone, isMounted, pidOf, setUp, standIn, until } from './stage.js';

/** How a mount is left while somebody is in it, over one driver, from the command line. */
export function leavings(driver: DriverName): void {
  const test = (
    name: string,
    body: (t: Test, driver: DriverName) => Promise<void>,
    more?: Needs,
  ) => {
    const needs = needsAll(needsDriver(driver), more ?? {});
    void t.test(`${driver}: ${name}`, { ...needs, timeout: 120_000 }, (t) => body(t, driver));
  };
  test('lazily: whoever is in it goes on, and it ends with the last one', lazily);
  test('detached by another hand, it is the same', byAnotherHand);
  test('by force: whoever is in it gets errors, and it is over', byForce);
  test('what is detached can be ended by force, or by a signal', detachedEnds);
  test('a dead mount is detached at once though somebody is in it', deadAndBusy);
  test('several are ended by one command, whatever comes of each', several);
  test('all are ended by one command', all, needsAll(needsRoot, needsProgram('unshare')));
}

/** Stands in a directory, reads a file of it for each line that it is told, and says what came of it. */
async function reader(directory: string): Promise<{
  readonly child: ChildProcess;
  readonly read: (file: string) => Promise<string>;
  readonly leave: () => Promise<void>;
}> {
  const text = 'cd "$1" && echo there && while read file; do cksum "$file" 2>&1; done';
  const child = spawn('sh', ['-c', text, 'sh', directory], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  return {
    child,
    read: async (file) => {
      child.stdin.write(`${file}\n`);
      let said = '';
      // A message comes in pieces.
      while (!said.endsWith('\n')) {
        const [piece] = (await once(child.stdout, 'data')) as [Buffer];
        said += piece.toString();
      }
      return said;
    },
    leave: async () => {
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

async function lazily(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const job = await reader(`${mountpoint}/plain`);
  const pid = await pidOf(here, mountpoint);
  const { code, stdout, stderr } = await pinfs(['umount', '--lazy', mountpoint]);
  t.equal(code, 0, stderr);
  t.match(stdout, `process ${pid} serves on for ${job.child.pid ?? 0} (sh`);
  t.notOk(isMounted(mountpoint));
  for (const file of ['file-0', 'file-1', '../nested-1/file-2']) {
    t.match(await job.read(file), /^\d+ \d+ /, `${file} can still be read`);
  }
  const listed = await pinfsAtOnce(['status', '--verbose']);
  t.match(listed.stdout, /, detached since /);
  t.match(listed.stdout, `held by     ${job.child.pid ?? 0} (sh: working directory)`);
  t.equal((await here.status(mountpoint))?.state, 'detached');
  const again = await pinfs(['umount', mountpoint]);
  t.match([again.code, again.stderr], [1, /detached already.*\(sh.*\[MOUNT_BUSY\]\n.*--force/s]);
  const next = await here.tryMount({ source, args });
  t.equal(next.code, 0, 'its place is free for another');
  t.match(await job.read('file-3'), /^\d+ \d+ /, 'beside which it goes on');
  await job.leave();
  t.ok(await until(() => isGone(pid)), 'its process ends with the last user');
  t.equal((await here.status(mountpoint))?.state, 'running', 'the other one does not');
}

async function byAnotherHand(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const job = await reader(mountpoint);
  const pid = await pidOf(here, mountpoint);
  t.equal((await run('fusermount3', ['-uz', mountpoint])).code, 0);
  t.match(await job.read('plain/file-5'), /^\d+ \d+ /);
  t.equal((await here.status(mountpoint))?.state, 'detached');
  await job.leave();
  t.ok(await until(() => isGone(pid)));
}

async function byForce(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const job = await reader(`${mountpoint}/plain`);
  const pid = await pidOf(here, mountpoint);
  const refused = await pinfs(['umount', mountpoint]);
  t.match(refused.stderr, `pinfs umount --lazy ${mountpoint}`);
  t.match(refused.stderr, `pinfs umount --force ${mountpoint}`);
  const both = await pinfs(['umount', '--force', '--lazy', mountpoint]);
  t.equal(both.code, 2, both.stderr);
  const forced = await pinfs(['umount', '--force', mountpoint]);
  t.match([forced.code, forced.stdout, forced.stderr], [0, '', '']);
  t.ok(await until(() => isGone(pid)), 'its process is gone');
  t.notOk(isMounted(mountpoint));
  t.match(await job.read('file-0'), /not connected|abort/);
  await job.leave();
}

async function detachedEnds(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  for (const how of ['force', 'signal']) {
    const mountpoint = await here.mount({ source, args });
    const job = await reader(mountpoint);
    const pid = await pidOf(here, mountpoint);
    t.equal((await pinfs(['umount', '--lazy', mountpoint])).code, 0);
    if (how === 'signal') process.kill(pid, 'SIGTERM');
    else t.equal((await pinfs(['umount', '--force', mountpoint])).code, 0);
    // After a signal its users have ten seconds.
    for (let look = 0; look < 4 && !(await until(() => isGone(pid)));) look += 1;
    t.ok(isGone(pid), how);
    await job.leave();
  }
}

async function deadAndBusy(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  for (const option of [['--lazy'], ['--force'], []]) {
    const mountpoint = await here.mount({ source, args });
    const holder = await standIn(mountpoint);
    const pid = await pidOf(here, mountpoint);
    const supervisor = Number((await run('pgrep', ['-P', String(pid), '-f', 'supervisor'])).stdout);
    if (supervisor > 0) process.kill(supervisor, 'SIGSTOP');
    process.kill(pid, 'SIGKILL');
    await until(() => isGone(pid));
    t.ok(isMounted(mountpoint));
    const result = await pinfs(['umount', ...option, mountpoint]);
    t.match([result.code, result.stdout, result.stderr], [0, '', ''], option.join());
    t.notOk(isMounted(mountpoint));
    if (supervisor > 0) process.kill(supervisor, 'SIGKILL');
    holder.stdin?.end();
    await once(holder, 'exit');
  }
}

async function several(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const [one, two, three] = [
    await here.mount({ source, args, at: 'one' }),
    await here.mount({ source, args, at: 'two' }),
    await here.mount({ source, args, at: 'three' }),
  ];
  const holder = await standIn(two);
  const none = here.directory('none');
  const result = await pinfs(['umount', one, two, none, three]);
  t.equal(result.code, 1);
  t.match(result.stderr, /two is in use by .*MOUNT_BUSY.*no pinfs mount is on .*none/s);
  t.same([one, two, three].map(isMounted), [false, true, false]);
  holder.stdin?.end();
  await once(holder, 'exit');
  const json = await pinfs(['umount', '--json', two, none]);
  t.match(JSON.parse(json.stdout), {
    mounts: [
      { mountpoint: two, by: 'process', servesOn: null },
      { mountpoint: none, error: { code: 'NOT_MOUNTED', exit: 1 } },
    ],
  });
  for (const wrong of [['umount'], ['umount', '--all', one]]) {
    t.equal((await pinfs(wrong)).code, 2, wrong.join(' '));
  }
}

// In a mount namespace with no mounts and no control sockets but those of this test.
const aside = String.raw`
set -e
while read -r _ _ _ _ at _; do umount -l "$at"; done < <(grep ' - fuse.pinfs ' /proc/self/mountinfo)
mount -t tmpfs none /run
[ ! -e /tmp/pinfs-0 ] || mount -t tmpfs none /tmp/pinfs-0
mkdir -p /run/t/a /run/t/b
export XDG_RUNTIME_DIR= XDG_STATE_HOME=/run/t/state
pinfs() { "$NODE" "$SCRIPT" "$@"; }
for name in a b; do pinfs mount --driver "$1" --cache /run/t/cache --key "$KEY" "$SOURCE" /run/t/$name; done
(cd /run/t/b && exec sleep 60) & sleeper=$!
pinfs umount --all && echo "nobody was in the way" || echo "busy: $?"
grep -c ' - fuse.pinfs ' /proc/self/mountinfo
pinfs umount --all --lazy && echo lazy
grep -c ' - fuse.pinfs ' /proc/self/mountinfo || true
pinfs umount --all && echo "what is detached is left alone"
pinfs status --json | grep -c '"state": "detached"' || true
pinfs umount --all --force && echo force
pinfs status
kill $sleeper
`;

async function all(t: Test, driver: DriverName): Promise<void> {
  const env = {
    NODE: process.execPath,
    SCRIPT: script,
    SOURCE: `${fixtures}/analysis.example.org`,
    KEY: fixtureKey,
  };
  const set = Object.entries(env).map(([name, value]) => `${name}=${value}`);
  const text = ['env', ...set, 'bash', '-c', aside, 'bash', driver];
  const { stdout, stderr } = await run('unshare', ['-m', '--propagation', 'private', ...text], {
    timeout: 100_000,
  });
  t.match(stderr, /\/run\/t\/b is in use by \d+ \(sleep: working directory\)/);
  t.match(
    stdout.split('\n').filter((line) => !/^(trust|analysis)/.test(line)),
    [
      'busy: 1',
      '1',
      /\/run\/t\/b is detached/,
      'lazy',
      '0',
      'what is detached is left alone',
      /^[12]$/,
      'force',
      'no pinfs mounts',
    ],
    stderr,
  );
}
