import { execFileSync, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import t from 'tap';
import { checkout } from '../lib/testing/genuine.js';
import { pinfsInProcess } from '../native-test/in-process.js';
import { madeDocuments } from '../tools/documents.js';
import { examples } from './manual/examples.js';
import { topics } from './manual/topics.js';
import { makeProgram } from './program.js';

// What is written about the command line, beside it.

const completionFile = join(checkout, 'share', 'completions', 'pinfs.bash');
const manual = readFileSync(join(checkout, 'share', 'man', 'pinfs.1'), 'utf8').replaceAll(
  '\\-',
  '-',
);
const readme = readFileSync(join(checkout, 'README.md'), 'utf8');

interface Named {
  readonly words: readonly string[];
  readonly options: readonly string[];
}

function all(command: Command, before: readonly string[] = []): Named[] {
  return command.commands.flatMap((one) => {
    const words = [...before, one.name()];
    const options = one.options
      .filter(({ hidden }) => !hidden)
      .map(({ long, short }) => long ?? short ?? '');
    return one.commands.length > 0 ? all(one, words) : [{ words, options }];
  });
}

const program = await makeProgram();
const commands = all(program);

void t.test('a command that is loaded alone is there', async (t) => {
  for (const [name = ''] of commands.map(({ words }) => words)) {
    const names = (await makeProgram(name)).commands.map((one) => one.name());
    t.ok(names.includes(name), name);
    t.ok(names.length <= 2, `${name} loads few others`);
  }
});

/** What bash offers at the end of a line. */
function offered(words: readonly string[]): string[] {
  const script = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pinfs; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const args = ['-c', script, completionFile, 'pinfs', ...words];
  return execFileSync('bash', args, { encoding: 'utf8' }).split('\n').filter(Boolean);
}

void t.test('the manual has every command and option', (t) => {
  for (const { words, options } of commands) {
    t.match(manual, words.join(' '));
    for (const option of options) t.ok(manual.includes(option), `${words.join(' ')} ${option}`);
  }
  const listed = [...manual.matchAll(/(?<![\w-])--[a-z][a-z0-9-]+/g)].map(([option]) => option);
  const known = new Set(['--help', ...commands.flatMap(({ options }) => options)]);
  t.same(
    [...new Set(listed)].filter((option) => !known.has(option)),
    [],
    'and no other',
  );
  t.end();
});

void t.test('each command has examples, of commands and options that there are', async (t) => {
  const known = new Map(commands.map(({ words, options }) => [words.join('-'), options]));
  for (const { words } of commands) {
    const name = words.join('-');
    t.ok((examples[name] ?? []).length > 0, `bin/manual/examples.ts has none for ${name}`);
    const help = words[0] === 'help' ? '' : (await pinfsInProcess([...words, '--help'])).stdout;
    if (help !== '') t.match(help, `Examples:\n  ${examples[name]?.[0]?.[0] ?? ''}`, name);
  }
  for (const [name, lines] of Object.entries(examples)) {
    t.ok(known.has(name), `${name} is a command`);
    for (const [line] of lines.filter(([line]) => line.startsWith('pinfs '))) {
      const words = line.split(' ').slice(1);
      const [first = '', second = ''] = words;
      const options = known.get(`${first}-${second}`) ?? known.get(first);
      t.ok(options, line);
      const unknown = words.filter(
        (word) => /^--\w/.test(word) && options?.includes(word) === false,
      );
      t.same(unknown, [], line);
    }
  }
});

void t.test('a page of the manual for each command, which npm installs', (t) => {
  const folder = join(checkout, 'share', 'man');
  const pages = readdirSync(folder).filter((name) => name.endsWith('.1'));
  const names = new Set(commands.map(({ words }) => words[0] ?? ''));
  t.same(new Set(pages), new Set(['pinfs.1', ...[...names].map((name) => `pinfs-${name}.1`)]));
  const { man } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as {
    man: string[];
  };
  t.same(new Set(man), new Set(pages.map((name) => `./share/man/${name}`)));
  for (const { words, options } of commands) {
    const page = readFileSync(join(folder, `pinfs-${words[0] ?? ''}.1`), 'utf8');
    const text = page.replaceAll('\\-', '-');
    for (const section of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'OPTIONS', 'EXIT STATUS', 'EXAMPLES'])
      t.match(page, `\n.SH ${section}\n`, `${words.join(' ')}: ${section}`);
    for (const option of options)
      t.ok(text.includes(`\\fB${option}\\fP`), `${words.join(' ')} ${option}`);
    t.match(text, `\\fBpinfs ${words.join(' ')}\\fP`);
  }
  t.end();
});

void t.test('the topics of help are sections of the manual', async (t) => {
  for (const { name, text } of topics) {
    const shown = await pinfsInProcess(['help', `topic-${name}`]);
    t.equal(shown.code, 0, name);
    const [words = ''] = /\w+ \w+ \w+ \w+/.exec(text) ?? [];
    t.match(shown.stdout, words);
    t.match(manual, words, name);
    t.match(readme, `\`topic-${name}\``.replace('`topic-pins', 'topic-pins'), name);
  }
  t.match(await pinfsInProcess(['help', 'topic-pin']), { code: 2, stderr: /mean topic-pins\?/ });
  t.match(await pinfsInProcess(['help', 'nothing']), { code: 2, stderr: /Topics: topic-pins, / });
  t.equal(
    (await pinfsInProcess(['help', 'cache', 'size'])).stdout,
    (await pinfsInProcess(['cache', 'size', '--help'])).stdout,
  );
  t.equal((await pinfsInProcess(['help'])).stdout, (await pinfsInProcess(['--help'])).stdout);
  const { stdout } = await pinfsInProcess(['version']);
  t.equal((await pinfsInProcess(['--version'])).stdout, stdout);
});

void t.test('what an option is called decides what it means', (t) => {
  const flags = new Map<string, Set<string>>();
  for (const { options } of program.commands.flatMap((one) => [one, ...one.commands]))
    for (const option of options.filter(({ hidden }) => !hidden)) {
      const { long = '', description } = option;
      flags.set(long, (flags.get(long) ?? new Set()).add(description));
    }
  t.equal(flags.get('--key')?.size, 1, 'the public master key');
  t.equal(flags.get('--verbose')?.size, 1);
  t.notOk(flags.has('--master-key'));
  t.end();
});

void t.test('help, manual and README have the same exit codes', async (t) => {
  const help = /Exit codes: ([^]*)\./.exec((await pinfsInProcess(['--help'])).stdout)?.[1] ?? '';
  const inHelp = [...help.matchAll(/(\d) \S/g)].map(([, code]) => code);
  const inReadme = [...readme.matchAll(/^\| (\d) \| /gm)].map(([, code]) => code);
  t.same(inHelp, inReadme);
  t.equal(inReadme.length, 8);
  const status = manual.slice(manual.indexOf('.SH EXIT STATUS'));
  for (const code of inReadme)
    t.match(status, new RegExp(`\\b${code}\\b`), `${code} in the manual`);
});

void t.test('the README has every command', (t) => {
  for (const { words } of commands) {
    const [first = '', second] = words;
    const text = second === undefined ? first : `${first} ${first === 'cache' ? 'size' : second}`;
    t.match(readme, new RegExp(`\`(pinfs )?${text}\\b`), words.join(' '));
  }
  t.end();
});

void t.test('bash offers every command and option', (t) => {
  const first = new Set(offered(['']));
  for (const { words, options } of commands) {
    const [name = '', second] = words;
    t.ok(first.has(name), name);
    if (second !== undefined) t.ok(offered([name, '']).includes(second), words.join(' '));
    const shown = new Set([...offered([...words, '--']), ...offered([...words, '-'])]);
    t.same(
      options.filter((option) => !shown.has(option)),
      [],
      words.join(' '),
    );
    const known = new Set([...options, '--help']);
    t.same(
      [...shown].filter((option) => !known.has(option)),
      [],
      `${words.join(' ')}: no other`,
    );
  }
  t.same(offered(['ma']), [], 'nothing begins like that');
  t.same(offered(['mou']), ['mount']);
  t.same(offered(['mount', '--driver', 'k']), ['kernel']);
  t.end();
});

const made = await madeDocuments();

void t.test('what is made from the command line is as it would be made now', (t) => {
  for (const [path, text] of made) {
    const there = readFileSync(join(checkout, path), 'utf8');
    t.ok(there === text, `${path}: npm run documents makes it anew`);
    // These tell of variables and parameters only.
    if (!path.startsWith('share') || path.includes('pinfs-')) continue;
    for (const { words, options } of commands) {
      const isBare = path.endsWith('.fish');
      const missing = options.filter((option) => {
        const shown = path.endsWith('.1') ? option.replaceAll('-', '\\-') : option;
        return !text.includes(
          isBare ? option.replace(/^--/, '-l ').replace(/^-(.)$/, '-s $1') : shown,
        );
      });
      t.same(missing, [], `${path}: ${words.join(' ')}`);
    }
  }
  t.end();
});

void t.test('help, manual and README have the variables that stand for options', async (t) => {
  const help = (await pinfsInProcess(['mount', '--help'])).stdout;
  const variables = [...help.matchAll(/\(env:\s+(PINFS_[A-Z_]+)\)/g)].map(([, name = '']) => name);
  t.ok(variables.length >= 4);
  const environment = manual.slice(manual.indexOf('.SH ENVIRONMENT'));
  for (const name of variables) {
    t.match(environment, `\\fB${name}\\fP`, `${name} in the manual`);
    t.match(readme, `| \`${name}\` |`, `${name} in the README`);
  }
});

const shorts = ['-h', '-l', '-R', '-r', '-o', '-n'];
const completions = join(checkout, 'share', 'completions');

/** A shell that this machine may not have. */
function withShell(shell: string): { skip: string | false } {
  const isThere = spawnSync(shell, ['-c', 'true']).status === 0;
  return { skip: isThere ? false : `there is no ${shell} here` };
}

function printed(shell: string, script: string, ...args: string[]): string[] {
  const output = execFileSync(shell, ['-c', script, ...args], { encoding: 'utf8' });
  return output.split('\n').filter(Boolean);
}

void t.test('fish offers every command and option', withShell('fish'), (t) => {
  const script = `source '${join(completions, 'pinfs.fish')}'; complete -C "$argv[1]"`;
  const shown = (line: string) =>
    new Set(printed('fish', script, line).map((one) => one.split('\t')[0] ?? ''));
  const first = shown('pinfs ');
  for (const { words, options } of commands) {
    t.ok(first.has(words[0] ?? ''), words.join(' '));
    const line = `pinfs ${words.join(' ')} `;
    const all = [...shown(`${line}--`), ...shown(`${line}-`)];
    const known = new Set(['--help', ...options, ...shorts]);
    t.same(
      options.filter((option) => !all.includes(option)),
      [],
      line,
    );
    t.same(
      all.filter((option) => !known.has(option)),
      [],
      `${line}: no other`,
    );
  }
  t.same([...shown('pinfs mount --driver k')], ['kernel']);
  t.same([...shown('pinfs cache s')], ['size']);
  t.end();
});

void t.test('zsh is told every command and option', withShell('zsh'), (t) => {
  // What completes is part of zsh's own functions: they are heard here, not run.
  const script = `
    compadd() { :; }; _describe() { print -rl -- $commands; }; _arguments() { print -rl -- "$@"; }
    file=$1; shift; words=("$@"); CURRENT=$#; source $file`;
  const told = (...words: string[]) =>
    printed(
      'zsh',
      `f() { ${script}\n}; f "$@"`,
      'zsh',
      join(completions, '_pinfs'),
      'pinfs',
      ...words,
    );
  const first = told('').map((one) => one.split(':')[0]);
  for (const { words, options } of commands) {
    t.ok(first.includes(words[0] ?? ''), words.join(' '));
    const flags = told(...words, '').flatMap(
      (one) => /^(?:\(.*\)|\*)?(--?[\w-]+)\[/.exec(one)?.[1] ?? [],
    );
    const known = new Set(['--help', ...options, ...shorts]);
    t.same(
      options.filter((option) => !flags.includes(option)),
      [],
      words.join(' '),
    );
    t.same(
      flags.filter((flag) => !known.has(flag)),
      [],
      `${words.join(' ')}: no other`,
    );
  }
  t.ok(told('cache', '').includes('size:how many objects and bytes the cache holds'));
  t.end();
});
