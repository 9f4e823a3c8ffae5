import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { bulk } from './bulk.js';
import { script, type CliResult } from './cli.js';
import { pinfsInProcess } from './in-process.js';
import { makeRandom } from './random-model.js';

// Whoever fills a cache is killed at any moment: what is in it by then is right, and the next one goes on.

const seed = Number(process.env['PINFS_SEED'] ?? '1');
const kills = Number(process.env['PINFS_KILLS'] ?? '20');
/** After so many the cache is begun anew: in one that is full nothing is written. */
const killsOfCache = 4;
// From here on small objects lie beside others.
const limit = ['--cache-limit', '200M'];

interface Filling {
  readonly work: string;
  readonly cache: string;
  /** Arguments of a command on the source. */
  readonly source: readonly string[];
  readonly run: (...args: readonly string[]) => Promise<CliResult>;
}

async function setUp(t: Test): Promise<Filling> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-kills-'));
  const server = await startBadServer(bulk.files, bulk.fqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  const key = join(work, 'key.pub');
  writeFileSync(key, bulk.masterKey);
  const cache = join(work, 'cache');
  const source = ['--key', key, '--cache', cache, ...limit, `${server.url}@v1`];
  const env = { HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  return { work, cache, source, run: (...args) => pinfsInProcess(args, env) };
}

/** All files below a directory, by their paths in it. */
function filesOf(directory: string): Map<string, Buffer> {
  const paths = readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort();
  return new Map(
    paths
      .filter((path) => statSync(join(directory, path)).isFile())
      .map((path) => [path, readFileSync(join(directory, path))]),
  );
}

/** What can be read of the snapshot with no network. */
async function readable({ work, source, run }: Filling): Promise<Map<string, Buffer>> {
  const copy = join(work, 'copy');
  rmSync(copy, { recursive: true, force: true });
  await run('cp', '-r', '--offline', ...source, '/', copy);
  return statSync(copy, { throwIfNoEntry: false }) === undefined ? new Map() : filesOf(copy);
}

/** Fills the cache in a process of its own, which is killed after so long. @returns whether it had not ended. */
async function killedAfter({ source }: Filling, ms: number): Promise<boolean> {
  const child = spawn(process.execPath, [script, 'fetch', ...source], { stdio: 'ignore' });
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  const [code] = (await once(child, 'close')) as [number | null];
  clearTimeout(timer);
  return code === null;
}

void t.test(
  `killed ${kills} times while a cache is filled, nothing in it is ever wrong`,
  { timeout: 60_000 + kills * 15_000 },
  async (t) => {
    const filling = await setUp(t);
    const random = makeRandom(seed);
    const begun = performance.now();
    await killedAfter(filling, 60_000);
    const wholeMs = performance.now() - begun;
    const expected = await readable(filling);
    t.ok(expected.size > 50, `${expected.size} files`);
    let killed = 0;
    for (let round = 0; round < kills; round++) {
      if (round % killsOfCache === 0) rmSync(filling.cache, { recursive: true, force: true });
      if (await killedAfter(filling, random.below(wholeMs * 1.1))) killed += 1;
      const verified = await filling.run('cache', 'verify', '--json', '--cache', filling.cache);
      t.match(JSON.parse(verified.stdout), { damaged: [], missing: 0 }, `round ${round}`);
      const found = await readable(filling);
      const wrong = [...found].filter(
        ([path, bytes]) => expected.get(path)?.equals(bytes) !== true,
      );
      t.same(
        wrong.map(([path]) => path),
        [],
        `${found.size} files are right, PINFS_SEED=${seed}`,
      );
    }
    t.ok(killed > kills / 4, `${killed} did not end before`);
    t.equal((await filling.run('fetch', ...filling.source)).code, 0);
    t.equal((await readable(filling)).size, expected.size);
  },
);
