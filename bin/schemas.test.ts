import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import t from 'tap';
import { schemaProblems, schemas, type Schema } from '../lib/testing/schemas.js';
import { fixtureKey, fixtures, script as program } from '../native-test/cli.js';
import { pinfsInProcess } from '../native-test/in-process.js';
import { makeProgram } from './program.js';

// What commands print with --json, held by the schemas that are installed; those of mounts are in native-test.

const repository = join(fixtures, 'analysis.example.org');
const tag = `${repository}@2015-legacy`;

/** Of the lines that one command prints, or the one value of another. */
const linewise = new Set(['find', 'log', 'diff', 'cache-list']);

void t.test('what commands print is what the schemas say', async (t) => {
  const work = t.testdir({
    etc: { 'default.local': 'CVMFS_SERVER_URL=http://127.0.0.1:1/@fqrn@\nCVMFS_FO=1\n' },
  });
  const at = (name: string): string => join(work, name);
  const cache = ['--cache', at('cache')];
  const opening = ['--key', fixtureKey, ...cache];
  const config = ['--config', at('etc')];
  const made = ['demo.example.org', '--storage', at('demo.example.org')];
  // In order: each finds in the cache what those before have left.
  const runs: readonly (readonly [schema: string, ...args: string[]])[] = [
    ['ls', 'ls', ...opening, tag],
    ['ls', 'ls', '-R', ...opening, tag, '/software'],
    ['stat', 'stat', ...opening, tag, '/README.md'],
    ['find', 'find', ...opening, tag],
    ['info', 'info', ...opening, tag],
    ['info', 'info', ...cache, `${repository}@04d77435a9acf1db47359c15995c764190683149`],
    ['tags', 'tags', ...opening, repository],
    ['log', 'log', ...opening, repository],
    ['diff', 'diff', ...opening, tag, '@HEAD'],
    ['check', 'check', ...opening, tag],
    ['fetch', 'fetch', ...opening, tag],
    ['cp', 'cp', '-r', ...opening, tag, '/software', at('software')],
    ['explain', 'explain', ...opening, tag, '/README.md'],
    ['probe', 'probe', ...opening, repository],
    ['key-generate', 'key', 'generate', '-o', at('key')],
    ['attest', 'attest', ...opening, '--signing-key', at('key'), '-o', at('pin'), tag],
    ['cache-size', 'cache', 'size', ...cache],
    ['cache-size', 'cache', 'size', '--by', 'snapshot', ...cache],
    ['cache-list', 'cache', 'list', ...cache],
    ['cache-verify', 'cache', 'verify', ...cache],
    ['cache-keep', 'cache', 'keep', ...opening, tag, '/software'],
    ['cache-kept', 'cache', 'kept', ...cache],
    ['cache-unkeep', 'cache', 'unkeep', ...opening, tag, '/software'],
    ['cache-evict', 'cache', 'evict', ...opening, tag],
    ['cache-clear', 'cache', 'clear', ...cache],
    ['forget', 'forget', ...cache, 'analysis.example.org'],
    ['config-show', 'config', 'show', ...config, 'sw.example.org'],
    ['config-show', 'config', 'show'],
    ['config-path', 'config', 'path'],
    ['config-edit', 'config', 'edit'],
    ['repo-create', 'repo', 'create', ...made],
    ['publish', 'publish', ...made, '--from', at('etc'), '--tag', 'v1'],
    ['publish', 'publish', ...made, '--delete', '/default.local', '--dry-run'],
    ['publish', 'publish', ...made, '--delete', '/default.local'],
    ['repo-tag', 'repo', 'tag', 'add', ...made, 'v2'],
    ['repo-tag', 'repo', 'tag', 'list', ...made],
    ['repo-tag', 'repo', 'tag', 'rm', ...made, 'v2'],
    ['repo-rollback', 'repo', 'rollback', ...made, 'v1'],
    ['repo-resign', 'repo', 'resign', ...made],
    ['repo-rotate-key', 'repo', 'rotate-key', ...made],
    ['repo-info', 'repo', 'info', ...made],
    ['repo-check', 'repo', 'check', ...made],
    ['repo-repair', 'repo', 'repair', ...made, '--from', at('demo.example.org')],
    ['repo-gc', 'repo', 'gc', ...made],
    ['repo-key', 'repo', 'key', 'export', 'demo.example.org'],
    ['repo-mirror', 'repo', 'mirror', ...opening, repository, '--storage', at('mirror')],
    ['help', 'help', 'topic-pins'],
    ['version', 'version'],
    ['completion', 'completion', 'bash'],
    ['config-check', 'config', 'check', ...config, 'sw.example.org'],
    ['setup', 'setup', '--dry-run', '--root', at('root')],
    ['error', 'ls', `${repository}/nothing`],
    ['error', 'cat', ...opening, tag, '/README.md'],
    ['error', 'frobnicate'],
  ];
  for (const [name, ...args] of runs) {
    const { stdout } = await pinfsInProcess([...args, '--json'], { HOME: work, VISUAL: 'true' });
    const values = linewise.has(name) ? stdout.split('\n').filter(Boolean) : [stdout];
    t.not(values.length, 0, name);
    for (const value of values) {
      t.same(schemaProblems(name, JSON.parse(value)), [], `${args.join(' ')}: ${value}`);
    }
  }
});

void t.test('what serve prints, which goes on', async (t) => {
  const child = spawn(process.execPath, [program, 'serve', '--json', fixtures], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (piece: Buffer) => {
    said += piece.toString();
    // The value is whole; the server would stay.
    if (said.endsWith('}\n')) child.kill('SIGTERM');
  });
  await once(child, 'close');
  t.same(schemaProblems('serve', JSON.parse(said)), [], said);
});

void t.test('a key that no schema knows, and one that is lacking, are found', (t) => {
  const error = { code: 'USAGE', message: 'no', advice: null, exit: 2 };
  t.same(schemaProblems('error', { error }), []);
  t.not(schemaProblems('error', { error: { ...error, other: 1 } }).length, 0);
  t.not(schemaProblems('error', { error: { ...error, exit: undefined } }).length, 0);
  t.end();
});

void t.test('keys have one spelling', (t) => {
  const keys = (schema: Schema): [string, Schema][] =>
    Object.entries(schema).flatMap(([keyword, part]): [string, Schema][] => {
      if (typeof part !== 'object' || part === null) return [];
      const own = keyword === 'properties' ? Object.entries(part as Record<string, Schema>) : [];
      return [...own, ...keys(part as Schema)];
    });
  for (const [name, schema] of schemas) {
    t.equal(schema.$id, `${name}.json`);
    const others = keys(schema).filter(
      ([key, { deprecated = false }]) => !deprecated && !/^[a-z][a-zA-Z0-9]*$/.test(key),
    );
    t.same(others, [], name);
  }
  t.end();
});

// These print no JSON, or the value of another.
const without = new Set(['cat', 'trace json', 'trace csv', 'trace head']);

void t.test('each command has its schema', async (t) => {
  const all = (command: Command, before: readonly string[] = []): string[][] =>
    command.commands.flatMap((one) => {
      const words = [...before, one.name()];
      return one.commands.length > 0 ? all(one, words) : [words];
    });
  for (const words of all(await makeProgram())) {
    const name = words.join(' ');
    if (without.has(name)) continue;
    t.ok(schemas.has(words.join('-')), name);
  }
});

void t.test('cat refuses --json', async (t) => {
  const args = ['cat', '--json', '--key', fixtureKey, '--cache', join(t.testdir(), 'c'), tag];
  t.match(await pinfsInProcess([...args, '/README.md']), { code: 2, stdout: /stat --json/ });
  t.notOk(fs.existsSync(join(t.testdirName, 'c')), 'before anything is opened');
});
