import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { file, makeRepository, nested } from '../lib/publish/write-repository.js';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import type { CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

const made = makeRepository({
  revisions: [
    {
      tree: { both: file('in both'), old: file('in the old one'), n: nested({ a: file('aa') }) },
      tags: { v1: 'the first' },
    },
    {
      tree: { both: file('in both'), new: file('new'), n: nested({ a: file('aa'), b: file('b') }) },
      tags: { v2: 'the second' },
    },
  ],
});
const content = /^data\/..\/[0-9a-f]+P?$/;

interface Scene {
  readonly server: BadServer;
  readonly cache: string;
  /** A command on a source. */
  readonly run: (command: readonly string[], pin: string, ...args: string[]) => Promise<CliResult>;
  /** One on the cache. */
  readonly look: (...args: string[]) => Promise<CliResult>;
}

async function scene(t: Test): Promise<Scene> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-cache-'));
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  const key = join(work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const cache = join(work, 'cache');
  const env = { HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  return {
    server,
    cache,
    run: (command, pin, ...args) =>
      pinfsInProcess(
        [
          ...command,
          '--key',
          key,
          '--cache',
          cache,
          '--deadline',
          '2',
          `${server.url}@${pin}`,
          ...args,
        ],
        env,
      ),
    look: (...args) => pinfsInProcess(['cache', ...args, '--cache', cache], env),
  };
}

interface Listed {
  readonly key: string;
  readonly kind: string;
  readonly bytes: number;
}

async function listed({ look }: Scene): Promise<Listed[]> {
  const { code, stdout } = await look('list', '--json');
  t.equal(code, 0);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Listed);
}

function contentOf(objects: readonly Listed[]): number[] {
  return objects
    .filter(({ kind, bytes }) => kind === 'data' && bytes > 0)
    .map(({ bytes }) => bytes)
    .sort((a, b) => a - b);
}

void t.test('the objects of a cache are listed', async (t) => {
  const here = await scene(t);
  t.match(await here.look('list'), { code: 0, stdout: '' }, 'there is no cache');
  await here.run(['fetch'], 'v1');
  const objects = await listed(here);
  t.equal(objects.filter(({ kind }) => kind === 'catalog').length, 2);
  t.same(contentOf(objects), [2, 7, 14]);
  const { stdout } = await here.look('list');
  t.match(stdout, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ +7 B {2}data {9}[0-9a-f]{40}$/m);
});

interface BySnapshot {
  readonly snapshots: readonly {
    readonly rootHash: string;
    readonly names: readonly string[];
    readonly revision: number;
    readonly all: { readonly objects: number };
    readonly alone: { readonly objects: number; readonly bytes: number };
  }[];
  readonly rest: { readonly objects: number };
}

void t.test('what each snapshot takes, and takes alone', async (t) => {
  const here = await scene(t);
  await here.run(['fetch'], 'v1');
  await here.run(['fetch'], 'v2');
  const all = await listed(here);
  const { code, stdout } = await here.look('size', '--by', 'snapshot', '--json');
  t.equal(code, 0);
  const { snapshots, rest } = JSON.parse(stdout) as BySnapshot;
  t.equal(snapshots.length, 2);
  const [first, second] = [...snapshots].sort((a, b) => a.revision - b.revision);
  if (first === undefined || second === undefined) return;
  t.match(first.names, [`${made.fqrn}@v1`]);
  t.ok(second.names.includes(`${made.fqrn}@v2`));
  // Two catalogs each; `old` and, of the other, `new` and `b`.
  t.equal(first.alone.objects, 3);
  t.equal(second.alone.objects, 4);
  const shared = first.all.objects - first.alone.objects;
  t.equal(shared, second.all.objects - second.alone.objects);
  t.equal(first.alone.objects + second.all.objects + rest.objects, all.length);
  t.match(await here.look('size', '--by', 'snapshot'), {
    code: 0,
    stdout: new RegExp(
      `^${first.rootHash}  +1  \\S+ +${first.all.objects} .* 3 +\\S+ \\S+  ${made.fqrn}@v1$`,
      'm',
    ),
  });
});

void t.test('705-evict: one path is evicted, and comes back when it is read', async (t) => {
  const here = await scene(t);
  await here.run(['fetch'], 'v2');
  const before = contentOf(await listed(here));
  t.same(before, [1, 2, 3, 7]);
  t.match(await here.run(['cache', 'evict'], 'v2', '/n/b'), {
    code: 0,
    stdout: /^removed 1 objects, 1 B\n$/,
  });
  t.same(contentOf(await listed(here)), [2, 3, 7], 'and nothing else');
  t.match(await here.run(['cat'], 'v2', '--offline', '/n/b'), { code: 4 });
  here.server.reset();
  t.match(await here.run(['cat'], 'v2', '/n/b'), { code: 0, stdout: 'b' });
  t.equal(here.server.count(content), 1);
  t.same(contentOf(await listed(here)), before);

  t.equal((await here.run(['cache', 'evict'], 'v2', '/n')).code, 0);
  t.same(contentOf(await listed(here)), [3, 7], 'a directory, with its catalog');
  t.equal((await here.run(['cache', 'evict'], 'v2')).code, 0);
  t.equal((await listed(here)).filter(({ kind }) => kind === 'catalog').length, 0);
  t.match(await here.run(['cache', 'evict'], 'v2', '/lacking'), { code: 1, stderr: /NOT_FOUND/ });
});

void t.test('what is kept stays when room is needed, until it is let go of', async (t) => {
  const here = await scene(t);
  const limit = ['--cache-limit', '200K'];
  t.equal((await here.run(['cache', 'keep'], 'v2', '/n', '--cache-limit', '400K')).code, 0);
  t.match(await here.look('kept'), {
    code: 0,
    stdout: new RegExp(`^\\d{4}-\\d\\d-\\d\\d  \\d+  -  .*B  ${made.fqrn}@[0-9a-f]{40}  /n\n$`),
  });
  const refill = (): Promise<CliResult> => here.run(['fetch'], 'v1', ...limit);
  await refill();
  t.match(await here.run(['cat'], 'v2', '--offline', '/n/b'), { code: 0, stdout: 'b' });
  t.match(await here.run(['cache', 'evict'], 'v2', '/n'), {
    code: 0,
    stdout: /^removed 0 .* stay/,
  });
  await here.look('clear');
  t.match(await here.run(['cat'], 'v2', '--offline', '/n/b'), { code: 0, stdout: 'b' });

  t.match(await here.run(['cache', 'unkeep'], 'v1', '/n'), { code: 1, stderr: /is not kept/ });
  t.equal((await here.run(['cache', 'unkeep'], 'v2', '/n')).code, 0);
  t.match(await here.look('kept', '--json'), { code: 0, stdout: '[]\n' });
  await here.look('clear');
  t.match(await here.run(['cat'], 'v2', '--offline', '/n/b'), { code: 4 });
});

void t.test('what can not be made complete, or leaves no room, is not kept', async (t) => {
  const here = await scene(t);
  here.server.behave(content, 'missing');
  t.match(await here.run(['cache', 'keep'], 'v2'), { code: 5, stdout: /OBJECT_MISSING/ });
  t.match(await here.look('kept'), { code: 0, stdout: '' });
  here.server.reset();
  const refused = await here.run(['cache', 'keep'], 'v2', '--cache-limit', '140K');
  t.match(refused, { code: 1, stderr: /more than three quarters.*CACHE_FULL/ });
  t.match(await here.look('kept'), { code: 0, stdout: '' });
});

/** Changes a byte in each file of the cache that has this text, wherever it keeps objects. */
function damage(cache: string, text: string): void {
  for (const name of readdirSync(cache, { recursive: true, encoding: 'utf8' })) {
    const path = join(cache, name);
    if (!statSync(path).isFile()) continue;
    const bytes = readFileSync(path);
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    chmodSync(path, 0o644);
    writeFileSync(path, bytes);
    chmodSync(path, 0o444);
  }
}

void t.test('what is damaged is thrown away, and with --repair fetched again', async (t) => {
  const here = await scene(t);
  await here.run(['fetch'], 'v2');
  const before = contentOf(await listed(here));
  damage(here.cache, 'in both');
  t.match(await here.look('verify'), {
    code: 5,
    stdout: /: 1 damaged and thrown away\n {2}[0-9a-f]{40}\n$/,
  });
  t.same(contentOf(await listed(here)), [1, 2, 3]);
  t.equal((await here.run(['cat'], 'v2', '/both')).stdout, 'in both');

  damage(here.cache, 'in both');
  here.server.reset();
  const remembered = readFileSync(join(here.cache, 'state', 'sources.json'), 'utf8');
  t.match(JSON.parse(remembered), { sources: [here.server.url] }, 'without its pin');
  t.match(await here.look('verify', '--repair'), { code: 0, stdout: /^1 of 1 fetched again\n$/m });
  t.equal(here.server.count(content), 1, 'from the source that was used');
  t.same(contentOf(await listed(here)), before);
  t.match(await here.look('verify'), { code: 0, stdout: /: 0 damaged/ });

  damage(here.cache, 'in both');
  here.server.behave(content, 'missing');
  const failed = await here.look('verify', '--repair', '--json', here.server.url);
  t.equal(failed.code, 5);
  t.match(JSON.parse(failed.stdout), { repaired: 0, notRepaired: [{ code: 'OBJECT_MISSING' }] });
});
