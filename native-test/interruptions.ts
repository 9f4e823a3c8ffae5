import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import { bulk } from './bulk.js';
import { pinfs } from './cli.js';
import { needsAll, needsDriver, needsRoot, type DriverName, type Needs } from './machine.js';
import { makeRandom, type Random } from './random-model.js';
import { scene, shell, type Scene } from './scene.js';

const seed = Number(process.env['PINFS_SEED'] ?? '1');

type Run = (t: Test, driver: DriverName) => Promise<void>;

function runAll(
  driver: DriverName,
  tests: readonly (readonly [name: string, run: Run, more?: Needs])[],
): void {
  t.setTimeout(180_000);
  for (const [name, run, more = {}] of tests) {
    const needs = needsAll(needsDriver(driver), more);
    void t.test(`${driver}: ${name}`, { ...needs, timeout: 90_000 }, (t) => run(t, driver));
  }
}

/** What becomes of a mount when its users are killed. */
export function clientsGo(driver: DriverName): void {
  runAll(driver, [
    ['clients that wait for a server that hangs can be killed', killedWhileWaiting],
    ['500 clients are killed at any moment', killedAtRandom],
    ['unmounted while what a killed client asked for is still waited for', unmounted],
  ]);
}

/** What becomes of its users when a mount goes. */
export function mountsGo(driver: DriverName): void {
  runAll(driver, [
    ['the daemon is killed in the middle of 64 readers', daemonKilled],
    ['the process of an old mount that ends late leaves the new one alone', endsLate],
    // fuse-native has no supervisor.
    ...(driver === 'kernel'
      ? ([['a supervisor that comes late leaves the new mount alone', supervisedLate]] as const)
      : []),
    ['a mount that another mount namespace keeps is unmounted here', keptElsewhere, needsRoot],
  ]);
}

interface Stage {
  readonly here: Scene;
  readonly server: BadServer;
  readonly source: string;
  readonly args: readonly string[];
}

async function setUp(t: Test, driver: DriverName): Promise<Stage> {
  const here = scene(t, driver);
  const server = await startBadServer(bulk.files, bulk.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, bulk.masterKey);
  return { here, server, source: `${server.url}@v1`, args: ['--key', key] };
}

/** Everything of a tree as one hash. */
const hashAll = 'cd "$1" && find . -type f | LC_ALL=C sort | xargs cat | sha256sum';

/** Of the content that was published, whatever the mount does. */
async function expectedHash(stage: Stage): Promise<string> {
  const { here, source, args } = stage;
  const mountpoint = await here.mount({ source, args, at: 'reference', cache: 'reference-cache' });
  const { stdout } = await shell(hashAll, mountpoint);
  await here.umount(mountpoint);
  return stdout;
}

interface Client {
  /** Also the number of its group of processes. */
  readonly pid: number;
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
}

/** A command of the shell in a group of its own, so that all that it starts can be killed. */
function startClient(command: string, ...args: readonly string[]): Client {
  const child = spawn('sh', ['-c', command, 'sh', ...args], {
    cwd: '/',
    stdio: 'ignore',
    detached: true,
  });
  return { pid: child.pid ?? 0, child, ended: once(child, 'exit') };
}

function kill({ pid }: Client, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch {
    // It has ended by itself.
  }
}

/** Processes of these groups that are still there. */
function left(clients: readonly Client[]): string[] {
  const groups = new Set(clients.map(({ pid }) => pid));
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
      const [, command = '', state = '', group] = /^\d+ \((.*)\) (.) \d+ (\d+)/s.exec(text) ?? [];
      return groups.has(Number(group)) && state !== 'Z' ? [`${pid} ${command} ${state}`] : [];
    } catch {
      return [];
    }
  });
}

/** Whether all of them are gone within some seconds. */
async function allGone(clients: readonly Client[], seconds: number): Promise<string[]> {
  const end = performance.now() + seconds * 1000;
  while (left(clients).length > 0 && performance.now() < end) await wait(20);
  return left(clients);
}

const commands = [
  'find "$1" -ls',
  'cat "$1/plain/file-$2"',
  'cat "$1/nested-$2/file-1"',
  'cat "$1/whole"',
  'tail -c 100 "$1/large"',
  'ls -l "$1/deep/inner"',
  'stat "$1/nested-$2/absent"',
  'dd if="$1/large" bs=1 count=1 skip=700000 iflag=skip_bytes,direct',
  'grep -r nothing "$1/plain"',
];

function randomClient(random: Random, mountpoint: string): Client {
  const client = startClient(random.pick(commands), mountpoint, String(random.below(5)));
  const signal = random.pick(['SIGKILL', 'SIGKILL', 'SIGINT', 'SIGTERM'] as const);
  const { child } = client;
  const timer = setTimeout(() => kill(client, signal), random.below(60));
  child.once('exit', () => {
    clearTimeout(timer);
    // What it has started may be left.
    kill(client, 'SIGKILL');
  });
  return client;
}

/** Seconds that one request may wait for the network. */
const deadline = 3;

async function killedWhileWaiting(t: Test, driver: DriverName): Promise<void> {
  const stage = await setUp(t, driver);
  const { here, server, source, args } = stage;
  const expected = await expectedHash(stage);
  const random = makeRandom(seed);
  const more = ['--deadline', String(deadline)];
  const mountpoint = await here.mount({ source, args: [...args, ...more] });
  for (let round = 0; round < 2; round++) {
    server.behave(() => true, random.pick(['hang', 'hang-in-body', 'drip'] as const));
    const clients = Array.from({ length: 30 }, () => randomClient(random, mountpoint));
    await wait(100);
    for (const client of clients) kill(client, 'SIGKILL');
    // libfuse hears of no interrupt: there they end with the request that they are in.
    const clientTimeouts = driver === 'kernel' ? 2 : 2 * deadline;
    t.same(await allGone(clients, clientTimeouts), [], `nobody is left in round ${round}`);
    server.reset();
  }
  const again = async () => (await shell(hashAll, mountpoint)).stdout;
  let seen = '';
  // What failed a moment ago is remembered for a moment.
  for (let look = 0; look < 30 && seen !== expected; look++) {
    seen = await again();
    if (seen !== expected) await wait(200);
  }
  t.equal(seen, expected, 'all can be read, as it was published');
  await here.umount(mountpoint);
}

async function killedAtRandom(t: Test, driver: DriverName): Promise<void> {
  const stage = await setUp(t, driver);
  const { here, source, args } = stage;
  const expected = await expectedHash(stage);
  const random = makeRandom(seed);
  const mountpoint = await here.mount({ source, args });
  const all: Client[] = [];
  const wave = 20;
  while (all.length < 500) {
    const clients = Array.from({ length: wave }, () => randomClient(random, mountpoint));
    all.push(...clients);
    await Promise.all(clients.map(({ ended }) => ended));
  }
  t.same(await allGone(all, 10), [], `none of ${all.length} is left`);
  t.same(await shell(hashAll, mountpoint), { code: 0, stdout: expected, stderr: '' });
  t.same((await here.status(mountpoint))?.status?.errors, {});
  await here.umount(mountpoint);
}

async function unmounted(t: Test, driver: DriverName): Promise<void> {
  const { here, server, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  await shell('ls "$1" "$1/plain"', mountpoint);
  server.behave(() => true, 'hang');
  const asked = server.requests.length;
  const client = startClient('cat "$1/whole"', mountpoint);
  for (let look = 0; look < 200 && server.requests.length === asked; look++) await wait(10);
  kill(client, 'SIGKILL');
  t.same(await allGone([client], 20), []);
  const began = performance.now();
  const { code, stderr } = await pinfs(['umount', mountpoint]);
  t.equal(code, 0, stderr);
  t.comment(`unmounted in ${Math.round(performance.now() - began)} ms`);
}

async function daemonKilled(t: Test, driver: DriverName): Promise<void> {
  const stage = await setUp(t, driver);
  const { here, server, source, args } = stage;
  const expected = await expectedHash(stage);
  const mountpoint = await here.mount({ source, args });
  const pid = (await here.status(mountpoint))?.status?.pid ?? 0;
  t.ok(pid > 0);
  // What is read comes slowly, so that the readers are in the middle of it.
  server.behave(/^data/, 'drip');
  const asked = server.requests.length;
  const readers = Array.from({ length: 64 }, () => startClient(hashAll, mountpoint));
  for (let look = 0; look < 500 && server.requests.length < asked + 2; look++) await wait(10);
  process.kill(pid, 'SIGKILL');
  t.same(await allGone(readers, 20), [], 'nobody waits for the dead');
  server.reset();
  const { code, stderr } = await here.tryMount({ source, args });
  t.equal(code, 0, stderr);
  t.equal((await shell(hashAll, mountpoint)).stdout, expected);
  await here.umount(mountpoint);
}

/** The kernel gives a device number that is free to the next mount. */
async function endsLate(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const pid = (await here.status(mountpoint))?.status?.pid ?? 0;
  t.ok(pid > 0);
  process.kill(pid, 'SIGSTOP');
  t.teardown(() => {
    if (existsSync(`/proc/${pid}`)) process.kill(pid, 'SIGCONT');
  });
  t.equal((await shell('fusermount3 -uz -- "$1"', mountpoint)).code, 0);
  const { code, stderr } = await here.tryMount({ source, args });
  t.equal(code, 0, stderr);
  process.kill(pid, 'SIGCONT');
  for (let look = 0; look < 500 && existsSync(`/proc/${pid}`); look++) await wait(10);
  t.notOk(existsSync(`/proc/${pid}`), 'the old process has ended');
  t.equal((await shell('ls "$1/plain" | wc -l', mountpoint)).stdout.trim(), '12');
  await here.umount(mountpoint);
}

/** The one that watches over a daemon that was killed comes when its mount was already taken over. */
async function supervisedLate(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const pid = (await here.status(mountpoint))?.status?.pid ?? 0;
  const watching = await shell('pgrep -P "$1" -f pinfs-supervisor', String(pid));
  const supervisor = Number(watching.stdout);
  t.ok(pid > 0 && supervisor > 0);
  process.kill(supervisor, 'SIGSTOP');
  process.kill(pid, 'SIGKILL');
  const { code, stderr } = await here.tryMount({ source, args });
  t.equal(code, 0, stderr);
  process.kill(supervisor, 'SIGCONT');
  for (let look = 0; look < 500 && existsSync(`/proc/${supervisor}`); look++) await wait(10);
  t.notOk(existsSync(`/proc/${supervisor}`), 'it has ended');
  t.equal((await shell('ls "$1/plain" | wc -l', mountpoint)).stdout.trim(), '12');
  await here.umount(mountpoint);
}

/** As a container does that was started while the mount was there. */
async function keptElsewhere(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = await setUp(t, driver);
  const mountpoint = await here.mount({ source, args });
  const pid = (await here.status(mountpoint))?.status?.pid ?? 0;
  const keeper = startClient('exec unshare --mount --propagation private sleep 60');
  t.teardown(() => kill(keeper, 'SIGKILL'));
  const own = readlinkSync('/proc/self/ns/mnt');
  for (let look = 0; look < 500 && namespaceOf(keeper.pid) === own; look++) await wait(10);
  const { code, stderr } = await pinfs(['umount', mountpoint]);
  t.equal(code, 0, stderr);
  t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), mountpoint);
  kill(keeper, 'SIGKILL');
  for (let look = 0; look < 500 && existsSync(`/proc/${pid}`); look++) await wait(10);
  t.notOk(existsSync(`/proc/${pid}`), 'its process ends with the last copy');
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/mnt`);
  } catch {
    return undefined;
  }
}
