import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { compiledProgram } from '../lib/testing/program.js';

// What a command loads is what its user waits for.

/** The files that a command loads, but for those of processes in the background. */
function loadedBy(t: Test, args: readonly string[]): string {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-loads-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const env = { ...process.env, NODE_V8_COVERAGE: directory };
  const { pid } = spawnSync(process.execPath, [compiledProgram, ...args], {
    env,
    stdio: 'ignore',
    timeout: 60_000,
  });
  const files = readdirSync(directory)
    .filter((name) => name.startsWith(`coverage-${pid}-`))
    .map((name) => readFileSync(join(directory, name), 'utf8'));
  return files.join('\n');
}

void t.test('help, and the process that begins a mount load neither SQLite nor a network', (t) => {
  const nowhere = join(t.testdir(), 'nowhere');
  for (const args of [
    ['--help'],
    ['mount', '--help'],
    ['mount', `./${t.testdirName}`, nowhere],
    ['umount', nowhere],
  ]) {
    const loaded = loadedBy(t, args);
    t.match(loaded, '/bin/main.js');
    for (const part of ['better-sqlite3', 'undici', 'koffi', '/lib/store/open.js'])
      t.notOk(loaded.includes(part), `${args.join(' ')}: ${part}`);
  }
  t.end();
});

void t.test('a URL or a path needs nothing of a site’s files', (t) => {
  const loaded = loadedBy(t, ['ls', t.testdir(), '/']);
  t.match(loaded, '/lib/repository/open.js');
  t.notOk(loaded.includes('/lib/configuration/shell/'));
  t.end();
});
