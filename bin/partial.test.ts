import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { objectPath } from '../lib/format/hash.js';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import {
  directory,
  file,
  makeSmallRepository,
  nested,
  special,
} from '../lib/publish/write-repository.js';
import type { CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// Trees of which not all can be had: the rest is shown, and the exit code says what was met.

const manyCount = 30;
const made = makeSmallRepository({
  a: file('first'),
  b: directory({ gone: nested({ below: file('in a nested catalog') }) }),
  c: directory({ y: file('behind it') }),
  many: directory(
    Object.fromEntries(
      Array.from({ length: manyCount }, (_, n) => [`n${n}`, nested({ x: file(`file ${n}`) })]),
    ),
  ),
});

interface Scene {
  readonly work: string;
  readonly server: BadServer;
  readonly run: (command: string, ...args: string[]) => Promise<CliResult>;
}

// What a server fails to give is asked for during a whole deadline (seconds).
async function scene(t: Test, repository = made, deadline = '2'): Promise<Scene> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-partial-'));
  const server = await startBadServer(repository.files, repository.fqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  const key = join(work, 'key.pub');
  writeFileSync(key, repository.masterKey);
  const options = ['--key', key, '--cache', join(work, 'cache'), '--deadline', deadline];
  const env = { HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  const run: Scene['run'] = (command, ...args) =>
    pinfsInProcess([command, ...options, `${server.url}@v1`, ...args], env);
  return { work, server, run };
}

function catalogPath(mountpoint: string): string {
  const hash = made.head.catalogs.get(mountpoint)?.hash;
  if (hash === undefined) throw new Error(`no catalog at ${mountpoint}`);
  return objectPath({ hash, kind: 'catalog' });
}

interface Printed {
  readonly path?: string;
  readonly error?: { readonly code: string; readonly path?: string; readonly exit: number };
}

void t.test('a directory that is missing is told, and the rest is shown, exit 5', async (t) => {
  const { run, server, work } = await scene(t);
  server.behave(catalogPath('/b/gone'), 'missing');
  // Each nested catalog has its marker, .cvmfscatalog.
  const all = 2 + 2 + 2 + 1 + 3 * manyCount;

  const found = await run('find', '/');
  t.equal(found.code, 5);
  const lines = found.stdout.trim().split('\n');
  t.equal(lines.length, all);
  for (const path of ['/b/gone', '/c/y', '/many/n7/x']) t.ok(lines.includes(path), path);
  t.match(found.stderr, /^pinfs: \/b\/gone: .* \[OBJECT_MISSING\]$/m);
  t.equal(found.stderr.match(/pinfs:/g)?.length, 1);

  const values = await run('find', '--json', '/');
  t.match(values, { code: 5, stderr: '' });
  const parsed = values.stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Printed);
  t.equal(parsed.length, all + 1);
  t.match(
    parsed.filter(({ error }) => error !== undefined),
    [{ error: { path: '/b/gone', code: 'OBJECT_MISSING', exit: 5 } }],
  );

  const listed = await run('ls', '-R', '/');
  t.match(listed, { code: 5, stderr: /^pinfs: \/b\/gone: .* \[OBJECT_MISSING\]$/m });
  t.match(listed.stdout, /\n\n\/b\/gone:\n\n\/c:\ny\n/);
  const records = await run('ls', '-R', '--json', '/');
  t.match(records, { code: 5, stderr: '' });
  const entries = JSON.parse(records.stdout) as Printed[];
  t.equal(entries.length, all - 1);
  t.match(
    entries.filter(({ error }) => error !== undefined),
    [{ path: '/b/gone', error: { code: 'OBJECT_MISSING' } }],
  );

  const copied = await run('cp', '-r', '/', join(work, 'copy'));
  t.match(copied, { code: 5, stderr: /^pinfs: not copied: \/b\/gone: (?!\/b)/m });
  t.equal(readFileSync(join(work, 'copy', 'c', 'y'), 'latin1'), 'behind it');
  t.match(await run('check', '/'), { code: 5, stdout: /: 1 missing or damaged\n$/ });

  t.match(await run('find', '/b/gone'), { code: 5, stdout: '/b/gone\n', stderr: /MISSING/ });
  t.match(await run('ls', '/b/gone'), { code: 5, stdout: '', stderr: /MISSING/ });
});

void t.test('what is not in the cache is not damaged: exit 4', async (t) => {
  const { run, work } = await scene(t);
  t.equal((await run('ls', '/')).code, 0);
  const checked = await run('check', '--offline', '/');
  t.equal(checked.code, 4);
  t.match(checked.stdout, /: 0 missing or damaged, 33 not reachable\n$/);
  const found = await run('find', '--offline', '/');
  t.equal(found.code, 4);
  t.equal(found.stdout.trim().split('\n').length, 7 + manyCount, 'all that is here');
  t.equal(found.stderr.match(/\[SOURCE_OFFLINE\]/g)?.length, 10);
  t.equal(found.stderr.match(/Leave --offline/g)?.length, 1, 'one advice');
  t.match(found.stderr, /^pinfs: 21 more directories are not reachable$/m);
  const copied = await run('cp', '-r', '--offline', '/', join(work, 'copy'));
  t.match(copied, { code: 4, stderr: /^pinfs: not copied: \/many\/n7: /m });
  t.ok(existsSync(join(work, 'copy', 'many', 'n29')));
});

void t.test('the worst of what was met decides', async (t) => {
  const { run, server } = await scene(t);
  t.equal((await run('ls', '/many/n1')).code, 0);
  server.behave(catalogPath('/b/gone'), 'bit-flipped');
  server.behave(catalogPath('/many/n3'), 'error');
  const checked = await run('check', '--catalogs', '/');
  t.match(checked, { code: 5, stdout: /: 1 missing or damaged, 1 not reachable\n$/ });
  t.match(await run('find', '/'), { code: 5, stdout: /^\/many\/n4\/x$/m });
});

void t.test('a server that is gone is not asked for every directory', async (t) => {
  const { run, server, work } = await scene(t, made, '1');
  t.equal((await run('ls', '/many/n1')).code, 0);
  server.behave(() => true, 'error');
  const before = server.requests.length;
  const found = await run('find', '/many');
  t.match(found, { code: 4, stdout: /^\/many\/n1\/x$/m, stderr: /3 times in a row/ });
  t.equal(found.stderr.match(/\[SOURCE_STATUS\]/g)?.length, 3);
  t.ok(server.requests.length - before < 20, `${server.requests.length - before} requests`);
  t.match(await run('cp', '-r', '/many', join(work, 'copy')), {
    code: 4,
    stderr: /3 times in a row/,
  });
});

void t.test('what this machine can not hold is no damage: exit 1', async (t) => {
  const { run, work } = await scene(t, makeSmallRepository({ fifo: special('fifo') }));
  const { code, stdout } = await run('cp', '-r', '--json', '/', join(work, 'copy'));
  t.equal(code, 1);
  t.match(JSON.parse(stdout), { skipped: ['/fifo: it is a fifo'], exit: 1 });
});
