import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { expiredWhitelist } from '../lib/testing/bench.js';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import { file, makeRepository, type MadeRevision } from '../lib/publish/write-repository.js';
import { pinfs, type CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// What was verified before, in place of what the source has now: it never looks like success.

const made = makeRepository({
  revisions: [
    { tree: { file: file('one') }, tags: { v1: 'the first' } },
    { tree: { file: file('two') }, tags: { v2: 'the second' } },
  ],
});
const [first] = made.revisions as [MadeRevision];

interface Scene {
  readonly work: string;
  readonly server: BadServer;
  readonly files: Map<string, Buffer>;
  /** Runs a command line within this process. */
  readonly run: (...args: string[]) => Promise<CliResult>;
  /** Runs it as a shell does. */
  readonly start: (...args: string[]) => Promise<CliResult>;
}

async function scene(t: Test): Promise<Scene> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-offline-'));
  const files = new Map(made.files);
  const server = await startBadServer(files, made.fqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  const env = { HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  return {
    work,
    server,
    files,
    run: (...args) => pinfsInProcess(args, env),
    start: (...args) => pinfs(args, env),
  };
}

/** What a source can become, and the words that call it that. */
const faults: readonly (readonly [name: string, words: RegExp, spoil: (scene: Scene) => void])[] = [
  [
    'nobody listens',
    /not reachable: .*the server closed the connection/,
    ({ server }) => server.behave(() => true, 'reset'),
  ],
  [
    'expired',
    /the whitelist expired at 2020-02-01/,
    ({ files }) => files.set('.cvmfswhitelist', expiredWhitelist(made.fqrn)),
  ],
  [
    'rolled back and expired',
    /the whitelist expired at .*; and the source was rolled back/,
    ({ files }) => {
      files.set('.cvmfswhitelist', expiredWhitelist(made.fqrn));
      files.set('.cvmfspublished', first.manifest);
    },
  ],
];

void t.test('a warning calls it what it is, and with --strict nothing is done', async (t) => {
  const here = await scene(t);
  const { work, server, files, run, start } = here;
  const args = ['ls', '--key', join(work, 'key.pub'), server.url];
  const good = await run(...args, '--strict');
  t.same([good.code, good.stderr], [0, '']);
  for (const [name, words, spoil] of faults) {
    spoil(here);
    const strict = await start(...args, '--strict');
    t.same([strict.code, strict.stdout], [7, ''], name);
    t.match(strict.stderr, words, name);
    t.match(strict.stderr, /^pinfs: offline: .* \[OFFLINE\]\n.*--strict/, name);
    const { code, stdout, stderr } = await run(...args);
    t.same([code, stdout], [0, 'file\n'], name);
    t.match(stderr, /^pinfs: warning: offline: /, name);
    t.match(stderr, words, name);
    t.match(stderr, /\n {2}this is the last revision verified here, 2/, name);
    server.reset();
    for (const [path, bytes] of made.files) files.set(path, bytes);
  }
});

void t.test('every command that opens a source warns, and heeds --strict', async (t) => {
  const { work, server, files, run } = await scene(t);
  const signer = join(work, 'me.key');
  await run('key', 'generate', '-o', signer);
  const key = ['--key', join(work, 'key.pub')];
  const commands: string[][] = [
    ['cat', ...key, `${server.url}@v2`, '/file'],
    ['info', ...key, server.url],
    ['tags', ...key, server.url],
    [
      'attest',
      ...['--key', join(work, 'key.pub'), '--signing-key', signer, '-o', join(work, 'it')],
      server.url,
    ],
  ];
  t.equal((await run('check', ...key, '--strict', server.url)).code, 0);
  files.set('.cvmfspublished', first.manifest);
  for (const args of commands) {
    const [name = ''] = args;
    // Its output is the file's: it has no JSON.
    const json = name === 'cat' ? [] : ['--json'];
    const strict = await run(...args, '--strict', ...json);
    t.equal(strict.code, 7, name);
    if (name === 'cat') t.match(strict, { stdout: '', stderr: /\[OFFLINE\]/ });
    else t.match(JSON.parse(strict.stdout), { error: { code: 'OFFLINE', exit: 7 } }, name);
    t.notOk(existsSync(join(work, 'it')), name);
    const { code, stdout, stderr } = await run(...args);
    t.equal(code, 0, name);
    t.not(stdout, '', name);
    t.match(stderr, /^pinfs: warning: offline: the source was rolled back/, name);
    t.equal(stderr.match(/warning/g)?.length, 1, name);
  }
});

void t.test('a tag that only a server that was rolled back can name is not strict', async (t) => {
  const { work, server, files, run } = await scene(t);
  const args = ['--key', join(work, 'key.pub'), `${server.url}@v1`];
  t.equal((await run('ls', '--key', join(work, 'key.pub'), server.url)).code, 0);
  files.set('.cvmfspublished', first.manifest);
  // The history that was verified here is the newer one.
  const older = /^H(.*)$/m.exec(first.manifest.toString('latin1'))?.[1] ?? '';
  server.behave(
    (path) => path.endsWith('H') && !path.replaceAll('/', '').includes(older),
    'missing',
  );
  t.equal((await run('ls', ...args, '--strict')).code, 7);
  const { code, stderr } = await run('ls', ...args);
  t.equal(code, 0);
  t.match(
    stderr,
    /^pinfs: warning: offline: the source was rolled back/,
    'what is not strict warns',
  );
});

void t.test('what is not reachable is no matter of trust, and told once', async (t) => {
  const { work, server, run } = await scene(t);
  const key = ['--key', join(work, 'key.pub')];
  const hash = made.head.rootHash.text;
  const sources = ['', `@${hash}`].map((pin) => server.url + pin);
  sources.push('http://no.such.host.invalid/cvmfs/sw.example.org');
  server.behave(() => true, 'reset');
  for (const [index, source] of sources.entries()) {
    const args = index % 2 === 0 ? [...key, source] : [source];
    const { code, stdout, stderr } = await run('info', ...args);
    t.same([code, stdout], [4, ''], args.join(' '));
    t.equal(stderr.match(/\[SOURCE_UNREACHABLE\]/g)?.length, 1, stderr);
    t.equal(stderr.match(/http:/g)?.length, 1, stderr);
    t.notMatch(stderr, /refused|trust/);
  }
  server.reset();
  server.behave('.cvmfswhitelist', 'reset');
  const { code, stdout } = await run('info', '--verbose', ...key, server.url);
  t.equal(code, 4);
  t.match(stdout, /^trust: +unjudged: .*whitelist/m, 'what came is shown');
  t.match(stdout, /ok {3}manifest-syntax/);
  t.notMatch(stdout, /refused|FAIL|reason/);
  server.reset();
  const asked = server.requests.length;
  await run('info', ...key, server.url);
  const again = server.requests.slice(asked).filter(({ path }) => path.includes('.cvmfs'));
  t.equal(again.length, 2, 'manifest and whitelist are asked for once');
});
