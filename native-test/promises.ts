import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import {
  directory,
  file,
  makeSmallRepository,
  nested,
  symlink,
  type MadeRepository,
} from '../lib/publish/write-repository.js';
import { bulk } from './bulk.js';
import { script } from './cli.js';
import { pinfsAtOnce } from './in-process.js';
import { needsDriver, type DriverName } from './machine.js';
import { probe, scene, shell, type Scene } from './scene.js';

// What must always hold of mounts (lib/README.md names the promises).

interface Stage {
  readonly here: Scene;
  readonly server: BadServer;
  readonly source: string;
  readonly args: readonly string[];
}

/** How the mounts are that are tested. */
interface Kind {
  readonly driver: DriverName;
  /** More arguments of each. */
  readonly more: readonly string[];
}

async function setUp(t: Test, { driver, more }: Kind, made: MadeRepository = bulk): Promise<Stage> {
  const here = scene(t, driver);
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  return { here, server, source: `${server.url}@v1`, args: ['--key', key, ...more] };
}

/** Tests them over one driver. @param more arguments of each mount. */
export function promises(driver: DriverName, more: readonly string[] = []): void {
  const test = (name: string, run: (t: Test, kind: Kind) => Promise<void>): void => {
    const options = { ...needsDriver(driver), timeout: 120_000 };
    void t.test(`${name} (${[driver, ...more].join(' ')})`, options, (t) =>
      run(t, { driver, more }),
    );
  };
  test('P1 what is damaged can not be read, and what could be read is right', damaged);
  test('P2 what mounted once mounts with no network', noNetwork);
  test('P3 no system call outlasts its deadline, and statfs waits for nothing', deadlines);
  test('P3 nothing that a catalog holds ends a mount', hostile);
  test('P4 kill -9 while it is read: it mounts again at once, and reads the same', killedReading);
  test('P4 kill -9 while it mounts', killedMounting);
}

/** The hash of everything, and what went wrong; eight at a time, as each may wait for a deadline. */
const hashes = 'cd "$1" && find . -type f | xargs -n 1 -P 8 sha256sum | LC_ALL=C sort';

async function damaged(t: Test, kind: Kind): Promise<void> {
  const { here, server, source, args } = await setUp(t, kind);
  const sound = await here.mount({ source, args, at: 'sound', cache: 'first' });
  const truth = new Set((await shell(hashes, sound)).stdout.split('\n'));
  await here.umount(sound);
  // What is cut short is asked for again until the deadline; what is damaged is not.
  const mountpoint = await here.mount({ source, args: [...args, '--deadline', '1'] });
  for (const behaviour of ['bit-flipped', 'truncated', 'wrong-content'] as const) {
    server.behave(/data\/.*[0-9aP]$/, behaviour);
    const { stdout, stderr } = await shell(hashes, mountpoint);
    t.match(stderr, /Input\/output error|Connection timed out/, behaviour);
    const lines = stdout.split('\n').filter((line) => line !== '');
    t.same(
      lines.filter((line) => !truth.has(line)),
      [],
      'nothing else was read',
    );
    server.reset();
  }
  await shell('sleep 1.2');
  t.same(new Set((await shell(hashes, mountpoint)).stdout.split('\n')), truth);
}

async function noNetwork(t: Test, kind: Kind): Promise<void> {
  const { here, server, source, args } = await setUp(t, kind);
  const first = await here.mount({ source, args });
  const before = await shell(hashes, first);
  await here.umount(first);
  await server.close();
  for (const [pin, status] of [
    [source, 'offline'],
    [`${server.url}@${bulk.head.rootHash.text}`, 'pinned'],
  ] as const) {
    const again = await here.mount({ source: pin, args });
    t.equal((await here.status(again))?.status?.verdict.status, status);
    t.same(await shell(hashes, again), before);
    await here.umount(again);
  }
  t.equal(before.stderr, '');
}

const slow = makeSmallRepository({
  file: file('a file'),
  link: symlink('file'),
  nested: nested({ file: file('in it'), link: symlink('file'), dir: directory({}) }),
});

async function deadlines(t: Test, kind: Kind): Promise<void> {
  const { here, server, source, args } = await setUp(t, kind, slow);
  const mountpoint = await here.mount({ source, args: [...args, '--deadline', '4'] });
  server.behave(/^data\//, 'hang');
  const at = (path: string): string => `${mountpoint}/${path}`;
  const calls = [
    ['lstat', at('nested/file')],
    ['stat', at('nested/link')],
    ['list', at('nested')],
    ['readlink', at('nested/link')],
    ['open', at('nested/file'), 'r'],
    ['access', at('nested/dir'), 4],
    ['read', at('file'), 0, 6],
  ] as const;
  let ended = 0;
  const running = calls.map(async (call) => {
    const [result] = await probe([call]);
    ended += 1;
    return result;
  });
  const attribute = shell('getfattr -n user.catalog_counters "$1"', at('nested'));
  for (let look = 0; look < 100 && server.count(/^data\//) < 2; look++) await shell('sleep 0.05');
  // What is here is answered while the others wait: statfs first of all.
  const others = await probe([
    ['statfs', mountpoint],
    ['readlink', at('link')],
    ['lstat', at('file')],
  ]);
  t.match(others, [{}, 'file', { size: '6' }]);
  t.equal(ended, 0, 'they still wait');
  for (const [index, result] of (await Promise.all(running)).entries()) {
    t.match(result, /^(EIO|ETIMEDOUT|EINTR|EAGAIN)$/, calls[index]?.join(' ') ?? '');
  }
  await attribute;
  server.reset();
  // Who hangs is given up at its own time, and then all is well again.
  let last: unknown;
  for (let look = 0; look < 150 && last !== 'in it'; look++) {
    last = (await shell('cat "$1" || sleep 0.2', at('nested/file'))).stdout;
  }
  t.equal(last, 'in it');
}

async function hostile(t: Test, kind: Kind): Promise<void> {
  const attributes = Object.fromEntries(
    Array.from({ length: 255 }, (_, index) => [
      `user.${String(index).padStart(250, 'k')}`,
      Buffer.alloc(255, 1),
    ]),
  );
  const made = makeSmallRepository(
    {
      ...Object.fromEntries(
        [4095, 4096, 5000, 16_384, 20_000].map((size) => [
          `link-${size}`,
          symlink('x'.repeat(size)),
        ]),
      ),
      'link to nothing': symlink(''),
      'link with NUL': symlink('file\0behind'),
      'name \x1b[2J\r\n': file('escapes'),
      past: file('', { mtime: -8e15 }),
      future: file('', { mtime: 8e15, mtimeNs: 999_999_999 }),
      attributes: file('', { xattrs: attributes }),
      huge: file('huge'),
      file: file('sound'),
      many: directory(
        Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`entry-${at}`, file('')])),
      ),
    },
    {},
  );
  const { here, source, args } = await setUp(t, kind, made);
  const mountpoint = await here.mount({ source, args });
  await shell('cd "$1" && ls -laR . && find . -ls && tar cf /dev/null .', mountpoint);
  await shell('cd "$1" && getfattr -d -m - * .; getfattr -n user.chunk_list *', mountpoint);
  await shell(
    'cd "$1" && for l in link*; do readlink "$l"; cat "$l"; stat -L "$l"; done',
    mountpoint,
  );
  await shell('cd "$1" && cat huge past future "name "*; ls many | wc -l', mountpoint);
  const links = await probe(
    [4095, 4096, 16_384].map((size) => ['readlink', `${mountpoint}/link-${size}`] as const),
  );
  t.match(links, ['x'.repeat(4095), 'ENAMETOOLONG', 'ENAMETOOLONG']);
  t.equal((await shell('cat "$1/file"', mountpoint)).stdout, 'sound', 'it lives on');
  t.equal((await shell('ls "$1/many" | wc -l', mountpoint)).stdout.trim(), '20000');
}

async function pidOf(here: Scene, mountpoint: string): Promise<number> {
  const pid = (await here.status(mountpoint))?.status?.pid;
  if (pid === undefined) throw new Error('status does not know the mount');
  return pid;
}

async function killedReading(t: Test, kind: Kind): Promise<void> {
  const { here, server, source, args } = await setUp(t, kind);
  const sound = await here.mount({ source, args, at: 'sound', cache: 'first' });
  const truth = await shell(hashes, sound);
  await here.umount(sound);
  for (const requests of [1, 6, 30]) {
    const cache = `cache-${requests}`;
    const mountpoint = await here.mount({ source, args, cache });
    const pid = await pidOf(here, mountpoint);
    server.reset();
    const readers = [shell(hashes, mountpoint), shell(hashes, mountpoint)];
    for (let look = 0; look < 200 && server.requests.length < requests; look++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    process.kill(pid, 'SIGKILL');
    const again = await here.tryMount({ source, args, cache });
    t.equal(again.code, 0, `after ${requests} requests: ${again.stderr}`);
    await Promise.all(readers);
    t.same(await shell(hashes, mountpoint), truth);
    await here.umount(mountpoint);
    const verified = await pinfsAtOnce([
      'cache',
      'verify',
      '--json',
      '--cache',
      join(here.work, cache),
    ]);
    t.match(JSON.parse(verified.stdout), { damaged: [] }, 'the cache is sound');
  }
}

async function killedMounting(t: Test, kind: Kind): Promise<void> {
  const { here, server, source, args } = await setUp(t, kind);
  const mountpoint = here.directory('mnt');
  for (const requests of [1, 3, 5]) {
    server.reset();
    const cache = here.directory(`cache-${requests}`);
    const options = ['mount', '--foreground', '--driver', kind.driver, '--cache', cache, ...args];
    const child = spawn(process.execPath, [script, ...options, source, mountpoint], {
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    for (let look = 0; look < 1000 && server.requests.length < requests; look++) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    child.kill('SIGKILL');
    await ended;
    const again = await here.tryMount({ source, args, cache: `cache-${requests}` });
    t.equal(again.code, 0, `after ${requests} requests: ${again.stderr}`);
    t.equal((await shell('ls "$1/plain" | wc -l', mountpoint)).stdout.trim(), '12');
    await here.umount(mountpoint);
  }
}
