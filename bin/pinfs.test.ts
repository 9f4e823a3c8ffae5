import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fromText } from '../lib/format/bytes.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { checkout, type ExpectedEntry } from '../lib/testing/genuine.js';
import { directory, file, makeSmallRepository, symlink } from '../lib/publish/write-repository.js';
import { compiledProgram } from '../lib/testing/program.js';
import { fixtureKey, fixtures, pinfs, script, type CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// The command line as a user has it, with no FUSE.

const fqrn = 'analysis.example.org';
const repository = join(fixtures, fqrn);
const pinned = `${repository}@2015-legacy`;

interface Place {
  readonly work: string;
  /** Runs with the key of the fixture and a cache of its own. */
  readonly run: (command: string, ...args: string[]) => Promise<CliResult>;
  /** The same, with nothing added; HOME is the place. */
  readonly bare: (...args: string[]) => Promise<CliResult>;
  /** `bare` as a shell does it; the others run within this process. */
  readonly start: (...args: string[]) => Promise<CliResult>;
}

function place(t: Test): Place {
  const work = fs.mkdtempSync(join(tmpdir(), 'pinfs-cli-'));
  t.teardown(() => fs.rmSync(work, { recursive: true, force: true }));
  const env = { HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  const bare = (...args: string[]): Promise<CliResult> => pinfsInProcess(args, env);
  const options = ['--key', fixtureKey, '--cache', join(work, 'cache')];
  return {
    work,
    bare,
    run: (command, ...args) => bare(command, ...options, ...args),
    start: (...args) => pinfs(args, env),
  };
}

function expectedLines(): ExpectedEntry[] {
  return fs
    .readFileSync(join(fixtures, 'expected', '2015-legacy.jsonl'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ExpectedEntry);
}

function json(result: CliResult): Record<string, unknown> {
  return JSON.parse(result.stdout) as Record<string, unknown>;
}

void t.test('reading a snapshot', async (t) => {
  const { run, start, work } = place(t);
  const listed = await run('ls', pinned);
  t.equal(listed.code, 0);
  t.same(listed.stdout.trim().split('\n').slice(0, 4), ['LICENSE', 'README', 'README.md', 'bin']);
  const long = await run('ls', '-l', pinned, '/bin');
  t.match(long.stdout, /^-rwxr-xr-x +1 +\d+ +\d+ +\d+ 2015-\d\d-\d\d \d\d:\d\d:\d\d analyse$/m);
  const all = await run('ls', '-R', pinned);
  t.match(all.stdout, /\n\n\/bin:\nanalyse\n/);
  const entries = JSON.parse((await run('ls', '--json', pinned)).stdout) as { path: string }[];
  t.ok(entries.some(({ path }) => path === '/README.md'));

  const stat = json(await run('stat', '--json', pinned, '/README'));
  t.match(stat, { path: '/README', type: 'symlink', target: 'README.md', mode: /^0\d+$/ });
  t.match((await run('stat', pinned, '/conditions')).stdout, /nested catalog/);
  const twice = await run('cat', pinned, '/README', '/README.md');
  t.equal(twice.stdout.length, 2 * (twice.stdout.length / 2));
  t.equal(
    twice.stdout.slice(0, twice.stdout.length / 2),
    twice.stdout.slice(-twice.stdout.length / 2),
  );

  const lines = expectedLines();
  const cache = ['--cache', join(work, 'cache')];
  const found = await start('find', '--print0', '--key', fixtureKey, ...cache, pinned);
  const paths = found.stdout.split('\0').slice(0, -1);
  t.same(paths.sort(), lines.map(({ path }) => path).sort());
  const files = await run('find', '--type', 'f', '--name', '*.csv', pinned);
  const csv = lines.filter(({ type, path }) => type === 'file' && path?.endsWith('.csv') === true);
  t.equal(files.stdout.trim().split('\n').length, csv.length);

  t.match(await run('cat', pinned, '/nothing'), { code: 1, stderr: /NOT_FOUND/ });
  t.match(await run('cat', pinned, '/bin'), { code: 1, stderr: /directory/i });
});

void t.test('copying out', async (t) => {
  const { run, work } = place(t);
  const target = join(work, 'copy');
  t.match(await run('cp', pinned, '/', target), { code: 2, stderr: /-r/ });
  t.equal((await run('cp', '-r', pinned, '/', target)).code, 0);
  for (const line of expectedLines()) {
    const path = join(target, line.path ?? '');
    const it = fs.lstatSync(path);
    if (line.type === 'file') {
      const digest = createHash('sha256').update(fs.readFileSync(path)).digest('hex');
      t.equal(digest, line.sha256, line.path ?? '');
    }
    if (line.type === 'symlink') t.equal(fs.readlinkSync(path), line.target);
    else t.equal((it.mode & 0o777).toString(8).padStart(4, '0'), line.mode, line.path ?? '');
    t.equal(Math.floor(it.mtimeMs / 1000), line.mtime);
  }
  t.match(await run('cp', pinned, '/README.md', join(target, 'LICENSE')), { code: 2 });
  t.equal((await run('cp', pinned, '/README.md', work)).code, 0, 'into a directory');
  t.ok(fs.existsSync(join(work, 'README.md')));
  t.equal((await run('cp', pinned, '/README', work)).code, 0, 'a link by its own name');
  t.ok(fs.lstatSync(join(work, 'README')).isFile());
  const into = join(work, 'into');
  fs.mkdirSync(into);
  t.equal((await run('cp', '-r', pinned, '/bin/..', into)).code, 0);
  t.ok(fs.existsSync(join(into, 'bin', 'analyse')), 'the root has no level of its own');
});

void t.test('what a repository is, and why to trust it', async (t) => {
  const { run, bare, work } = place(t);
  const tags = await run('tags', repository);
  t.match(tags.stdout, /^2015-legacy +4 +2015-09-21T09:00:00Z +04d77435a9acf1db/m);
  const offline = await run('tags', '--offline', repository);
  t.equal(offline.stdout, tags.stdout);
  t.match(
    offline.stderr,
    /^pinfs: warning: offline: .*--offline was given\n {2}this is the last revision verified here/,
  );
  const info = json(await run('info', '--json', pinned));
  t.match(info, {
    name: fqrn,
    tag: '2015-legacy',
    revision: 4,
    rootHash: '04d77435a9acf1db47359c15995c764190683149',
    published: '2015-09-21T09:00:00Z',
    certificateFingerprint: /^44:04:D9/,
    trust: { status: 'verified', tag: '2015-legacy' },
    error: null,
  });
  t.match((await run('info', repository)).stdout, /verified/);

  const noKey = await bare('tags', '--cache', join(work, 'a'), repository);
  t.equal(noKey.code, 3);
  t.match(noKey.stdout, /2015-legacy/, 'what can be read is shown');
  t.match(noKey.stderr, /NO_KEY.*--key/s);
  const hash = '04d77435a9acf1db47359c15995c764190683149';
  const byHash = await bare('info', '--json', '--cache', join(work, 'b'), `${repository}@${hash}`);
  t.equal(byHash.code, 0);
  t.match(json(byHash), { trust: { status: 'pinned' } });
});

void t.test('errors for people and for programs', async (t) => {
  const { run, bare, start } = place(t);
  t.match(await run('ls', `${repository}@1999-01-01`), { code: 5, stderr: /DATE_TOO_EARLY/ });
  const forPrograms = await run('ls', '--json', `${repository}@none`);
  t.equal(forPrograms.code, 5);
  t.match(json(forPrograms), { error: { code: 'TAG_UNKNOWN', exit: 5 } });
  t.match(await run('ls', `${repository}@`), { code: 2 });
  t.match(await run('ls', 'http://127.0.0.1:1/x.example.org'), { code: 4 });
  const secret = await run('ls', 'http://somebody:hunter2@127.0.0.1:1/x.example.org');
  t.equal(secret.code, 4);
  t.notMatch(secret.stderr + secret.stdout, /hunter2/, 'credentials are not shown');
  t.match(await start('frobnicate'), { code: 2 });
  t.match(await bare('ls'), { code: 2 });
  t.match(await bare('ls', '--cache-limit', 'much', repository), { code: 2, stderr: /USAGE/ });
  t.match(await bare('serve', '--port', '70000', fixtures), { code: 2 });
  t.notMatch((await bare('cache', 'size', '--cache', '/nowhere/a\u001bb')).stdout, /\u001b/);
});

void t.test('check finds what is missing or damaged', async (t) => {
  const { run, work } = place(t);
  const good = await run('check', '--json', repository);
  t.equal(good.code, 0);
  t.match(json(good), { problems: [] });
  const copy = join(work, fqrn);
  fs.cpSync(repository, copy, { recursive: true });
  const object = (path: string) => {
    const { hash = '' } = json(results[path] ?? good) as { hash?: string };
    return join(copy, 'data', hash.slice(0, 2), hash.slice(2));
  };
  const results: Record<string, CliResult> = {};
  for (const path of ['/LICENSE', '/README.md']) {
    results[path] = await run('stat', '--json', repository, path);
  }
  fs.rmSync(object('/LICENSE'));
  fs.writeFileSync(object('/README.md'), 'something else');
  const cache = ['--cache', join(work, 'other')];
  const bad = await run('check', ...cache, copy);
  t.equal(bad.code, 5);
  t.match(bad.stdout, /^\/LICENSE: .*\[OBJECT_MISSING\]$/m);
  t.match(bad.stdout, /^\/README\.md: .*\[OBJECT_HASH_MISMATCH\]$/m);
  t.match(bad.stdout, /2 missing or damaged/);
  t.equal((await run('check', ...cache, '--catalogs', copy)).code, 0);
  t.equal((await run('check', ...cache, copy, '/bin')).code, 0, 'only what is below');
  t.match(await run('cp', ...cache, '-r', copy, '/', join(work, 'partial')), {
    code: 5,
    stderr: /not copied: \/LICENSE/,
  });
});

void t.test('attesting a snapshot', async (t) => {
  const { bare, work } = place(t);
  const at = (name: string): string => join(work, name);
  t.equal((await bare('key', 'generate', '-o', at('key'))).code, 0);
  t.equal(fs.statSync(at('key')).mode & 0o777, 0o600);
  t.not((await bare('key', 'generate', '-o', at('key'))).code, 0, 'nothing is overwritten');
  const cache = ['--cache', at('cache')];
  const made = await bare(
    ...[
      'attest',
      ...cache,
      '--key',
      fixtureKey,
      '--signing-key',
      at('key'),
      '-o',
      at('note'),
      pinned,
    ],
  );
  t.equal(made.code, 0, made.stderr);
  const envelope = JSON.parse(fs.readFileSync(at('note'), 'utf8')) as Record<string, unknown>;
  t.match(envelope, { payloadType: 'application/vnd.in-toto+json', signatures: [{}] });
  const elsewhere = ['--cache', at('elsewhere'), '--attestation', at('note')];
  const signed = await bare('info', '--json', ...elsewhere, '--signer', at('key.pub'), repository);
  t.equal(signed.code, 0, signed.stderr);
  t.match(json(signed), { tag: '2015-legacy', trust: { status: 'attested' } });
  await bare('key', 'generate', '-o', at('stranger'));
  const stranger = ['--signer', at('stranger.pub')];
  t.match(await bare('ls', ...elsewhere, ...stranger, repository), {
    code: 3,
    stderr: /ATTESTATION_SIGNATURE/,
  });
});

void t.test('looking after the cache', async (t) => {
  const { run, bare, work } = place(t);
  const cache = ['--cache', join(work, 'cache')];
  await run('cat', pinned, '/README.md');
  const size = json(await bare('cache', 'size', '--json', ...cache)) as { objects: number };
  t.ok(size.objects >= 3);
  const objects = join(work, 'cache', 'objects');
  const [folder = ''] = fs.readdirSync(objects).filter((name) => name.length === 2);
  const [name = ''] = fs.readdirSync(join(objects, folder));
  fs.chmodSync(join(objects, folder, name), 0o600);
  fs.writeFileSync(join(objects, folder, name), 'rotten');
  const verified = await bare('cache', 'verify', '--json', ...cache);
  t.equal((json(verified) as { damaged: string[] }).damaged.length, 1);
  t.equal((await run('cat', pinned, '/README.md')).code, 0, 'it is fetched again');
  t.equal((await bare('cache', 'clear', ...cache)).code, 0);
  t.match(json(await bare('cache', 'size', '--json', ...cache)), { objects: 0 });
  t.equal((await bare('forget', ...cache, fqrn)).code, 0);
  const offline = await run('ls', '--offline', pinned);
  t.equal(offline.code, 4, 'nothing is known any more');
});

void t.test('names and texts of a stranger do not reach the terminal as they are', async (t) => {
  const { bare, work } = place(t);
  const nasty = makeSmallRepository({
    '\x1b[31mred\x1b]0;title\x07': file('x'),
    'two\nlines': file('x'),
    [fromText('dé')]: directory({ '\xff\xfe': file('x', { xattrs: { 'user.\x1b': '\x1b[2J' } }) }),
    link: symlink('\x1b[2Jclear'),
  });
  const server = await startBadServer(nasty.files, nasty.fqrn);
  t.teardown(() => server.close());
  const key = join(work, 'nasty.pub');
  fs.writeFileSync(key, nasty.masterKey);
  const options = ['--key', key, '--cache', join(work, 'cache')];
  const runs = await Promise.all([
    bare('ls', ...options, server.url),
    bare('ls', '-lR', ...options, server.url),
    bare('find', ...options, server.url),
    bare('find', '--ls', ...options, server.url),
    bare('find', '--json', ...options, server.url),
    bare('stat', ...options, server.url, '/link'),
    bare('cat', ...options, server.url, '/\x1b[31mnothing'),
    bare('ls', ...options, `${server.url}@\x1b[31mtag`),
  ]);
  for (const { stdout, stderr } of runs) {
    t.notMatch(stdout + stderr, /[\x00-\x09\x0b-\x1f\x7f]/);
  }
  t.equal(runs[0].stdout.trim().split('\n').length, 4, 'one line for each name');
  t.match(runs[2].stdout, 'dé', 'letters stay letters');
});

void t.test('help is there, and light', async (t) => {
  const { bare, start, work } = place(t);
  const help = await start('--help');
  t.equal(help.code, 0);
  t.match(help.stdout, /Exit codes: 0 done/);
  const names = [...help.stdout.matchAll(/^ {2}([a-z]+)[ |]/gm)].map(([, name = '']) => name);
  for (const name of ['mount', 'umount', 'ls', 'check', 'doctor', 'bench', 'attest', 'forget']) {
    t.ok(names.includes(name), name);
  }
  const helps = await Promise.all(
    names.filter((name) => name !== 'help').map((name) => bare(name, '--help')),
  );
  for (const [index, one] of helps.entries()) {
    t.equal(one.code, 0);
    t.match(one.stdout, /--json|Commands:/, names[index] ?? '');
  }
  const { version } = JSON.parse(fs.readFileSync(join(checkout, 'package.json'), 'utf8')) as {
    version: string;
  };
  t.equal((await start('--version')).stdout.trim(), version);
  const hook = join(work, 'hook.cjs');
  fs.writeFileSync(
    hook,
    `process.on('exit', () => console.log('LOADED ' + Object.keys(require.cache).join(' ')));`,
  );
  const { stdout } = await new Promise<{ stdout: string }>((resolve) => {
    // What is bundled is not in the cache of modules.
    const args = ['-r', hook, compiledProgram, '--help'];
    execFile(process.execPath, args, (_, stdout) => resolve({ stdout }));
  });
  const loaded = stdout.slice(stdout.indexOf('LOADED'));
  t.match(loaded, /commander/);
  t.notMatch(loaded, /better-sqlite3|fuse-native|koffi|undici|pino|lru-cache/);
});

void t.test('a reader that leaves early is no error', async (t) => {
  const { work } = place(t);
  const command = `"$0" "$1" find --key "$2" --cache "$3" "$4" 2>"$3.err" | head -n 1`;
  const args = ['-c', command, process.execPath, script, fixtureKey, join(work, 'c'), pinned];
  const { stdout } = await new Promise<{ stdout: string }>((resolve) => {
    execFile('sh', args, (_, stdout) => resolve({ stdout }));
  });
  t.equal(stdout, '/\n');
  t.equal(fs.readFileSync(join(work, 'c.err'), 'utf8'), '');
});
