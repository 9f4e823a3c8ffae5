import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { dateText } from '../lib/publish/repository/status-file.js';
import {
  directory,
  file,
  makeRepository,
  makeSmallRepository,
  nested,
  type MadeRepository,
} from '../lib/publish/write-repository.js';
import { collectGarbage } from '../lib/publish/repository/gc.js';
import { openStorage } from '../lib/publish/storage/open.js';
import type { Storage } from '../lib/publish/storage/storage.js';
import { serve } from '../lib/source/serve.js';
import { genuine, needsGenuine } from '../lib/testing/genuine.js';
import { compiledProgram } from '../lib/testing/program.js';
import { schemaProblems } from '../lib/testing/schemas.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { pinfsInProcess } from '../native-test/in-process.js';

const fqrn = 'demo.example.org';

/** Three revisions with names, and one between without. */
const made = makeRepository({
  fqrn,
  revisions: [
    { tree: tree('one'), tags: { v1: '' }, time: 1_600_000_000 },
    { tree: tree('nobody names it'), time: 1_600_100_000 },
    { tree: tree('two'), tags: { v2: '' }, time: 1_600_200_000 },
    { tree: { ...tree('three'), more: file('more') }, tags: { v3: '' }, time: 1_600_300_000 },
  ],
});

function tree(text: string) {
  return {
    a: file(text),
    large: file(`${text} `.repeat(200_000), { compression: 'none' }),
    chunked: file(`${text} `.repeat(40), { chunks: [100] }),
    same: nested({ b: file('the same in all'), empty: directory({}) }),
    below: nested({ c: file(`${text} below`), deeper: nested({ d: file('d') }) }),
  };
}

async function scene(t: Test, one: MadeRepository = made) {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-mirror-'));
  const server = await startBadServer(one.files, one.fqrn);
  const storage = join(work, 'web', one.fqrn);
  mkdirSync(join(work, 'web'));
  writeFileSync(join(work, 'key.pub'), one.masterKey);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  const env = { HOME: work, XDG_CONFIG_HOME: join(work, 'config') };
  const reading = ['--key', join(work, 'key.pub'), '--cache', join(work, 'cache')];
  const run = (...args: string[]) => pinfsInProcess(args, env);
  const args = ['repo', 'mirror', ...reading, '--storage', storage];
  const mirror = (...more: string[]) => run(...args, server.url, ...more);
  const check = async () => {
    const out = await run('repo', 'check', one.fqrn, '--storage', storage, '--json');
    const { problems, orphans } = JSON.parse(out.stdout) as { problems: []; orphans: number };
    return { problems, orphans };
  };
  const objects = () =>
    [...one.files.keys()].filter((path) => objectOf(path) && existsSync(join(storage, path)))
      .length;
  return { work, server, storage, env, reading, run, args, mirror, check, objects };
}

function rootPath(revision: number): string {
  const hash = made.revisions[revision]?.rootHash.text ?? '';
  return join('data', hash.slice(0, 2), `${hash.slice(2)}C`);
}

const clean = { problems: [], orphans: 0 };
const objectOf = (path: string): boolean => path.startsWith('data/');

void t.test('a mirror has the head and all tags, and follows', async (t) => {
  const { work, storage, run, mirror, check, server, reading } = await scene(t);
  const told = JSON.parse((await mirror('--json')).stdout) as Record<string, unknown>;
  t.same(schemaProblems('repo-mirror', told), []);
  t.match(told, { fqrn, revision: made.head.revision, isWhole: true, problems: [], snapshots: 3 });
  t.same(await check(), clean);
  for (const name of ['.cvmfspublished', '.cvmfswhitelist'])
    t.same(readFileSync(join(storage, name)), made.files.get(name), name);
  const status = JSON.parse(readFileSync(join(storage, '.cvmfs_status.json'), 'utf8')) as object;
  const last = readFileSync(join(storage, '.cvmfs_last_snapshot'), 'utf8').trim();
  t.same(status, { last_snapshot: last });
  t.match(last, /^[A-Z][a-z]{2} [A-Z][a-z]{2} [ 1-3][0-9] [0-9:]{8} UTC 20[0-9]{2}$/);
  t.notOk(existsSync(join(storage, '.cvmfs_is_snapshotting')));
  t.same(readdirSync(join(storage, '.pinfs', 'new')), []);

  const web = await serve(join(work, 'web'));
  t.teardown(() => web.close());
  const url = `http://127.0.0.1:${web.port}/${fqrn}`;
  for (const [tag, text] of Object.entries({ v1: 'one', v2: 'two', HEAD: 'three' })) {
    const again = [...reading.slice(0, 3), join(work, `cache-${tag}`)];
    t.match(await run('cat', ...again, `${url}@${tag}`, '/a'), { code: 0, stdout: text });
    t.match(await run('ls', ...again, `${url}@${tag}`, '/below'), { stdout: /^c$/m });
  }

  server.reset();
  t.match(await mirror(), { code: 0, stdout: /3 snapshots; 0 objects/ });
  // The tag database, which says which ones; the rest is there.
  t.equal(server.count(objectOf), 1, 'catalogs that are there are not walked again');
});

void t.test('only some tags, and more of them later', async (t) => {
  const { storage, mirror, check, run, reading, objects } = await scene(t);
  t.match(await mirror('--tag', 'v1'), { code: 0, stdout: /2 snapshots/ });
  t.same(await check(), clean, 'what was not asked for is not lacking');
  const few = objects();
  const cat = (pin: string) => run('cat', ...reading, `${storage}@${pin}`, '/a');
  t.match(await cat('v1'), { stdout: 'one' });
  t.match(await cat('v2'), { code: 5, stderr: /OBJECT_MISSING/ });
  t.match(await mirror('--newest', '2'), { code: 0, stdout: /2 snapshots/ });
  t.ok(objects() > few);
  t.same(await check(), clean, 'v1 stays');
  t.match(await cat('v2'), { stdout: 'two' });
  const gc = ['repo', 'gc', fqrn, '--storage', storage];
  t.match(await run(...gc), { code: 0, stdout: /^0 objects/ });
  t.match(await mirror('--tag', 'v9'), { code: 5, stderr: /TAG_UNKNOWN/ });
  t.match(await mirror('--newest', 'x'), { code: 2 });
  t.match(await mirror('--jobs', '0'), { code: 2 });
  t.match(await mirror(), { code: 0, stdout: /3 snapshots/ });
  t.notOk(existsSync(join(storage, '.pinfs', 'mirrored')), 'all are there now');
});

void t.test('what is damaged or missing is named, and the old state stays', async (t) => {
  const older = makeSmallRepository({ a: file('before') }, { fqrn });
  const { storage, mirror, check, server, work } = await scene(t);
  // Of the first revision, and of no other.
  const [object = ''] = [...made.files.keys()].filter((path) => /data\/.*[0-9a-f]$/.test(path));
  const root = rootPath(0);
  for (const [behaviour, code] of [
    ['bit-flipped', 'OBJECT_HASH_MISMATCH'],
    ['missing', 'OBJECT_MISSING'],
  ] as const) {
    server.reset();
    server.behave(object, behaviour);
    const told = await mirror();
    t.match(told, { code: 5, stdout: new RegExp(`${object}: .*\\[${code}\\]`) });
    t.match(told.stdout, /is as it was: 1 problems/);
    t.notOk(existsSync(join(storage, object)));
    t.notOk(existsSync(join(storage, '.cvmfspublished')));
    t.notOk(existsSync(join(storage, root)), 'no catalog that reaches it');
  }
  server.reset();
  server.behave(root, 'wrong-content');
  t.match(await mirror('--json'), { code: 5, stdout: new RegExp(`"what": "${root}"`) });
  server.reset();
  server.behave(objectOf, 'error');
  t.match(await mirror('--deadline', '1'), { code: 4 });
  server.reset();
  t.match(await mirror(), { code: 0 });
  t.same(await check(), clean);

  // A head that is older, one that is another, another repository, a head that nobody vouches for.
  const copy = made.writeTo(join(work, 'old'));
  const first = made.revisions[0];
  writeFileSync(join(copy, '.cvmfspublished'), first?.manifest ?? '');
  const state = readFileSync(join(storage, '.cvmfspublished'));
  const from = (source: string, ...more: string[]) =>
    pinfsInProcess(
      ['repo', 'mirror', '--storage', storage, '--cache', join(work, 'other'), source, ...more],
      { HOME: work, XDG_CONFIG_HOME: join(work, 'config') },
    );
  const key = ['--key', join(work, 'key.pub')];
  t.match(await from(copy, ...key), { code: 3, stderr: /ROLLBACK/ });
  t.match(await from(older.writeTo(join(work, 'another')), ...key), { code: 3 });
  const other = makeSmallRepository({ a: file('x') }, { fqrn: 'other.example.org' });
  t.match(await from(other.writeTo(work), ...key), { stderr: /REPOSITORY_EXISTS/ });
  t.match(await from(server.url), { code: 3, stderr: /KEY/ });
  t.match(await from(`${server.url}@v1`, ...key), { code: 2, stderr: /no pin/ });
  t.same(readFileSync(join(storage, '.cvmfspublished')), state);
});

void t.test(
  'what a stranger made of a catalog or of the tags is not asked of SQLite',
  async (t) => {
    const endless = `DROP TABLE chunks; CREATE VIEW chunks AS WITH RECURSIVE
    more(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM more) SELECT n AS md5path_1 FROM more`;
    const sql = endless.replaceAll('chunks', 'tags');
    const revision = { tree: { a: file('a') }, tags: { v1: '' } };
    const catalogs = makeRepository({ fqrn, revisions: [{ ...revision, sql: endless }] });
    const { mirror, storage } = await scene(t, catalogs);
    t.match(await mirror(), { code: 5, stdout: /\[CATALOG_SCHEMA\]/ });
    t.notOk(existsSync(join(storage, '.cvmfspublished')));
    const history = await scene(
      t,
      makeRepository({ fqrn, revisions: [{ ...revision, historySql: sql }] }),
    );
    t.match(await history.mirror(), { code: 5, stderr: /HISTORY_MALFORMED/ });
  },
);

void t.test('killed at any moment, the same command goes on', async (t) => {
  const { work, server, storage, args, mirror, check, env, objects } = await scene(t);
  const total = [...made.files.keys()].filter(objectOf).length;
  for (const [round, at] of [5, 26].entries()) {
    server.reset();
    // All but so many are given, and then one never comes.
    let given = 0;
    server.behave((path) => objectOf(path) && ++given > at, 'hang');
    const child = spawn(process.execPath, [compiledProgram, ...args, server.url, '--jobs', '2'], {
      stdio: 'ignore',
      env: { ...process.env, ...env },
    });
    const ended = once(child, 'exit');
    while (given <= at && child.exitCode === null) await sleep(10);
    child.kill('SIGKILL');
    await ended;
    t.notOk(existsSync(join(storage, '.cvmfspublished')), `round ${round}: nobody sees a head`);
  }
  server.reset();
  const there = objects() - 1;
  t.ok(there > 5);
  t.match(await mirror(), { code: 0 });
  t.same(await check(), clean);
  t.same(readdirSync(join(storage, '.pinfs', 'new')), [], 'nothing is left of those that died');
  t.ok(server.count(objectOf) < total - there, 'what was there was not fetched again');
  t.notOk(existsSync(join(storage, '.cvmfs_is_snapshotting')));
  t.ok(existsSync(join(work, 'web')));
});

void t.test('a collection of garbage that ended in the middle leaves nothing half', async (t) => {
  const { storage, mirror, check, work } = await scene(t);
  for (let removed = 1; ; removed += 3) {
    // A mirror of all that shall be one of v1 and the head.
    rmSync(storage, { recursive: true, force: true });
    made.writeTo(join(work, 'web'));
    mkdirSync(join(storage, '.pinfs'));
    writeFileSync(
      join(storage, '.pinfs', 'mirrored'),
      `${made.revisions[0]?.rootHash.text ?? ''}\n`,
    );
    const opened = await openStorage(storage);
    let left = removed;
    const dying: Storage = {
      ...opened,
      remove: (path) => (left-- > 0 ? opened.remove(path) : Promise.reject(new Error('died'))),
    };
    const options = { keep: [], remove: true, now: new Date() };
    const isWhole = await collectGarbage(dying, fqrn, options).then(
      () => true,
      () => false,
    );
    t.same((await check()).problems, [], `after ${removed} objects`);
    t.match(await mirror(), { code: 0 });
    t.same((await check()).problems, [], 'what is there again is whole');
    if (isWhole) break;
  }
});

void t.test('genuine repositories, one of them with shortcuts', needsGenuine, async (t) => {
  const work = t.testdir();
  for (const [folder, name] of [
    ['features-shake128', 'features-shake128.example.org'],
    ['variants/alternative-paths', 'altpath.example.org'],
  ] as const) {
    const storage = join(work, name);
    const reading = ['--key', genuine('keys', `${name}.pub`), '--cache', join(work, 'cache')];
    const run = (...args: string[]) => pinfsInProcess(args, { HOME: work });
    const source = genuine(folder, name);
    t.match(await run('repo', 'mirror', ...reading, '--storage', storage, source), { code: 0 });
    const checked = await run('repo', 'check', name, '--storage', storage, '--json');
    const { problems, orphans } = JSON.parse(checked.stdout) as {
      problems: { code: string }[];
      orphans: number;
    };
    // The reference counts wrongly where an entry becomes one of another type.
    const others = problems.filter(({ code }) => code !== 'CATALOG_COUNTERS');
    t.same({ others, orphans }, { others: [], orphans: 0 }, name);
    const tree = async (place: string) => (await run('ls', '-lR', ...reading, place)).stdout;
    t.equal(await tree(storage), await tree(source));
    const shortcuts = readdirSync(source).filter((one) => one.startsWith('.cvmfsalt-'));
    for (const one of shortcuts)
      t.same(readFileSync(join(storage, one)), readFileSync(join(source, one)), one);
  }
});

void t.test('times are as date --utc has them', (t) => {
  t.equal(dateText(new Date('2022-02-05T03:04:05Z')), 'Sat Feb  5 03:04:05 UTC 2022');
  t.equal(dateText(new Date('2023-08-30T07:00:02Z')), 'Wed Aug 30 07:00:02 UTC 2023');
  t.end();
});
