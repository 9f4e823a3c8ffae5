import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { collidingNames, lowerWord } from '../lib/testing/colliding.js';
import { checkout } from '../lib/testing/genuine.js';
import { directory, file, makeSmallRepository, nested } from '../lib/publish/write-repository.js';
import { pinfsAtOnce } from './in-process.js';
import { needsAll, needsDriver, type DriverName, type Needs } from './machine.js';
import { run, scene, shell, type Scene } from './scene.js';

const [left, right] = collidingNames('/left', '/right');
const low = lowerWord(`/left/${left}`);
const names = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`n${at}`, file('n')]));
const made = makeSmallRepository({
  left: nested({ [left]: file('one\n'), ...names }),
  right: nested({
    [right]: file('two\n'),
    h1: file('linked\n', { linkGroup: 1 }),
    h2: file('linked\n', { linkGroup: 1 }),
    sub: directory({ deep: file('deep\n') }),
  }),
});

/** How to run programs of 32 bits here: by itself, or with the emulator before it; undefined: not at all. */
interface OldPrograms {
  readonly before: readonly string[];
  readonly program: string;
}

/** Compiles the program, and tries it where every number fits. */
function oldProgram(): OldPrograms | string {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-old-'));
  t.teardown(() => rmSync(work, { recursive: true, force: true }));
  const program = join(work, 'old-program');
  const source = join(checkout, 'native-test', 'fixtures', 'old-program.c');
  const compile = ['-m32', '-U_FILE_OFFSET_BITS', '-O1', '-o', program, source];
  if (spawnSync('gcc', compile, { timeout: 60_000 }).status !== 0)
    return 'gcc -m32 does not work here (apt-get install gcc-multilib)';
  const works = (first: string, ...rest: readonly string[]): boolean =>
    spawnSync(first, [...rest, '/proc/sys/fs/inotify'], { timeout: 60_000 }).status === 0;
  if (works(program)) return { before: [], program };
  if (works('qemu-i386', program)) return { before: ['qemu-i386'], program };
  return 'the kernel runs no programs of 32 bits, and no emulator is here (apt-get install qemu-user)';
}

/** Inode numbers of 32 bits, over one driver, from the command line. */
export function numbersInodes(driver: DriverName): void {
  const test = (name: string, more: Needs, body: (t: Test) => Promise<void>) => {
    const needs = needsAll(needsDriver(driver), more);
    void t.test(`${driver}: ${name}`, { ...needs, timeout: 120_000 }, body);
  };
  const old = oldProgram();
  const needsOld: Needs = typeof old === 'string' ? { skip: old } : {};
  test('names that collide have numbers of their own, over remounts and kill -9', {}, (t) =>
    keepsNumbers(t, driver),
  );
  test('who loads all catalogs first gets the same numbers everywhere', {}, (t) =>
    agrees(t, driver),
  );
  test('a program of 32 bits lists and stats everything', needsOld, (t) =>
    typeof old === 'string' ? Promise.resolve() : oldReader(t, driver, old),
  );
}

interface Stage {
  readonly here: Scene;
  readonly source: string;
  readonly args: readonly string[];
}

function setUp(t: Test, driver: DriverName): Stage {
  const here = scene(t, driver);
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const source = `${made.writeTo(join(here.work, 'source'))}@v1`;
  return { here, source, args: ['--key', key, '--inodes', '32'] };
}

/** The number that stat(2) gives, and the one that the directory lists. */
async function numberOf(mountpoint: string, path: string): Promise<number> {
  const script = 'stat -c %i "$1/$2"; ls -ia "$1/$(dirname "$2")" | grep -E " $(basename "$2")\\$"';
  const { stdout } = await shell(script, mountpoint, path);
  const [stat = 'none', listed = ''] = stdout.split('\n');
  if (listed.trim().split(' ')[0] !== stat) throw new Error(`${path}: ${stdout}`);
  return Number(stat);
}

async function keepsNumbers(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = setUp(t, driver);
  const first = await here.mount({ source, args });
  t.equal(await numberOf(first, `left/${left}`), low, 'the lower word');
  const status = (await here.status(first))?.status;
  t.match(status, { inodes: { bits: 32, given: { moved: 0, kept: true, whole: false } } });
  process.kill(status?.pid ?? -1, 'SIGKILL');
  const second = await here.mount({ source, args, at: 'second' });
  t.equal(await numberOf(second, `right/${right}`), low + 1, 'the first is not forgotten');
  t.equal(await numberOf(second, `left/${left}`), low);
  await here.umount(second);
  const third = await here.mount({ source, args, at: 'third' });
  t.equal(await numberOf(third, `right/${right}`), low + 1);
  t.equal(await numberOf(third, 'right/h1'), await numberOf(third, 'right/h2'), 'hard links share');
  const all = (await shell('find "$1" -printf \'%i %n\\n\' | sort | uniq -d', third)).stdout;
  t.equal(all.split('\n').length, 2, 'nobody else does');
  t.match((await here.status(third))?.status, { inodes: { given: { moved: 1 } } });
  const { stdout } = await pinfsAtOnce(['status', '--verbose']);
  t.match(stdout, /inodes +32 bits, \d+ numbers, 1 of them moved, given as names are seen/);
}

async function agrees(t: Test, driver: DriverName): Promise<void> {
  const { here, source, args } = setUp(t, driver);
  const seen: string[] = [];
  for (const [cache, walk] of [
    ['one', 'ls "$1/left" "$1/right"'],
    ['two', 'ls "$1/right/sub"; stat "$1/right/"*; ls "$1/left"'],
  ] as const) {
    const [, key = ''] = args;
    const options = ['--key', key, '--cache', here.directory(cache)];
    t.equal((await pinfsAtOnce(['check', '--catalogs', ...options, source])).code, 0);
    const mountpoint = await here.mount({ source, args, cache, at: `at-${cache}` });
    await shell(walk, mountpoint);
    seen.push((await shell('cd "$1"; find . -printf \'%i %p\\n\' | sort', mountpoint)).stdout);
    t.match((await here.status(mountpoint))?.status, { inodes: { given: { whole: true } } });
  }
  t.equal(seen[0], seen[1]);
  t.ok((seen[0] ?? '').split('\n').length > 40);
}

async function oldReader(t: Test, driver: DriverName, old: OldPrograms): Promise<void> {
  const { here, source, args } = setUp(t, driver);
  const [program, ...before] = [...old.before, old.program];
  const read = async (mountpoint: string): Promise<string> => {
    const directories = [`${mountpoint}/left`, `${mountpoint}/right`];
    const { stdout, code } = await run(program, [...before, ...directories]);
    return code === 0 ? stdout : `${stdout}failed`;
  };
  const mountpoint = await here.mount({ source, args });
  const lines = (await read(mountpoint)).split('\n').filter((line) => !line.startsWith('.'));
  t.equal(lines.length, 40 + 1 + 4 + 1);
  for (const line of lines.filter((line) => line !== '')) {
    const [, listed, stat] = line.split(' ');
    t.equal(listed, stat, line);
  }
  for (const name of [left, right])
    t.ok(
      lines.some((line) => line.startsWith(`${name} `)),
      name,
    );
  if (driver === 'fuse-native') return;
  const log = join(here.work, 'log');
  const [key = '', file = ''] = args;
  const wide = await here.mount({
    source,
    args: [key, file, '--log', log],
    at: 'wide',
    cache: 'wide-cache',
  });
  t.match(await read(wide), /^(readdir: errno 75\n)+failed/, 'EOVERFLOW without the option');
  await shell('ls -R "$1"', wide);
  const told = readFileSync(log, 'utf8')
    .split('\n')
    .filter((line) => line.includes('--inodes 32'));
  t.equal(told.length, 1, 'and the log says once how to mend it');
  const state = join((await here.status(wide))?.status?.store.directory ?? '', 'state', 'inodes');
  t.notOk(existsSync(state), 'nothing is kept');
}
