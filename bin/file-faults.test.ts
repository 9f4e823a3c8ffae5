import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { makeRepository } from '../lib/publish/write-repository.js';
import { testCertificate } from '../lib/publish/keys.js';
import { fixtureKey, fixtures, type CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// Each call of the file system on a file that a command was given, or on the one that it makes of it, fails in turn: the
// message says what happened to what, and what to do, and never shows a bare errno or words of Node.

/** Those that commands call with a path or a descriptor in front. */
const calls = [
  ...([
    'openSync',
    'readFileSync',
    'writeFileSync',
    'mkdirSync',
    'renameSync',
    'symlinkSync',
  ] as const),
  ...(['statSync', 'lstatSync', 'readdirSync', 'realpathSync', 'linkSync', 'unlinkSync'] as const),
  ...(['readSync', 'writeSync', 'fstatSync', 'fsyncSync', 'chmodSync', 'copyFileSync'] as const),
] as const;

/** The same of `fs/promises`, and of what its `open` gives. */
const asyncCalls = [
  ...(['open', 'readFile', 'writeFile', 'mkdir', 'rename', 'stat', 'lstat', 'readdir'] as const),
  ...(['realpath', 'link', 'unlink', 'copyFile', 'access'] as const),
] as const;
const handleCalls = ['read', 'write', 'writeFile', 'sync', 'stat', 'datasync'] as const;

type Call = string;

const words: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  ENOSPC: 'no space left on device',
  EROFS: 'read-only file system',
};

interface Seen {
  readonly call: Call;
  readonly path: string;
}

/** Runs with each call on what lies in `place` watched: `fails` says which is to fail, and how. */
async function watched(
  place: string,
  args: readonly string[],
  fails: (seen: Seen, count: number) => string | undefined,
  env: Readonly<Record<string, string>> = {},
): Promise<CliResult> {
  let count = 0;
  const fault = (call: Call, path: string): Error | undefined => {
    const code = path.startsWith(place) ? fails({ call, path }, count++) : undefined;
    if (code === undefined) return undefined;
    const text = `${code}: ${words[code] ?? ''}, ${call} '${path}'`;
    return Object.assign(new Error(text), { code, syscall: call, path });
  };
  const restore = [...replaceCalls(fault), ...replaceAsyncCalls(fault)];
  syncBuiltinESMExports();
  try {
    return await pinfsInProcess(args, { HOME: join(place, 'home'), ...env });
  } finally {
    for (const one of restore) one();
    syncBuiltinESMExports();
  }
}

type Fault = (call: Call, path: string) => Error | undefined;

/** What a path or a descriptor in front means: of a descriptor its file, as the kernel names it. */
function pathOf(first: unknown): string {
  if (typeof first !== 'number') return String(first);
  try {
    return fs.readlinkSync(`/proc/self/fd/${first}`);
  } catch {
    return '';
  }
}

function replaceCalls(fault: Fault): (() => void)[] {
  return calls.map((call) =>
    replaceMethod(fs, call, (original, self, given) => {
      const error = fault(call, pathOf(given[0]));
      if (error !== undefined) throw error;
      return original.apply(self, given);
    }),
  );
}

function replaceAsyncCalls(fault: Fault): (() => void)[] {
  return asyncCalls.map((call) =>
    replaceMethod(fs.promises, call, async (original, self, given) => {
      const error = fault(`promises.${call}`, String(given[0]));
      if (error !== undefined) throw error;
      const result = await original.apply(self, given);
      if (call === 'open') watchHandle(Object(result) as object, String(given[0]), fault);
      return result;
    }),
  );
}

/** What is asked of an open file fails too; it is closed by who opened it. */
function watchHandle(handle: object, path: string, fault: Fault): void {
  for (const call of handleCalls)
    replaceMethod(handle, call, async (original, self, given) => {
      const error = fault(`handle.${call}`, path);
      if (error !== undefined) throw error;
      return await original.apply(self, given);
    });
}

type Method = (...given: unknown[]) => unknown;

function replaceMethod(
  owner: object,
  name: string,
  instead: (original: Method, self: unknown, given: unknown[]) => unknown,
): () => void {
  const original = Reflect.get(owner, name) as Method;
  const replaced = function (this: unknown, ...given: unknown[]): unknown {
    return instead(original, this, given);
  };
  Object.assign(replaced, original);
  const define = (value: Method): void =>
    void Object.defineProperty(owner, name, { value, configurable: true, writable: true });
  define(replaced);
  return () => define(original);
}

const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;

t.setTimeout(180_000);

void t.test('each call fails in turn, through every command that is given files', async (t) => {
  const work = t.testdir({ given: {}, home: {} });
  const cache = ['--cache', join(work, 'cache')];
  const opening = ['--key', fixtureKey, ...cache];
  const given = join(work, 'given');
  const at = (name: string): string => join(given, name);
  await pinfsInProcess(['key', 'generate', '-o', at('key')]);
  fs.copyFileSync(fixtureKey, at('master.pub'));
  const attest = ['attest', ...opening, '--signing-key', at('key'), '-o', at('pin'), source];
  const commands: Readonly<Record<string, Given>> = {
    'key generate': { args: ['key', 'generate', '-o', at('new')], makes: ['new', 'new.pub'] },
    attest: { args: attest, makes: ['pin'] },
    'info --key': { args: ['info', '--key', at('master.pub'), ...cache, source] },
    'cp -r': { args: ['cp', '-r', ...opening, source, '/software', at('copy')], makes: ['copy'] },
    'bench-diff': { args: ['bench-diff', at('master.pub'), at('master.pub')] },
    'trace info': { args: ['trace', 'info', at('master.pub')] },
    'profile show': { args: ['profile', 'show', at('master.pub')] },
    setup: { args: ['setup', '--root', at('root')], makes: ['root'] },
    'serve, which finds nothing': { args: ['serve', at('nothing')], quiet: true },
  };
  for (const [name, command] of Object.entries(commands))
    await eachFails(t, given, name, command, Object.keys(words));
});

void t.test('and through what keeps, publishes and mounts', async (t) => {
  const work = t.testdir({ given: { tree: { file: 'one', dir: { other: 'two' } } }, home: {} });
  const given = join(work, 'given');
  const at = (name: string): string => join(given, name);
  const cache = ['--cache', at('cache')];
  const fetch = ['fetch', '--key', fixtureKey, ...cache, source];
  t.match(await pinfsInProcess(fetch), { code: 0 });
  const made = makeRepository({ fqrn: 'made.example.org', revisions: [{ tree: {} }] });
  made.writeTo(given);
  fs.writeFileSync(at('signing.key'), testCertificate.privateKey, { mode: 0o600 });
  const storage = ['--storage', at(made.fqrn)];
  const publish = ['publish', made.fqrn, ...storage, '--signing-key', at('signing.key')];
  const keys = ['--signing-key', at('keys/own'), '--master-signing-key', at('keys/master')];
  const commands: Readonly<Record<string, Given>> = {
    'cache list': { args: ['cache', 'list', ...cache] },
    'cache size': { args: ['cache', 'size', '--by', 'snapshot', ...cache] },
    'cache kept': { args: ['cache', 'kept', ...cache] },
    'cache verify': { args: ['cache', 'verify', ...cache] },
    'cache clear': { args: ['cache', 'clear', ...cache] },
    fetch: { args: fetch, makes: ['cache'] },
    'config edit': {
      args: ['config', 'edit'],
      makes: ['config'],
      env: { XDG_CONFIG_HOME: at('config'), VISUAL: 'true' },
    },
    'repo create': {
      args: ['repo', 'create', 'new.example.org', '--storage', at('new'), ...keys],
      // Making keys takes long.
      makes: ['new'],
    },
    publish: { args: [...publish, '--from', at('tree')] },
    mount: { args: ['mount', '--log', at('log'), '--key', at('key.pub'), source, at('nowhere')] },
  };
  for (const [index, [name, command]] of Object.entries(commands).entries()) {
    const code = Object.keys(words)[index % 3] ?? '';
    await eachFails(t, given, name, command, [code]);
  }
});

/** A command line, with the files of `given` that it makes, which are taken away before each run. */
interface Given {
  readonly args: readonly string[];
  readonly makes?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Its calls are those of another process. */
  readonly quiet?: true;
}

async function eachFails(
  t: Test,
  place: string,
  name: string,
  { args, makes = [], env, quiet }: Given,
  codes: readonly string[],
): Promise<void> {
  const clean = (): void => {
    for (const made of makes) fs.rmSync(join(place, made), { recursive: true, force: true });
  };
  clean();
  const seen: Seen[] = [];
  await watched(place, args, (one) => void seen.push(one), env);
  t.equal(seen.length === 0, quiet === true, `calls of ${name} are seen`);
  // A tree has the same call for each of its files.
  const kinds = seen.flatMap(({ call }, index) =>
    seen.findIndex((one) => one.call === call) >= index - 2 ? [index] : [],
  );
  for (const index of kinds) {
    for (const code of codes) {
      clean();
      const fails = (_: Seen, count: number) => (count === index ? code : undefined);
      const result = await watched(place, args, fails, env);
      const { call, path } = seen[index] ?? { call: 'openSync', path: '' };
      check(t, `${name}: ${call} ${path.slice(place.length)} ${code}`, result);
    }
  }
}

function check(t: Test, what: string, { code, stderr }: CliResult): void {
  // What it can do without is not told.
  if (code === 0) return;
  t.notMatch(stderr, /\[INTERNAL\]/, what);
  t.notMatch(stderr, /E[A-Z]+: [a-z ]+, \w+ '/, `${what}: no words of Node`);
  t.notMatch(stderr, /: E[A-Z]+( \[|$)/m, `${what}: no bare errno`);
  t.match(stderr, /\[[A-Z_]+\]\n {2}\S|not copied: /, `${what}: what to do`);
}
