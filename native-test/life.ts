import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fixtureKey, fixtures, pinfs, script } from './cli.js';
import { pinfsAtOnce } from './in-process.js';
import { needsAll, needsDriver, type DriverName, type Needs } from './machine.js';
import { probe, shell } from './scene.js';
import { isGone, isMounted, pidOf, setUp, standIn, until } from './stage.js';

/** How a mount begins, lives and ends, over one driver, from the command line. */
export function lives(driver: DriverName): void {
  const test = (
    name: string,
    run: (t: Test, driver: DriverName) => Promise<void>,
    more?: Needs,
  ) => {
    const needs = needsAll(needsDriver(driver), more ?? {});
    void t.test(`${driver}: ${name}`, { ...needs, timeout: 180_000 }, (t) => run(t, driver));
  };
  test('64 processes read everything at once', manyReaders);
  test('the daemon is killed while it is read from', killed);
  test('a dead mount is seen, and removed', dead);
  test('the network goes and comes back', network);
  test('a server that hangs holds nobody for ever', hanging);
  test('a mount in use is not taken away, unless lazily', busy);
  test('it ends from every side', ends);
  test('exit codes say what happened', exitCodes);
  test('what is offline is warned of, and no mount where that is strict', offline);
}

/** Everything of a tree as one hash. */
const hashAll = 'cd "$1" && find . -type f | LC_ALL=C sort | xargs cat | sha256sum';

async function manyReaders(t: Test, driver: DriverName): Promise<void> {
  const { here, server, source, args } = await setUp(t, driver);
  const reference = await here.mount({ source, args, at: 'reference', cache: 'first' });
  const expected = (await shell(hashAll, reference)).stdout;
  await here.umount(reference);
  server.reset();
  const mountpoint = await here.mount({ source, args });
  const all = await shell(`for i in $(seq 64); do ( ${hashAll} ) & done; wait`, mountpoint);
  t.equal(all.stderr, '');
  t.same(new Set(all.stdout.split('\n').filter((line) => line !== '')), new Set([expected.trim()]));
  t.equal(all.stdout.split('\n').length, 65);
  const twice = server.requests
    .map(({ path }) => path)
    .filter((path, at, list) => list.indexOf(path) !== at);
  t.same(twice, [], 'each object was fetched once');
  const status = (await here.status(mountpoint))?.status;
  t.same(status?.errors, {});
}

async function killed(t: Test, driver: DriverName): Promise<void> {
  const { here, server, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const pid = await pidOf(here, mountpoint);
  // What is read comes slowly, so that the readers are in the middle of it.
  server.behave(/P$/, 'drip');
  const readers = Array.from({ length: 8 }, () => shell(hashAll, mountpoint));
  await until(() => server.count(/P$/) > 0);
  process.kill(pid, 'SIGKILL');
  server.reset();
  const again = await here.tryMount({ source, args });
  t.equal(again.code, 0, `mounts again at once: ${again.stderr}`);
  const ended = await Promise.all(readers);
  t.equal(ended.length, 8, 'nobody waits for the dead');
  const first = await shell(hashAll, mountpoint);
  t.equal(first.stderr, '');
  const verified = await pinfsAtOnce([
    'cache',
    'verify',
    '--json',
    '--cache',
    join(here.work, 'cache'),
  ]);
  t.equal(verified.code, 0, 'the cache is sound');
  t.match(JSON.parse(verified.stdout), { damaged: [] });
  const other = await here.mount({ source, args, at: 'other', cache: 'fresh' });
  t.equal((await shell(hashAll, other)).stdout, first.stdout, 'it reads as from an empty cache');
}

async function dead(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  // What the kernel keeps of the root, it answers by itself also when its process is dead.
  await shell('ls -la "$1" && stat "$1"', mountpoint);
  process.kill(await pidOf(here, mountpoint), 'SIGKILL');
  if (driver === 'kernel') {
    t.ok(await until(() => !isMounted(mountpoint)), 'its supervisor removes it');
    const { code, stderr } = await pinfs(['umount', mountpoint]);
    t.equal(code, 1);
    t.match(stderr, /NOT_MOUNTED/);
    return;
  }
  const [result] = await probe([['list', mountpoint]]);
  t.match(result, /ENOTCONN|ECONNABORTED/);
  t.equal((await here.status(mountpoint))?.state, 'stale');
  const again = await here.tryMount({ source, args });
  t.equal(again.code, 0, `mounts again: ${again.stderr}`);
  await shell('stat "$1"', mountpoint);
  process.kill(await pidOf(here, mountpoint), 'SIGKILL');
  await until(async () => (await here.status(mountpoint))?.state === 'stale');
  await here.umount(mountpoint);
  t.notOk(isMounted(mountpoint));
}

async function network(t: Test, driver: DriverName): Promise<void> {
  const { here, server, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args: [...args, '--deadline', '2'] });
  const read = async (path: string): Promise<string> =>
    (await shell('cat "$1" | sha256sum', `${mountpoint}/${path}`)).stderr;
  t.equal(await read('plain/file-0'), '');
  server.behave(() => true, 'reset');
  t.equal(await read('plain/file-0'), '', 'what is here can be read');
  t.match(await read('plain/file-1'), /Input\/output error/);
  t.match(await read('nested-0/file-0'), /Input\/output error/);
  const status = (await here.status(mountpoint))?.status;
  t.ok((status?.errors['SOURCE_UNREACHABLE'] ?? 0) > 0, 'the error has a name');
  server.reset();
  t.ok(await until(async () => (await read('plain/file-1')) === ''), 'it comes back by itself');
  t.ok(await until(async () => (await read('nested-0/file-0')) === ''));
}

async function hanging(t: Test, driver: DriverName): Promise<void> {
  const { here, server, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args: [...args, '--deadline', '1'] });
  await shell('ls "$1" "$1/plain"', mountpoint);
  server.behave(() => true, 'hang');
  const reading = shell('cat "$1/whole"', mountpoint);
  await until(() => server.requests.length > 0 && server.count(/data/) > 1);
  const others = await probe([
    ['statfs', mountpoint],
    ['lstat', `${mountpoint}/plain/file-2`],
    ['list', `${mountpoint}/plain`],
  ]);
  t.match(others, [{}, { nlink: '1' }, { length: 12 }], 'the others do not wait');
  const { stderr } = await reading;
  t.match(stderr, /Input\/output error|timed out/i);
  const asked = server.requests.map(({ path }) => path);
  t.equal(new Set(asked).size, asked.length, 'the deadline ended it, before anything was repeated');
  server.reset();
  t.ok(await until(async () => (await shell('cat "$1/whole"', mountpoint)).code === 0));
}

async function busy(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const holder = await standIn(`${mountpoint}/plain`);
  const pid = await pidOf(here, mountpoint);
  const refused = await pinfs(['umount', mountpoint]);
  t.equal(refused.code, 1);
  t.match(refused.stderr, /MOUNT_BUSY/);
  t.match(refused.stderr, `${String(holder.pid)} (sh`, 'it says who holds it');
  t.ok(isMounted(mountpoint));
  t.equal((await shell('cat "$1/plain/file-0" >/dev/null', mountpoint)).code, 0, 'it lives on');
  const lazy = await pinfs(['umount', '--lazy', mountpoint]);
  t.equal(lazy.code, 0, lazy.stderr);
  t.notOk(isMounted(mountpoint));
  holder.stdin?.end();
  await once(holder, 'exit');
  t.ok(await until(() => isGone(pid)), 'its process ends with the last user');
}

async function ends(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const ways: Readonly<Record<string, (pid: number, mountpoint: string) => unknown>> = {
    SIGTERM: (pid) => process.kill(pid, 'SIGTERM'),
    SIGINT: (pid) => process.kill(pid, 'SIGINT'),
    fusermount3: (_, mountpoint) => shell('fusermount3 -u "$1"', mountpoint),
    'pinfs umount': (_, mountpoint) => pinfs(['umount', mountpoint]),
  };
  for (const [name, end] of Object.entries(ways)) {
    const mountpoint = await here.mount({ source, args });
    const pid = await pidOf(here, mountpoint);
    await shell('ls "$1/plain"', mountpoint);
    await end(pid, mountpoint);
    t.ok(await until(() => isGone(pid)), `${name}: the process is gone`);
    t.notOk(isMounted(mountpoint), `${name}: so is the mount`);
  }
  const mountpoint = here.directory('foreground');
  const options = ['--foreground', '--driver', driver, '--cache', join(here.work, 'cache')];
  const child = spawn(
    process.execPath,
    [script, 'mount', ...options, ...args, source, mountpoint],
    {
      stdio: 'ignore',
    },
  );
  const exited = once(child, 'exit');
  t.ok(await until(() => isMounted(mountpoint)));
  t.notOk(isGone(child.pid ?? 0), 'it stays');
  child.kill('SIGINT');
  t.same(await exited, [0, null]);
  t.notOk(isMounted(mountpoint));
}

async function exitCodes(t: Test, driver: DriverName): Promise<void> {
  const { here, server, source, args } = await setUp(t, driver);
  const key = ['--key', fixtureKey];
  const local = join(fixtures, 'analysis.example.org');
  const nobody = 'http://127.0.0.1:1/made.example.org';
  const cases: readonly (readonly [number, RegExp, string, readonly string[]])[] = [
    [5, /TAG_UNKNOWN/, `${local}@never`, key],
    [5, /DATE_TOO_EARLY/, `${local}@1999`, key],
    [5, /DATE_TOO_EARLY/, `${local}@1999-01-01`, key],
    [3, /NO_KEY/, local, []],
    [3, /WHITELIST_SIGNATURE/, local, args],
    [4, /SOURCE_UNREACHABLE/, nobody, key],
    [4, /SOURCE_UNREACHABLE/, join(here.work, 'no-such-directory'), key],
    [2, /PIN_MALFORMED/, `${local}@`, key],
    [2, /USAGE/, local, [...key, '--env', '=x']],
    [2, /USAGE|unknown option/, local, ['--no-such-option']],
  ];
  for (const [code, text, from, more] of cases) {
    const result = await here.tryMount({ source: from, args: more, cache: `cache-${code}` });
    t.equal(result.code, code, result.stderr);
    t.match(result.stderr, text);
    t.notOk(isMounted(result.mountpoint));
  }
  const absent = ['--cache', here.directory('c'), ...args, source, join(here.work, 'nowhere')];
  const nowhere = await pinfs(['mount', '--driver', driver, ...absent]);
  t.equal(nowhere.code, 6);
  t.match(nowhere.stderr, /MOUNTPOINT_UNUSABLE/);
  const mountpoint = await here.mount({ source, args });
  const twice = await here.tryMount({ source, args });
  t.equal(twice.code, 1);
  t.match(twice.stderr, /MOUNT_BUSY/);
  t.equal((await shell('ls "$1" >/dev/null', mountpoint)).code, 0, 'the first one lives on');
  await here.umount(mountpoint);
  t.equal((await pinfs(['umount', mountpoint])).code, 1);
  t.ok(server.requests.length > 0);
}

async function offline(t: Test, driver: DriverName): Promise<void> {
  const { here, server, source, args } = await setUp(t, driver);
  await here.umount(await here.mount({ source, args }));
  const mistyped = source.replace(/:[0-9]+\//, ':1/');
  for (const strict of [['--strict'], ['-o', 'ro,strict']]) {
    const result = await here.tryMount({ source: mistyped, args: [...args, ...strict] });
    t.same([result.code, result.stdout], [7, '']);
    t.match(result.stderr, /offline: the source is not reachable: .*:1\/.*refused.* \[OFFLINE\]/);
    t.notOk(isMounted(result.mountpoint));
  }
  const mounted = await here.tryMount({ source: mistyped, args });
  t.equal(mounted.code, 0);
  t.match(mounted.stderr, /^pinfs: warning: offline: the source is not reachable: .*refused/);
  t.match(mounted.stdout, /trust: offline: the source is not reachable/);
  await here.umount(mounted.mountpoint);
  const strict = await here.tryMount({ source, args: [...args, '--strict'] });
  t.same([strict.code, strict.stderr], [0, ''], 'what can be verified is mounted');
  t.ok(server.requests.length > 0);
}
