import { mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import t, { type Test } from 'tap';
import { schemaProblems } from '../lib/testing/schemas.js';
import { fixtureKey, fixtures, type CliResult } from './cli.js';
import { pinfsInProcess } from './in-process.js';
import { needsMount } from './machine.js';
import { removeWhole } from './scene.js';
import { isMounted, standIn, until } from './stage.js';

// `pinfs open`: a place for each snapshot, found again, and gone when nobody uses it.

const needs = { ...needsMount, timeout: 180_000 };
const repository = join(fixtures, 'analysis.example.org');
const rootHash = '04d77435a9acf1db47359c15995c764190683149';

interface Desk {
  readonly work: string;
  /** Where what is opened comes to lie. */
  readonly places: string;
  readonly pinfs: (...args: string[]) => Promise<CliResult>;
  /** Opens, and expects that it works. @returns the path */
  readonly open: (source: string, ...args: string[]) => Promise<string>;
}

function desk(t: Test, variables: Readonly<Record<string, string>> = {}): Desk {
  const work = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-open-')));
  mkdirSync(join(work, 'run'), { mode: 0o700 });
  const env = { XDG_RUNTIME_DIR: join(work, 'run'), HOME: work, ...variables };
  const pinfs = (...args: string[]) => pinfsInProcess(args, env);
  const places = join(work, 'run', 'pinfs', 'mounts');
  const opened = new Set<string>();
  t.teardown(async () => {
    if (opened.size > 0) await pinfs('umount', '--force', ...opened);
    await removeWhole(work);
  });
  const options = ['--key', fixtureKey, '--cache', join(work, 'cache')];
  return {
    work,
    places,
    pinfs,
    async open(source, ...args) {
      const { code, stdout, stderr } = await pinfs('open', ...options, ...args, source);
      if (code !== 0) throw new Error(`open ${source} ended with ${code}: ${stderr}`);
      const path = stdout.trimEnd();
      opened.add(path);
      return path;
    },
  };
}

async function pidOf({ pinfs }: Desk, path: string): Promise<number> {
  const { stdout } = await pinfs('status', '--json', path);
  const { mounts } = JSON.parse(stdout) as { mounts: { pid: number }[] };
  return mounts[0]?.pid ?? NaN;
}

void t.test('a snapshot has one path, and two lie side by side', needs, async (t) => {
  const here = desk(t);
  const path = await here.open(`${repository}@2015-legacy`);
  t.equal(path, join(here.places, 'analysis.example.org@2015-legacy'));
  t.ok(readdirSync(path).includes('README.md'));
  const pid = await pidOf(here, path);
  t.equal(await here.open(`${repository}@2015-legacy`), path, 'again');
  t.equal(await here.open(`${repository}@${rootHash}`), path, 'by its root hash');
  t.equal(await pidOf(here, path), pid, 'nothing was mounted for that');
  const [head, same] = await Promise.all([here.open(repository), here.open(repository)]);
  t.equal(basename(head), 'analysis.example.org@HEAD');
  t.equal(same, head, 'two at once get one');
  t.same(readdirSync(here.places).sort(), [basename(path), basename(head)].sort());
  const options = ['--key', fixtureKey, '--cache', join(here.work, 'cache'), '--json'];
  const { stdout } = await here.pinfs('open', ...options, `${repository}@2015-legacy`);
  t.same(schemaProblems('open', JSON.parse(stdout)), []);
  const other = await here.pinfs('open', ...options, '--env', 'A=b', `${repository}@2015-legacy`);
  t.match(other, { code: 1, stdout: /with another variables/ });
  t.equal((await here.pinfs('umount', path, head)).code, 0);
  t.same(readdirSync(here.places), [], 'what was made for them is gone');
});

void t.test('an idle one ends itself, one in use does not', needs, async (t) => {
  const here = desk(t);
  const path = await here.open(`${repository}@2015-legacy`, '--idle', '1');
  const somebody = await standIn(path);
  const used = await here.open(repository, '--idle', '1');
  t.ok(await until(() => !isMounted(used)), 'nobody used it');
  t.ok(await until(() => !readdirSync(here.places).includes(basename(used))), 'nor its directory');
  t.ok(isMounted(path), 'somebody stands in it');
  somebody.stdin?.end();
  t.ok(await until(() => !isMounted(path)), 'he has gone');
  t.equal(await here.open(`${repository}@2015-legacy`), path, 'it comes back');
  t.match(readFileSync(join(path, 'README.md'), 'utf8'), /\S/);
});

void t.test('one that was killed is opened again', needs, async (t) => {
  const here = desk(t);
  const path = await here.open(`${repository}@2015-legacy`);
  process.kill(await pidOf(here, path), 'SIGKILL');
  t.equal(await here.open(`${repository}@2015-legacy`), path);
  t.ok(readdirSync(path).includes('README.md'));
});

void t.test('without a runtime directory it lies in the home', needs, async (t) => {
  const here = desk(t, { XDG_RUNTIME_DIR: '' });
  const path = await here.open(`${repository}@2015-legacy`);
  t.equal(path, join(here.work, 'pinfs', 'analysis.example.org@2015-legacy'));
  t.equal((await here.pinfs('umount', path)).code, 0);
});
