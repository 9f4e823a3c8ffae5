/**
 * `npm run check`, for between two thoughts: types, lint of what changed, and the unit tests of the core rooms.
 * A test whose inputs (what it imports, the data, Node, the dependencies) are those it last passed with is not
 * run again; `npm run check -- --all` runs it all the same.
 */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { checkout } from '../lib/testing/genuine.js';
import { allSources, closure, digest, surroundings, testData } from './inputs.js';
import { compiled, testFiles } from './test-files.js';

const coreRooms = ['format', 'trust', 'source', 'tree', 'filesystem'] as const;
const jobs = 2;
const fileTimeoutMs = 300_000;
const memoryFile = join(checkout, 'dist', '.check.json');

type Passed = Map<string, string>;

interface Ended {
  readonly ok: boolean;
  readonly output: string;
}

async function main(): Promise<void> {
  process.chdir(checkout);
  const passed = process.argv.includes('--all') ? new Map<string, string>() : remembered();
  const lintOk = await lint(passed);
  const testsOk = await test(passed);
  writeFileSync(memoryFile, JSON.stringify(Object.fromEntries(passed)));
  if (!lintOk || !testsOk) process.exitCode = 1;
}

function remembered(): Passed {
  try {
    const value: unknown = JSON.parse(readFileSync(memoryFile, 'utf8'));
    const entries = Object.entries(value ?? {}).filter(
      (entry): entry is [string, string] => typeof entry[1] === 'string',
    );
    return new Map(entries);
  } catch {
    return new Map();
  }
}

async function lint(passed: Passed): Promise<boolean> {
  const files = changedFiles();
  if (files === undefined) {
    console.log('lint: not a git checkout, so nothing is known to have changed (npm run lint)');
    return true;
  }
  const inputs = digest([surroundings(), allSources(), ...files.map(textOf)]);
  if (files.length === 0 || passed.get('lint') === inputs) {
    console.log(`lint: ${files.length} files changed, nothing new`);
    return true;
  }
  const typescript = files.filter((name) => name.endsWith('.ts'));
  const runs = [
    run('node_modules/.bin/prettier', ['--check', '--ignore-unknown', ...files]),
    ...(typescript.length > 0 ? [run('node_modules/.bin/eslint', typescript)] : []),
  ];
  const ended = await Promise.all(runs);
  const ok = ended.every((one) => one.ok);
  console.log(`lint: ${files.length} files changed, ${ok ? 'all right' : 'not all right'}`);
  for (const one of ended) if (!one.ok) console.log(one.output);
  if (ok) passed.set('lint', inputs);
  return ok;
}

/** Files that differ from HEAD, or from where this branch left main; undefined: this is no git checkout. */
function changedFiles(): string[] | undefined {
  const git = (...args: string[]): string[] =>
    execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\0')
      .filter(Boolean);
  const base = ['main', 'origin/main'].flatMap((name) => {
    try {
      return git('merge-base', 'HEAD', name)[0]?.trim() ?? [];
    } catch {
      return [];
    }
  })[0];
  const changed = (from: string): string[] =>
    git('diff', '--name-only', '--relative', '--diff-filter=d', '-z', from);
  try {
    const untracked = git('ls-files', '--others', '--exclude-standard', '-z');
    return [...new Set([...changed(base ?? 'HEAD'), ...changed('HEAD'), ...untracked])].sort();
  } catch {
    return undefined;
  }
}

async function test(passed: Passed): Promise<boolean> {
  const files = testFiles([...coreRooms.map((room) => `lib/${room}`), 'lib/tidy.test.ts']);
  const common = digest([surroundings(), testData()]);
  const sources = allSources();
  const texts = new Map<string, string>();
  const inputsOf = (file: string): string => {
    const parts = closure(file);
    for (const part of parts) if (!texts.has(part)) texts.set(part, digest([textOf(part)]));
    const readsSources = parts.includes(compiled('lib/testing/house/tidy.ts'));
    const own = parts.map((part) => `${part} ${texts.get(part) ?? ''}`);
    return digest([common, readsSources ? sources : '', ...own]);
  };
  const due = files
    .map((file) => ({ file, inputs: inputsOf(file) }))
    .filter(({ file, inputs }) => passed.get(file) !== inputs);
  let failed = 0;
  const next = async (): Promise<void> => {
    for (let one = due.shift(); one !== undefined; one = due.shift()) {
      const { ok, output } = await run(process.execPath, [compiled(one.file)]);
      if (ok) passed.set(one.file, one.inputs);
      else {
        failed += 1;
        console.log(`${output}\nnot ok: ${one.file}`);
      }
    }
  };
  const count = due.length;
  await Promise.all(Array.from({ length: jobs }, next));
  const unchanged = files.length - count;
  console.log(`tests: ${count} files run, ${failed} failed, ${unchanged} as when they last passed`);
  return failed === 0;
}

function textOf(path: string): string {
  return readFileSync(join(checkout, path), 'latin1');
}

async function run(command: string, args: readonly string[]): Promise<Ended> {
  const env = { ...process.env, TAP_TIMEOUT: String(fileTimeoutMs / 1000) };
  const options = { env, timeout: fileTimeoutMs, maxBuffer: 64 * 2 ** 20 };
  return await new Promise((resolve) => {
    execFile(command, args, options, (error, stdout, stderr) =>
      resolve({ ok: error === null, output: stdout + stderr }),
    );
  });
}

await main();
