import { spawn } from 'node:child_process';
import { renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t from 'tap';
import { isMounted, run, scene, serve, startClient, startDaemon, until } from './kernel-scene.js';
import { needsAll, needsDriver, needsRoot } from './machine.js';

// The ways in which a mount ends, and a daemon: nothing hangs, and nothing is left behind.
const needs = needsAll(needsDriver('kernel'), needsRoot);

// Of the whole file, on a machine that is busy: its end takes the daemons away.
t.setTimeout(240_000);

void t.test('a busy mount stays, unless it is ended by force', needs, async (t) => {
  const it = await scene(t);
  const inside = startClient('sh', '-c', `cd '${it.mountpoint}' && echo in && exec sleep 60`);
  await until('it is inside', () => inside.out() !== '');
  t.equal(await it.ask({ kind: 'unmount', mode: 'orderly' }), 'MOUNT_BUSY');
  t.equal((await run('cat', it.path('hello'))).out, 'hello, first\n');
  await it.ask({ kind: 'unmount', mode: 'force' });
  t.notOk(isMounted(it.mountpoint));
  await it.gone;
  inside.child.kill('SIGKILL');
});

void t.test('detached, it is served until its last user leaves', needs, async (t) => {
  const it = await scene(t);
  const script = `cd '${it.mountpoint}' && echo in && read line; cat hello && ls sub && exec sleep 0.2`;
  const inside = spawn('sh', ['-c', script], { stdio: ['pipe', 'pipe', 'ignore'] });
  let out = '';
  inside.stdout.on('data', (data: Buffer) => (out += data.toString()));
  await until('it is inside', () => out !== '');
  t.equal(await it.ask({ kind: 'unmount', mode: 'lazy' }), undefined);
  t.notOk(isMounted(it.mountpoint));
  inside.stdin.end('go on\n');
  await it.gone;
  t.match(out, /in\nhello, first\n.*same/s);
});

void t.test('unmounted while something is held: who waits gets an error', needs, async (t) => {
  const it = await scene(t);
  const slow = startClient('stat', it.path('slow-name'));
  await it.hear('fetch');
  await it.ask({ kind: 'unmount', mode: 'force' });
  t.equal((await slow.result).code, 1);
  t.notOk(isMounted(it.mountpoint));
  await it.gone;
});

void t.test(
  'the thread dies in the middle of readers: all get errors, nothing hangs',
  needs,
  async (t) => {
    const it = await scene(t);
    const readers = Array.from({ length: 16 }, () => startClient('cat', it.path('slow-read')));
    await it.hear('fetch');
    t.equal((await run('stat', it.path('crash'))).code, 1);
    for (const reader of readers) t.equal((await reader.result).code, 1);
    t.equal((await it.hear('ended')).reason, 'failed');
    t.notOk(isMounted(it.mountpoint));
  },
);

void t.test(
  'SIGKILL in the middle of 64 readers: all get errors, the mount is gone',
  needs,
  async (t) => {
    const it = await scene(t);
    const readers = Array.from({ length: 64 }, () => startClient('cat', it.path('slow-read')));
    await it.hear('fetch');
    t.equal((await run('stat', it.mountpoint)).code, 0);
    it.child.kill('SIGKILL');
    for (const reader of readers) t.equal((await reader.result).code, 1);
    await until('the supervisor has unmounted', () => !isMounted(it.mountpoint));
  },
);

void t.test('an exception in the main thread ends the mount as well', needs, async (t) => {
  const it = await scene(t);
  const reader = startClient('cat', it.path('slow-read'));
  await it.hear('fetch');
  it.tell({ kind: 'throw' });
  t.equal((await reader.result).code, 1);
  await it.gone;
  await until('the supervisor has unmounted', () => !isMounted(it.mountpoint));
});

void t.test('clients that are killed at any moment leave nothing behind', needs, async (t) => {
  const it = await scene(t);
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  for (let round = 0; round < 12; round += 1) {
    const clients = Array.from({ length: 12 }, () =>
      random() < 0.5
        ? startClient('find', it.mountpoint, '-ls')
        : startClient('cat', it.path('hello'), it.path('slow-name'), it.path('big')),
    );
    for (const { child } of clients) setTimeout(() => child.kill('SIGKILL'), random() * 40);
    await Promise.all(clients.map(({ result }) => result));
  }
  t.equal((await run('cat', it.path('hello'))).out, 'hello, first\n');
  t.equal(await it.ask({ kind: 'unmount', mode: 'orderly' }), undefined, 'nobody holds it');
});

void t.test('a connection that is aborted from outside ends the mount', needs, async (t) => {
  const it = await scene(t);
  const held = startClient('stat', it.path('slow-name'));
  await it.hear('fetch');
  await run('umount', '-f', it.mountpoint);
  t.equal((await held.result).code, 1);
  t.match((await it.hear('ended')).reason, /aborted|unmounted/);
  t.notOk(isMounted(it.mountpoint));
});

void t.test('the mount of a dead daemon is taken away by the next one', needs, async (t) => {
  const it = await scene(t);
  // The kernel answers a stat of the root by itself now, also when the daemon is dead.
  t.equal((await run('stat', it.mountpoint)).code, 0);
  // Stopped, its supervisor can't help.
  const supervisors = (await run('pgrep', '-P', String(it.child.pid), '-f', 'pinfs-supervisor'))
    .out;
  const supervisor = Number(supervisors.trim());
  t.ok(supervisor > 0);
  process.kill(supervisor, 'SIGKILL');
  it.child.kill('SIGKILL');
  await it.gone;
  t.ok(isMounted(it.mountpoint));
  t.equal((await run('cat', it.path('hello'))).code, 1);
  const next = await serve(t, { mountpoint: it.mountpoint });
  t.equal((await run('cat', it.path('hello'))).out, 'hello, first\n');
  t.equal(await next.ask({ kind: 'unmount', mode: 'orderly' }), undefined);
  t.notOk(isMounted(it.mountpoint));
});

void t.test(
  'a supervisor that is killed is started again, and takes the dead mount away',
  needs,
  async (t) => {
    const it = await scene(t);
    const supervisor = async () =>
      Number((await run('pgrep', '-P', String(it.child.pid), '-f', 'pinfs-supervisor')).out.trim());
    const first = await supervisor();
    t.ok(first > 0);
    for (const signal of ['SIGHUP', 'SIGTERM', 'SIGINT'] as const) process.kill(first, signal);
    await wait(200);
    t.equal(await supervisor(), first, 'these signals end nothing');
    process.kill(first, 'SIGKILL');
    let next = 0;
    for (let look = 0; look < 200 && next === 0; look += 1) {
      await wait(50);
      next = await supervisor();
    }
    t.ok(next > 0 && next !== first, 'another one is there');
    it.child.kill('SIGKILL');
    await it.gone;
    await until('the supervisor has unmounted', () => !isMounted(it.mountpoint));
  },
);

void t.test('a change of the head that meets the end of the mount', needs, async (t) => {
  for (const pause of [0, 30, 80]) {
    const it = await scene(t, { lifetime: 60 });
    // Lookups in the root all the time: one of them is always on its way.
    const script = `cd '${it.mountpoint}' && i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); [ -e x$i ]; done`;
    const looking = startClient('bash', '-c', script);
    await until('it is asked', () => it.child.connected && looking.child.pid !== undefined);
    await wait(200);
    it.tell({ kind: 'replace', rootHash: 'second' });
    await wait(pause);
    it.tell({ kind: 'unmount', mode: 'force' });
    await it.gone;
    t.notOk(isMounted(it.mountpoint), `${pause} ms later`);
    looking.child.kill('SIGKILL');
    await looking.result;
  }
});

void t.test('a mount whose directory was renamed ends all the same', needs, async (t) => {
  for (const how of ['unmount', 'kill'] as const) {
    const place = t.testdir({ [`before ${how} 2015`]: { mnt: {} } });
    const here = (name: string) => join(place, `${name} ${how} 2015`, 'mnt');
    const it = startDaemon({ mountpoint: here('before') });
    t.teardown(() => run('umount', '-l', '-c', here('after')));
    await it.hear('mounted');
    renameSync(dirname(here('before')), dirname(here('after')));
    t.ok(isMounted(here('after')));
    if (how === 'kill') it.child.kill('SIGKILL');
    else t.equal(await it.ask({ kind: 'unmount', mode: 'orderly' }), undefined);
    await it.gone;
    await until('it is unmounted', () => !isMounted(here('after')));
  }
});

void t.test('what others bound elsewhere is theirs', needs, async (t) => {
  const it = await scene(t);
  const copy = t.testdir({});
  t.teardown(() => run('umount', '-l', '-c', copy));
  t.equal((await run('mount', '--bind', it.path('sub'), copy)).code, 0);
  t.equal((await run('umount', it.mountpoint)).code, 0);
  t.equal(await it.ask({ kind: 'unmount', mode: 'orderly' }), undefined);
  t.ok(isMounted(copy));
  t.match((await run('ls', copy)).out, /same/, 'and still served');
  t.equal((await run('umount', copy)).code, 0);
  await it.gone;
});

void t.test('a mount that got the numbers of one that is gone stays', needs, async (t) => {
  const late = await scene(t);
  process.kill(late.child.pid ?? 0, 'SIGSTOP');
  t.equal((await run('umount', '-l', '-c', late.mountpoint)).code, 0);
  const next = await scene(t);
  late.tell({ kind: 'unmount', mode: 'orderly' });
  process.kill(late.child.pid ?? 0, 'SIGCONT');
  await late.gone;
  t.ok(isMounted(next.mountpoint));
  t.equal((await run('cat', next.path('hello'))).out, 'hello, first\n');
});

void t.test('below another mount it can not be unmounted, and says so', needs, async (t) => {
  const it = await scene(t);
  t.equal((await run('mount', '-t', 'tmpfs', 'none', it.mountpoint)).code, 0);
  t.equal(await it.ask({ kind: 'unmount', mode: 'orderly' }), 'MOUNT_BUSY');
  t.equal((await run('umount', it.mountpoint)).code, 0);
  t.equal((await run('cat', it.path('hello'))).out, 'hello, first\n', 'it goes on');
  t.equal(await it.ask({ kind: 'unmount', mode: 'orderly' }), undefined);
  await it.gone;
  t.notOk(isMounted(it.mountpoint));
});
