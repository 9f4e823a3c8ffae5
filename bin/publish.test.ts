import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { seededRandom } from '../lib/laboratory/random.js';
import { testCertificate } from '../lib/publish/keys.js';
import { openStorage } from '../lib/publish/storage/open.js';
import { makeRepository } from '../lib/publish/write-repository.js';
import { compiledProgram } from '../lib/testing/program.js';
import type { CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

const fqrn = 'published.example.org';

function scene(t: Test) {
  const work = t.testdir({
    tree: { sub: { '.cvmfscatalog': '', file: 'text' }, a: 'hello' },
    home: {},
  });
  const tree = join(work, 'tree');
  linkSync(join(tree, 'a'), join(tree, 'b'));
  symlinkSync('a', join(tree, 'link'));
  const hourAgo = Date.now() / 1000 - 3600;
  for (const name of ['a', 'sub/file', 'sub/.cvmfscatalog'])
    utimesSync(join(tree, name), hourAgo, hourAgo);
  const made = makeRepository({ fqrn, revisions: [{ tree: {} }] });
  const directory = made.writeTo(work);
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  writeFileSync(join(work, 'signing.key'), testCertificate.privateKey, { mode: 0o600 });
  const home = join(work, 'home');
  const place = (name: string): string => join(home, name);
  const env = {
    HOME: home,
    XDG_STATE_HOME: place('state'),
    XDG_CONFIG_HOME: place('config'),
    XDG_CACHE_HOME: place('cache'),
  };
  const own = ['--storage', directory, '--signing-key', join(work, 'signing.key')];
  return {
    work,
    tree,
    directory,
    env,
    publishArguments: ['publish', fqrn, ...own],
    publish: (...args: string[]): Promise<CliResult> =>
      pinfsInProcess(['publish', fqrn, ...own, ...args], env),
    read: (command: string, pin: string, ...args: string[]): Promise<CliResult> =>
      pinfsInProcess([command, `${directory}${pin}`, ...args, '--key', join(work, 'key.pub')], env),
  };
}

void t.test('a directory becomes a revision, and is read by its tag', async (t) => {
  const { tree, publish, read } = scene(t);
  const dry = await publish('--from', tree, '--dry-run');
  t.match(dry, { code: 0, stderr: '', stdout: /^\+ \/a\n\+ \/b\n\+ \/link\n\+ \/sub\n/ });
  t.match(dry.stdout, /not published\n$/);
  t.match(await publish('--from', tree, '--tag', 'v1', '--message', 'first'), {
    code: 0,
    stdout: /revision 2, tag v1, [0-9a-f]{40}\n7 entries read; /,
  });
  t.equal((await read('ls', '@v1', '/')).stdout, 'a\nb\nlink\nsub\n');
  t.equal((await read('cat', '@v1', '/sub/file')).stdout, 'text');
  t.match((await publish('--from', tree)).stdout, 'nothing changed, revision 2');
  writeFileSync(join(tree, 'sub', 'new'), 'new');
  rmSync(join(tree, 'link'));
  const changed = JSON.parse((await publish('--from', tree, '--dry-run', '--json')).stdout) as {
    changes: string[];
  };
  t.same(changed.changes, ['- /link', '~ /sub', '+ /sub/new']);
  const report = JSON.parse((await publish('--from', tree, '--json')).stdout) as object;
  t.match(report, { revision: 3, tag: /^generic-/ });
  t.match(await publish('--from', tree, '--at', '/x/y', '--delete', '/sub'), { code: 0 });
  t.equal((await read('ls', '', '/')).stdout, 'a\nb\nx\n');
  t.equal((await read('cat', '', '/x/y/sub/new')).stdout, 'new');
});

void t.test('content that looks as it did is read with --checksum only', async (t) => {
  const { tree, publish } = scene(t);
  // What is younger than two seconds may change within the same tick of its clock.
  await pause(2100);
  await publish('--from', tree);
  const files = async (...args: string[]): Promise<number> => {
    const { stdout } = await publish('--from', tree, '--json', ...args);
    return (JSON.parse(stdout) as { files: number }).files;
  };
  // The empty file that marks nested catalogs is made each time.
  const quiet = await files();
  const all = await files('--checksum');
  t.ok(quiet < all, `${quiet} of ${all} files are read`);
});

void t.test('who publishes at the same time is told who does', async (t) => {
  const { tree, directory, publish, read } = scene(t);
  const other = await openStorage(directory);
  const release = await other.lock();
  const refused = await publish('--from', tree);
  t.match(refused, { code: 1, stderr: /somebody else is writing to the storage .*STORAGE_BUSY/ });
  t.match(refused.stderr, new RegExp(`process ${process.pid} on `));
  t.match(refused.stderr, /Wait for that to end, and do it again/);
  t.match((await read('ls', '', '/')).stdout, /^$/, 'nothing was published');
  await release();
  t.match(await publish('--from', tree), { code: 0 });
  await other.close();
});

void t.test('wrong words are refused', async (t) => {
  const { tree, publish, work } = scene(t);
  for (const args of [
    [],
    ['--from', tree, '--message', 'no tag'],
    ['--from', tree, '--at', '/a/../b'],
    ['--from', tree, '--chunk-sizes', '4M'],
  ])
    t.match(await publish(...args), { code: 2 }, args.join(' '));
  t.match(await publish('--from', join(work, 'nowhere')), { stderr: /INPUT_UNREADABLE/ });
  t.match(await publish('--from', tree, '--signing-key', join(work, 'key.pub')), {
    stderr: /KEY_MALFORMED/,
  });
  process.env['SOURCE_DATE_EPOCH'] = 'today';
  t.teardown(() => delete process.env['SOURCE_DATE_EPOCH']);
  t.match(await publish('--from', tree), { code: 2 });
});

// More in `npm run soak`.
const kills = Number(process.env['PINFS_KILLS'] ?? 20);
const slow = { timeout: 60_000 + kills * 10_000 };

void t.test(
  'who is killed leaves a whole repository, and the next one publishes',
  slow,
  async (t) => {
    const { tree, directory, publishArguments, publish, read, env } = scene(t);
    const random = seededRandom(Number(process.env['PINFS_SEED'] ?? 1));
    const upTo = (most: number): number => 1 + Math.floor(random() * most);
    const hook = new URL('../lib/testing/die-at.js', import.meta.url).href;
    mkdirSync(join(tree, 'many'));
    const run = (more: Record<string, string>) => {
      const args = ['--import', hook, compiledProgram, ...publishArguments, '--from', tree];
      const child = spawn(process.execPath, args, {
        env: { ...process.env, ...env, PINFS_DIE_BELOW: directory, ...more },
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let said = '';
      child.stderr.on('data', (piece: Buffer) => (said += piece.toString()));
      return { child, ended: once(child, 'close'), said: () => said };
    };
    const objects = (): number => readdirSync(join(directory, 'data'), { recursive: true }).length;
    const revision = (): number =>
      Number(/\nS([0-9]+)\n/.exec(readFileSync(join(directory, '.cvmfspublished'), 'latin1'))?.[1]);
    const edit = (round: number): void => {
      for (let index = 0; index < 12; index++)
        writeFileSync(join(tree, 'many', String(index)), `${round} ${index} `.repeat(index * 50));
    };
    edit(-1);
    const whole = run({});
    await whole.ended;
    const changes = Number(/changes: ([0-9]+)/.exec(whole.said())?.[1]);
    t.ok(changes > 10, `${changes} changes by the main thread`);
    let killed = 0;
    for (let round = 0; round < kills; round++) {
      edit(round);
      const before = revision();
      // By turns at a change of the main thread, and when threads have made so many objects.
      const at = round % 2 === 0 ? upTo(changes) : 0;
      const { child, ended } = run({ PINFS_DIE_AT: String(at) });
      const enough = objects() + upTo(18);
      while (at === 0 && objects() < enough && child.exitCode === null) await pause(2);
      if (at === 0) child.kill('SIGKILL');
      const [, signal] = (await ended) as unknown[];
      if (signal === 'SIGKILL') killed++;
      const text = `round ${round}, killed at ${at === 0 ? `${enough} objects` : `change ${at}`}`;
      t.match(await read('check', ''), { code: 0 }, text);
      t.ok(revision() - before <= 1, text);
      t.match(await publish('--from', tree), { code: 0, stderr: '' }, text);
      const { stdout } = await read('cat', '', '/many/11');
      t.equal(stdout, readFileSync(join(tree, 'many', '11'), 'utf8'));
      t.same(readdirSync(join(directory, '.pinfs', 'new')), [], 'what it left is swept');
    }
    t.ok(killed >= kills / 2, `${killed} of ${kills} were killed in time`);
    const whatIsThere = await pinfsInProcess(['repo', 'check', fqrn, '--storage', directory], env);
    t.match(whatIsThere, { code: 0, stdout: /: 0 problems/ });
  },
);
