import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { checkout } from '../lib/testing/genuine.js';
import { pinfsInProcess } from '../native-test/in-process.js';

const made = makeRepository({
  fqrn: 'sw.example.org',
  revisions: [
    { tree: { a: file('one') }, tags: { '2010-first': '' } },
    { tree: { a: file('two') }, tags: { '2015-legacy': '', '2015-open': '' } },
  ],
});

/** A user whose settings know `swift` and `sword`, and pinfs on the path, as a shell finds it. */
function user(t: Test): NodeJS.ProcessEnv & { readonly work: string } {
  const work = t.testdir();
  const config = join(work, 'config', 'pinfs');
  mkdirSync(config, { recursive: true });
  made.writeTo(config);
  writeFileSync(join(config, 'sw.pub'), made.masterKey);
  const table = (name: string): string =>
    `[sources.${name}]\nsource = "./sw.example.org"\nkey = "sw.pub"\n`;
  writeFileSync(join(config, 'config.toml'), table('swift') + table('sword'));
  mkdirSync(join(work, 'bin'));
  const program = join(work, 'bin', 'pinfs');
  writeFileSync(
    program,
    `#!/bin/sh\nexec '${process.execPath}' '${join(checkout, 'dist/bin/pinfs.js')}' "$@"\n`,
  );
  chmodSync(program, 0o755);
  mkdirSync(join(work, 'functions'));
  symlinkSync(join(checkout, 'share/completions/_pinfs'), join(work, 'functions', '_pinfs'));
  return {
    ...process.env,
    work,
    PATH: `${join(work, 'bin')}:${process.env['PATH'] ?? ''}`,
    HOME: work,
    TERM: 'dumb',
    XDG_CONFIG_HOME: join(work, 'config'),
    XDG_CACHE_HOME: join(work, 'cache'),
    XDG_STATE_HOME: join(work, 'state'),
    XDG_DATA_HOME: join(work, 'data'),
  };
}

void t.test('what a line may become comes from what this machine has', async (t) => {
  const { XDG_CONFIG_HOME = '', XDG_CACHE_HOME = '', XDG_STATE_HOME = '' } = user(t);
  const variables = { XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_STATE_HOME };
  const words = async (line: string): Promise<string[]> => {
    const { stdout, stderr } = await pinfsInProcess(
      ['completion', 'bash', '--line', line],
      variables,
    );
    t.equal(stderr, '', line);
    return stdout.split('\n').filter(Boolean);
  };
  t.same(await words('pinfs ls swift@'), [], 'nothing is known of it yet, and nobody is asked');
  t.match(await pinfsInProcess(['tags', 'swift'], variables), { code: 0 });
  t.same(await words('pinfs ls '), ['swift', 'sword']);
  t.same(await words('pinfs ls --driver kernel --offline swo'), ['sword']);
  t.same(
    new Set(await words('pinfs ls swift@2015-')),
    new Set(['swift@2015-open', 'swift@2015-legacy']),
  );
  t.same(await words('pinfs cache keep swift@2010'), ['swift@2010-first']);
  const place = join(XDG_CONFIG_HOME, 'pinfs', 'sw.example.org');
  const key = join(XDG_CONFIG_HOME, 'pinfs', 'sw.pub');
  t.same(await words(`pinfs ls --key ${key} ${place}@2010`), [`${place}@2010-first`]);
  for (const line of ['pinfs ls swift ', 'pinfs ls nobody@', 'pinfs ls http://[@', 'pinfs', ''])
    t.same(await words(line), [], line);
  t.match(await pinfsInProcess(['completion', 'tcsh']), { code: 2 });
  t.match((await pinfsInProcess(['completion', 'zsh'])).stdout, /^#compdef pinfs/);
});

/** Types lines into a shell on a terminal of its own, each until it shows what is waited for. */
const typist = `
import json, os, pty, re, select, sys, time
begin, lines = sys.argv[1], json.loads(sys.argv[2])
pid, terminal = pty.fork()
if pid == 0: os.execvp(sys.argv[3], sys.argv[3:])
def said_until(pattern):
    said, end = '', time.time() + 40
    while time.time() < end and not re.search(pattern, said, re.S):
        if select.select([terminal], [], [], 0.2)[0]:
            try: said += os.read(terminal, 65536).decode('utf8', 'replace')
            except OSError: break
    return said
os.write(terminal, (begin + "; echo rea''dy\\n").encode())
said_until('ready')
for typed, wanted in lines:
    os.write(terminal, typed.encode())
    print(json.dumps(said_until(wanted)))
    # The line is given up.
    os.write(terminal, b'\\x15')
os.write(terminal, b'\\x15exit\\n')
said_until('nothing more is said')
os.waitpid(pid, 0)
`;

/** What is shown was not typed. */
const lines: readonly (readonly [typed: string, shown: string])[] = [
  ['pinfs ls swi\t', 'ft'],
  ['pinfs ls sword@2010\t', '2010-first'],
];

const shells: Readonly<Record<string, readonly [begin: string, command: readonly string[]]>> = {
  bash: ['PS1="> "; eval "$(pinfs completion bash)"', ['bash', '--norc', '--noprofile', '-i']],
  zsh: [
    'PS1="> "; fpath=($HOME/functions $fpath); autoload -Uz compinit; compinit -u -d $HOME/dump',
    ['zsh', '-f', '-i'],
  ],
  fish: ['pinfs completion fish | source', ['fish', '--no-config', '-i']],
};

for (const [shell, [begin, command]] of Object.entries(shells)) {
  const lacking = [shell, 'python3'].find(
    (one) => spawnSync(one, ['-c', 'exit 0']).error !== undefined,
  );
  const skip = lacking === undefined ? false : `there is no ${lacking} here`;
  void t.test(`${shell} on a terminal completes words and tags`, { skip }, (t) => {
    const { work, ...env } = user(t);
    execFileSync('pinfs', ['tags', 'swift'], { env });
    const args = ['-c', typist, begin, JSON.stringify(lines), ...command];
    const output = execFileSync('python3', args, { encoding: 'utf8', cwd: work, env });
    const said = output.split('\n').map((one) => (one === '' ? '' : String(JSON.parse(one))));
    for (const [index, [typed, shown]] of lines.entries())
      t.match(said[index], new RegExp(shown, 's'), JSON.stringify(typed));
    t.end();
  });
}
