import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer, type BadServer } from '../lib/testing/servers/bad-server.js';
import { directory, file, makeRepository, symlink } from '../lib/publish/write-repository.js';
import { fixtureKey, fixtures, pinfs, script, type CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// What a stranger meets who does something wrong, or something odd: outcomes, JSON, exit codes.

const analysis = join(fixtures, 'analysis.example.org');

const made = makeRepository({
  revisions: [
    {
      tree: {
        'plain.txt': file('plain'),
        'caf\xe9': file('not UTF-8'),
        'caf\xea': file('neither'),
        directory: directory({ 'gone.txt': file('will be missing') }),
        loop: symlink('loop'),
        out: symlink('/etc/passwd'),
      },
      tags: { v1: 'first' },
    },
    {
      tree: Object.fromEntries(
        Array.from({ length: 3000 }, (_, n) => [`file-${n}-${'x'.repeat(60)}`, file('same')]),
      ),
    },
  ],
});

interface Scene {
  readonly work: string;
  readonly server: BadServer;
  /** Runs a command line within this process. */
  readonly run: (...args: string[]) => Promise<CliResult>;
  /** Runs it as a shell does. */
  readonly start: (...args: string[]) => Promise<CliResult>;
}

async function scene(t: Test): Promise<Scene> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-cli-'));
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  const env = { HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' };
  return {
    work,
    server,
    run: (...args) => pinfsInProcess(args, env),
    start: (...args) => pinfs(args, env),
  };
}

interface Printed {
  readonly error?: { readonly code: string; readonly message: string; readonly exit: number };
}

/** The whole of standard output is one JSON value. */
function printed(result: CliResult): Printed {
  return JSON.parse(result.stdout) as Printed;
}

/** Runs jobs two at a time: more would only wait for each other. */
async function each<T>(jobs: readonly T[], work: (job: T) => Promise<void>): Promise<void> {
  const queue = [...jobs];
  const worker = async (): Promise<void> => {
    for (let job = queue.shift(); job !== undefined; job = queue.shift()) await work(job);
  };
  await Promise.all([worker(), worker()]);
}

void t.test('wrong usage is told to people and to programs, exit 2', async (t) => {
  const { run, start } = await scene(t);
  const wrong: [args: string[], message: RegExp][] = [
    [[], /no command|unknown option/],
    [['frobnicate'], /unknown command 'frobnicate'/],
    [['ls'], /missing required argument/],
    [['ls', '--frobnicate', analysis], /unknown option/],
    [['cache'], /no command|unknown option/],
    [['key', 'generate'], /--output/],
    [['find', '--type', 'x', analysis], /--type/],
    [['bench', '--driver', 'none', analysis], /--driver/],
    [['bench', '--repeats', '0', analysis], /'0'/],
    [['ls', '--signer', 'me.pub', analysis], /--attestation|none is given/],
    [['ls', '--trust-at', 'yesterday', analysis], /'yesterday'/],
    [['ls', '--fqrn', '../etc', analysis], /can't be the name/],
    [['forget', '../..'], /not the name/],
    [['mount', '--trace', 't', '--driver', 'fuse-native', analysis, '/'], /no trace/],
    [[analysis, '/mnt', '-o', 'ro,frobnicate'], /frobnicate/],
    [['ls', '--cache', '', analysis], /--cache is empty/],
    [['cache', 'clear', '--cache='], /--cache is empty/],
    [['ls', '--key', fixtureKey, '--key', '', analysis], /--key is empty/],
    [['mount', '--log', '', analysis, '/mnt'], /--log is empty/],
    [['attest', '--key', 'k', '-o', '', analysis], /--output is empty/],
    [[analysis, '/mnt', '-o', 'ro,cache='], /--cache is empty/],
    [['cp', analysis, '/README.md', ''], /dest is empty/],
    [['mount', analysis, ''], /mountpoint is empty/],
    [['ls', ''], /source\[@pin\] is empty/],
  ];
  await each(wrong, async ([args, message]) => {
    const json = await run(...args, '--json');
    t.match(json, { code: 2, stderr: /^(Usage:.*)?$/s }, args.join(' '));
    t.match(printed(json), { error: { code: 'USAGE', message, exit: 2 } }, args.join(' '));
  });
  const told = await start('ls', '--frobnicate', analysis);
  t.match(
    told.stderr,
    /^pinfs: unknown option '--frobnicate' \[USAGE\]\n {2}See: pinfs ls --help\n$/,
  );
  t.equal(told.stdout, '');
});

void t.test('each exit code, and the code of the error behind it', async (t) => {
  const { run, start, server, work } = await scene(t);
  const key = ['--key', join(work, 'key.pub')];
  const cache = ['--cache', join(work, 'cache')];
  const source = `${server.url}@v1`;
  t.equal((await start('ls', ...key, ...cache, source)).code, 0);
  const cases: [exit: number, code: string, args: string[]][] = [
    [1, 'NOT_FOUND', ['stat', ...key, ...cache, source, '/nothing']],
    [1, 'IS_DIRECTORY', ['cat', ...key, ...cache, source, '/directory']],
    [1, 'NOT_DIRECTORY', ['ls', ...key, ...cache, source, '/plain.txt/below']],
    [1, 'LINK_LOOP', ['cat', ...key, ...cache, source, '/loop']],
    [1, 'NOT_FOUND', ['cat', ...key, ...cache, source, '/out']],
    [2, 'PIN_MALFORMED', ['ls', ...key, ...cache, `${server.url}@`]],
    [2, 'KEY_MALFORMED', ['ls', '--key', join(work, 'none.pub'), ...cache, source]],
    [2, 'USAGE', ['cp', ...key, ...cache, source, '/directory', join(work, 'd')]],
    [3, 'NO_KEY', ['ls', ...cache, source]],
    [3, 'WHITELIST_SIGNATURE', ['ls', '--key', fixtureKey, ...cache, source]],
    [4, 'SOURCE_UNREACHABLE', ['ls', join(work, 'none')]],
    [4, 'SOURCE_OFFLINE', ['ls', ...key, '--cache', join(work, 'c2'), '--offline', source]],
    [5, 'TAG_UNKNOWN', ['ls', ...key, ...cache, `${server.url}@v9`]],
    [5, 'DATE_TOO_EARLY', ['ls', ...key, ...cache, `${server.url}@1999-12-31`]],
    [5, 'OBJECT_MISSING', ['ls', ...cache, `${server.url}@${'0'.repeat(40)}`]],
    [6, 'MOUNTPOINT_UNUSABLE', ['mount', ...key, ...cache, source, join(work, 'none')]],
  ];
  const exits = cases.map(([exit]) => exit);
  await each([...cases.entries()], async ([index, [exit, code, args]]) => {
    const isFirst = exits.indexOf(exit) === index;
    // Content goes out as it is, and so do errors.
    const isContent = args[0] === 'cat';
    const result = await (isFirst ? start : run)(...args, ...(isContent ? [] : ['--json']));
    t.equal(result.code, exit, args.join(' '));
    if (isContent) t.match(result.stderr, `[${code}]`, args.join(' '));
    else t.match(printed(result), { error: { code, exit } }, args.join(' '));
  });
});

void t.test('what is printed for programs keeps its shape', async (t) => {
  const { run, server, work } = await scene(t);
  const options = ['--json', '--key', join(work, 'key.pub'), '--cache', join(work, 'cache')];
  const source = `${server.url}@v1`;
  const file = { path: '/plain.txt', type: 'file', mode: '0644', size: 5, nlink: 1, hash: String };
  const shapes: [args: string[], shape: unknown][] = [
    [['stat', ...options, source, '/plain.txt'], { ...file, inode: /^[0-9]+$/, mtime: Number }],
    [['ls', ...options, source, '/plain.txt'], [file]],
    [['find', ...options, source, '/plain.txt'], file],
    [
      ['info', ...options, source],
      {
        name: made.fqrn,
        tag: 'v1',
        revision: 1,
        rootHash: made.revisions[0]?.rootHash.text,
        ttlSeconds: 240,
        certificateFingerprint: /^([0-9A-F]{2}:){19}[0-9A-F]{2}$/,
        whitelistCreated: /Z$/,
        whitelistExpires: /Z$/,
        trust: { status: 'verified', steps: [{ step: 'manifest-syntax', outcome: 'passed' }] },
        error: null,
      },
    ],
    [
      ['tags', ...options, server.url],
      { tags: [{ name: 'trunk', revision: 2, hash: String }, {}, {}], trust: {}, error: null },
    ],
    [
      ['check', ...options, source],
      { catalogs: 1, objects: 4, bytes: Number, problems: [], trust: { status: 'verified' } },
    ],
    [
      ['cp', ...options, '-r', source, '/directory', join(work, 'copied')],
      { entries: 2, bytes: 15, skipped: [] },
    ],
    [['stat', ...options, source, '/nothing'], { error: { code: 'NOT_FOUND', exit: 1 } }],
    [['cache', 'size', '--json', '--cache', join(work, 'none')], { objects: 0, bytes: 0 }],
    [['cache', 'verify', '--json', '--cache', join(work, 'none')], { objects: 0, damaged: [] }],
    [['cache', 'clear', '--json', '--cache', join(work, 'none')], { objects: 0, bytes: 0 }],
    [['forget', '--json', '--cache', join(work, 'none'), 'x.org'], { forgotten: false }],
    [['key', 'generate', '--json', '-o', join(work, 'k')], { secret: String, public: /k.pub$/ }],
    [['status', '--json'], { mounts: Array }],
    [['umount', '--json', work], { error: { code: 'NOT_MOUNTED', exit: 1 } }],
    [['doctor', '--json'], { canMount: Boolean, findings: [{ what: 'mounting', state: String }] }],
  ];
  await each(shapes, async ([args, shape]) => {
    const result = await run(...args);
    t.match(printed(result), shape, args.join(' '));
    t.equal(result.stderr, '', args.join(' '));
  });
});

void t.test('find prints one value on each line, and so its error', async (t) => {
  const { run, server, work } = await scene(t);
  const options = ['--json', '--key', join(work, 'key.pub'), `${server.url}@v1`];
  const lines = (await run('find', ...options)).stdout.trimEnd().split('\n');
  t.equal(lines.length, 8);
  for (const line of lines) t.match(JSON.parse(line), { type: String, mode: String });
  const failed = await run('find', ...options, '/nothing');
  t.match(JSON.parse(failed.stdout), { error: { code: 'NOT_FOUND' } });
  t.equal(failed.stdout.trimEnd().split('\n').length, 1);
});

void t.test('a chain is shown as far as it goes, though its root catalog is missing', async (t) => {
  const { run, server, work } = await scene(t);
  const key = ['--key', join(work, 'key.pub')];
  const info = async (pin: string, cache: string): Promise<unknown> => {
    const result = await run('info', '--json', ...key, '--cache', join(work, cache), pin);
    t.equal(result.code, 5, pin);
    return printed(result);
  };
  server.behave(/C$/, 'missing');
  t.match(await info(server.url, 'a'), {
    revision: 2,
    rootHash: made.head.rootHash.text,
    certificateFingerprint: String,
    trust: { status: 'verified', summary: /root catalog can't be had/, key: { name: String } },
    error: { code: 'OBJECT_MISSING', advice: /another server/ },
  });
  t.match(await info(`${server.url}@v1`, 'b'), {
    tag: null,
    revision: 1,
    rootHash: made.revisions[0]?.rootHash.text,
    trust: { status: 'verified', tag: 'v1' },
    error: { code: 'OBJECT_MISSING' },
  });
  server.behave(/C$/, 'bit-flipped');
  t.match(await info(server.url, 'c'), {
    trust: { status: 'refused', reasons: [{ code: /OBJECT_/ }] },
    error: { code: /OBJECT_/ },
  });
});

void t.test('names that are not UTF-8 can be asked for', async (t) => {
  const { run, server, work } = await scene(t);
  t.equal((await run('ls', '--key', join(work, 'key.pub'), `${server.url}@v1`)).code, 0);
  const command = `"$0" "$1" "$3" --key "$2/key.pub" "$4" "$(printf '/caf\\351')" "$(printf '/caf\\352')"`;
  const args = [script, work, 'cat', `${server.url}@v1`];
  const env = { ...process.env, HOME: work, XDG_CACHE_HOME: '', XDG_STATE_HOME: '' };
  const stdout = await new Promise((resolve) => {
    execFile('sh', ['-c', command, process.execPath, ...args], { env }, (_, text) => {
      resolve(text);
    });
  });
  t.equal(stdout, 'not UTF-8neither');
});

/** Runs pinfs and closes its standard output after the first bytes. */
async function readLittle(args: readonly string[], env: NodeJS.ProcessEnv): Promise<CliResult> {
  const child = spawn(process.execPath, [script, ...args], {
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
  const closed = once(child, 'close');
  const [first] = (await once(child.stdout, 'data')) as [Buffer];
  child.stdout.destroy();
  return { code: Number((await closed)[0]), stdout: first.toString(), stderr };
}

void t.test('a reader that leaves early is not told about, and ends the work', async (t) => {
  const { run, server, work } = await scene(t);
  const options = ['--key', join(work, 'key.pub'), '--cache', join(work, 'cache')];
  t.equal((await run('ls', ...options, server.url)).code, 0);
  const env = { ...process.env, HOME: work };
  for (const command of [['find'], ['find', '--json'], ['ls', '-l']]) {
    const result = await readLittle([...command, ...options, server.url], env);
    t.match(result, { code: 1, stderr: /^$/ }, command.join(' '));
    t.not(result.stdout, '');
  }
});

void t.test(
  'a full disk behind the output is told',
  { skip: process.platform !== 'linux' },
  async (t) => {
    const { run, server, work } = await scene(t);
    const options = ['--key', join(work, 'key.pub'), '--cache', join(work, 'cache')];
    t.equal((await run('ls', ...options, `${server.url}@v1`)).code, 0);
    for (const command of [['ls', ...options, server.url], ['--help']]) {
      const full = openSync('/dev/full', 'w');
      const child = spawn(process.execPath, [script, ...command], {
        stdio: ['ignore', full, 'pipe'],
      });
      closeSync(full);
      let stderr = '';
      child.stderr?.on('data', (piece: Buffer) => (stderr += piece.toString()));
      const [code] = (await once(child, 'close')) as [number];
      t.equal(code, 1, command[0] ?? '');
      t.match(stderr, /^pinfs: can't write the output: .* \[OUTPUT_FAILED\]\n$/);
    }
  },
);

void t.test('ls -l keeps its columns whatever the owners, -h has units', async (t) => {
  const { work } = await scene(t);
  const wide = makeRepository({
    revisions: [
      { tree: { a: file('x'.repeat(2048), { uid: 4294967294 }), b: file('y', { gid: 7 }) } },
    ],
  });
  const source = wide.writeTo(join(work, 'wide'));
  writeFileSync(join(work, 'wide.pub'), wide.masterKey);
  const options = ['--key', join(work, 'wide.pub'), '--cache', join(work, 'wide-cache')];
  const long = await pinfsInProcess(['ls', '-lh', ...options, source]);
  const [first = '', second = ''] = long.stdout.split('\n');
  t.match(first, /^-rw-r--r-- +1 4294967294 +\d+ +2\.0 KiB \d{4}-/);
  t.equal(first.indexOf('2020-'), second.indexOf('2020-'), 'aligned');
});
