import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fixtureKey, fixtures, type CliResult } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';

// Each call of the file system on a file that a command was given, or on the one that it makes of it, fails in turn: the
// message says what happened to what, and what to do, and never shows a bare errno or words of Node.

/** Those that commands call with a path in front; one by a descriptor fails with the same words. */
const calls = [
  'openSync',
  'readFileSync',
  'writeFileSync',
  'mkdirSync',
  'renameSync',
  'symlinkSync',
  'statSync',
  'lstatSync',
  'readdirSync',
  'realpathSync',
] as const;
type Call = (typeof calls)[number];

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
): Promise<CliResult> {
  const before = calls.map((call) => [call, fs[call]] as const);
  let count = 0;
  for (const [call, original] of before) {
    const replaced = (...given: unknown[]): unknown => {
      const path = String(given[0]);
      const code = path.startsWith(place) ? fails({ call, path }, count++) : undefined;
      if (code === undefined) return Reflect.apply(original, fs, given);
      const text = `${code}: ${words[code] ?? ''}, ${call} '${path}'`;
      throw Object.assign(new Error(text), { code, syscall: call, path });
    };
    Object.assign(replaced, original);
    Object.defineProperty(fs, call, { value: replaced, configurable: true, writable: true });
  }
  syncBuiltinESMExports();
  try {
    return await pinfsInProcess(args, { HOME: join(place, 'home') });
  } finally {
    for (const [call, original] of before) {
      Object.defineProperty(fs, call, { value: original, configurable: true, writable: true });
    }
    syncBuiltinESMExports();
  }
}

const source = `${join(fixtures, 'analysis.example.org')}@2015-legacy`;

void t.test('each call fails in turn, through every command that is given files', async (t) => {
  const work = t.testdir({ given: {}, home: {} });
  const cache = ['--cache', join(work, 'cache')];
  const opening = ['--key', fixtureKey, ...cache];
  const given = join(work, 'given');
  const at = (name: string): string => join(given, name);
  await pinfsInProcess(['key', 'generate', '-o', at('key')]);
  fs.copyFileSync(fixtureKey, at('master.pub'));
  const attest = ['attest', ...opening, '--signing-key', at('key'), '-o', at('pin'), source];
  // By which files of `given` it takes, and which it makes: those are taken away before each run.
  const commands: Readonly<Record<string, readonly [args: readonly string[], makes: string[]]>> = {
    'key generate': [
      ['key', 'generate', '-o', at('new')],
      ['new', 'new.pub'],
    ],
    attest: [attest, ['pin']],
    'info --key': [['info', '--key', at('master.pub'), ...cache, source], []],
    'cp -r': [['cp', '-r', ...opening, source, '/software', at('copy')], ['copy']],
    'bench-diff': [['bench-diff', at('master.pub'), at('master.pub')], []],
    'trace info': [['trace', 'info', at('master.pub')], []],
    'profile show': [['profile', 'show', at('master.pub')], []],
    setup: [['setup', '--root', at('root')], ['root']],
    serve: [['serve', at('nothing')], []],
  };
  for (const [name, [args, makes]] of Object.entries(commands)) {
    const clean = (): void => {
      for (const made of makes) fs.rmSync(at(made), { recursive: true, force: true });
    };
    clean();
    const seen: Seen[] = [];
    await watched(given, args, (one) => void seen.push(one));
    // A tree has the same call for each of its files.
    const kinds = seen.flatMap(({ call }, index) =>
      seen.findIndex((one) => one.call === call) >= index - 2 ? [index] : [],
    );
    for (const index of kinds) {
      for (const code of Object.keys(words)) {
        clean();
        const result = await watched(given, args, (_, count) =>
          count === index ? code : undefined,
        );
        const { call, path } = seen[index] ?? { call: 'openSync', path: '' };
        check(t, `${name}: ${call} ${path.slice(given.length)} ${code}`, result);
      }
    }
  }
});

function check(t: Test, what: string, { code, stderr }: CliResult): void {
  // What it can do without is not told.
  if (code === 0) return;
  t.notMatch(stderr, /\[INTERNAL\]/, what);
  t.notMatch(stderr, /E[A-Z]+: [a-z ]+, \w+ '/, `${what}: no words of Node`);
  t.notMatch(stderr, /: E[A-Z]+( \[|$)/m, `${what}: no bare errno`);
  t.match(stderr, /\[[A-Z_]+\]\n {2}\S|not copied: /, `${what}: what to do`);
}
