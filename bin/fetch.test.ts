import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inflateSync } from 'node:zlib';
import t, { type Test } from 'tap';
import { file, makeSmallRepository, nested, directory } from '../lib/publish/write-repository.js';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import type { CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

const manyCount = 50;
const many = Object.fromEntries(
  Array.from({ length: manyCount }, (_, n) => [`f${n}`, file(`content ${n}\n`.repeat(100))]),
);
const made = makeSmallRepository({
  many: directory(many),
  twice: file('content 7\n'.repeat(100)),
  one: file('linked', { linkGroup: 1 }),
  two: file('linked', { linkGroup: 1 }),
  large: file('0123456789'.repeat(1000), { chunks: [3000] }),
  n: nested({ a: file('in a nested catalog'), deeper: nested({ b: file('deeper') }) }),
});
const content = /^data\/..\/[0-9a-f]+P?$/;
const catalogs = /^data\/.*C$/;

interface Scene {
  readonly work: string;
  readonly server: BadServer;
  readonly run: (command: string, ...args: string[]) => Promise<CliResult>;
}

async function scene(t: Test): Promise<Scene> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-fetch-'));
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  const key = join(work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const options = ['--key', key, '--cache', join(work, 'cache'), '--deadline', '2'];
  const env = { HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  const run: Scene['run'] = (command, ...args) =>
    pinfsInProcess([command, ...options, `${server.url}@v1`, ...args], env);
  return { work, server, run };
}

interface Report {
  readonly catalogs: { readonly objects: number };
  readonly total: { readonly objects: number; readonly bytes: number };
  readonly done: { readonly objects: number; readonly bytes: number };
  readonly problems: readonly { readonly path: string; readonly code: string }[];
  readonly notKept: number;
}

function reportOf({ stdout }: CliResult): Report {
  return JSON.parse(stdout) as Report;
}

void t.test('what was fetched can be read with no network, each object came once', async (t) => {
  const { run, server, work } = await scene(t);
  const fetched = await run('fetch', '--json');
  t.equal(fetched.code, 0, fetched.stderr);
  const report = reportOf(fetched);
  t.equal(report.catalogs.objects, 3);
  t.same(report.done, report.total);
  t.match(report, { problems: [], notKept: 0 });
  t.equal(server.count(content), report.total.objects, 'equal ones once');
  const paths = server.requests.map(({ path }) => path).filter((path) => content.test(path));
  t.equal(new Set(paths).size, paths.length);
  const copied = await run('cp', '--offline', '-r', '/', join(work, 'copy'));
  t.equal(copied.code, 0, copied.stderr);
  t.equal(readFileSync(join(work, 'copy', 'large'), 'latin1'), '0123456789'.repeat(1000));
  const before = server.count(content);
  const again = await run('fetch');
  t.match(again, {
    code: 0,
    stdout: /^3 catalogs, \d+ objects, .* are in the cache \(\d+\.\d s\)\n$/,
  });
  t.equal(server.count(content), before, 'what is here is not asked for again');
});

void t.test(
  'what can not be had is listed, the rest is fetched, and a later fetch goes on',
  async (t) => {
    const { run, server } = await scene(t);
    const lacking = objectOf('in a nested catalog');
    server.behave(lacking, 'missing');
    const first = await run('fetch', '--json');
    t.equal(first.code, 5);
    const report = reportOf(first);
    t.match(report.problems, [{ path: '/n/a', code: 'OBJECT_MISSING' }]);
    t.equal(report.done.objects, report.total.objects - 1);
    t.match(await run('fetch'), { code: 5, stdout: /^\/n\/a: .* \[OBJECT_MISSING\]\n/ });
    server.reset();
    t.equal((await run('fetch')).code, 0);
    t.same(
      server.requests.map(({ path }) => path).filter((path) => content.test(path)),
      [lacking],
      'only what was lacking',
    );
  },
);

void t.test('a part, and catalogs alone', async (t) => {
  const { run, server } = await scene(t);
  const part = reportOf(await run('fetch', '--json', '--jobs', '3', '/n/deeper'));
  // Its marker has no content.
  t.equal(server.count(objectOf('deeper')), 1);
  t.equal(server.count(objectOf('linked')), 0);
  t.ok(part.total.bytes <= 'deeper'.length);
  server.reset();
  const bare = await run('fetch', '--json', '--catalogs');
  t.equal(bare.code, 0);
  t.match(reportOf(bare), { catalogs: { objects: 3 }, total: { objects: 0 } });
  t.equal(server.count(content), 0);
  t.ok(server.count(catalogs) <= 3);
});

void t.test('a limit that is too small is told before any content is asked for', async (t) => {
  const { run, server } = await scene(t);
  const refused = await run('fetch', '--cache-limit', '200K');
  t.match(refused, {
    code: 1,
    stderr: /may have 200\.0 KiB: no content was fetched \[CACHE_FULL\]/,
  });
  t.match(refused.stderr, /--cache-limit SIZE/);
  t.equal(server.count(content), 0);
});

void t.test('a number of jobs is one from 1 to 32', async (t) => {
  const { run } = await scene(t);
  for (const jobs of ['0', '33', 'x'])
    t.match(await run('fetch', '--jobs', jobs), { code: 2, stderr: /from 1 to 32/ });
});

void t.test('a server that is gone ends it', async (t) => {
  const { run, server } = await scene(t);
  t.equal((await run('fetch', '--catalogs')).code, 0);
  server.behave(content, 'reset');
  const gone = await run('fetch');
  t.match(gone, { code: 4, stdout: /^Not everything was asked for\. .*3 times in a row/m });
  t.equal((await run('fetch', '--offline')).code, 4);
});

/** Where the object of a file with this content lies. */
function objectOf(text: string): string {
  for (const [path, bytes] of made.files)
    if (content.test(path) && inflateSync(bytes).toString('latin1') === text) return path;
  throw new Error(`no object has ${text}`);
}
