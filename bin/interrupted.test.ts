import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { compiledProgram } from '../lib/testing/program.js';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { pinfs } from '../native-test/cli.js';

// Ctrl-C in the middle of what takes long.

const names = ['a', 'b', 'c', 'd'];
const made = makeRepository({
  revisions: [
    { tree: Object.fromEntries(names.map((name) => [name, file(`content of ${name}`)])) },
  ],
});

/** Runs a command whose last object never comes, ends it when `isReady`, and gives what it said. */
async function interrupted(
  t: Test,
  isReady: (work: string, asked: number) => boolean,
  ...words: string[]
): Promise<{
  stderr: string;
  signal: unknown;
  work: string;
  again: () => ReturnType<typeof pinfs>;
}> {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-interrupted-'));
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(async () => {
    await server.close();
    rmSync(work, { recursive: true, force: true });
  });
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  const [command = '', ...rest] = words.map((word) => word.replace('WORK', work));
  const places = ['--key', join(work, 'key.pub'), '--cache', join(work, 'cache')];
  const args = [command, ...places, '--deadline', '60', server.url, ...rest];
  const last = [...made.files.keys()].filter((path) => /data\/.*[0-9a-f]$/.test(path)).at(-1) ?? '';
  server.behave(new RegExp(last.slice(-20)), 'hang');
  const child = spawn(process.execPath, [compiledProgram, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (piece: Buffer) => (stderr += piece.toString()));
  const closed = once(child, 'close');
  const asked = (): number => server.count(/data\/.*[0-9a-f]$/);
  while (!isReady(work, asked()) && child.exitCode === null) await sleep(20);
  // What came last is written.
  await sleep(500);
  child.kill('SIGINT');
  const [, signal] = (await closed) as unknown[];
  server.reset();
  return { stderr, signal, work, again: () => pinfs(args) };
}

void t.test('a copy says how far it came, and goes on', async (t) => {
  const isReady = (work: string): boolean =>
    existsSync(join(work, 'copy')) &&
    readdirSync(join(work, 'copy')).filter((name) => names.includes(name)).length === 3;
  const { stderr, signal, work, again } = await interrupted(
    t,
    isReady,
    'cp',
    '/',
    'WORK/copy',
    '-r',
  );
  t.equal(signal, 'SIGINT', 'as who waits for it expects');
  t.match(stderr, /pinfs: interrupted: 3 of 4 copied; the same command goes on\n$/);
  t.equal(readdirSync(join(work, 'copy')).length, 4, 'three files and the mark');
  t.match(await again(), { code: 0, stderr: '' });
  t.same(readdirSync(join(work, 'copy')), names);
  t.equal(readFileSync(join(work, 'copy', 'd'), 'latin1'), 'content of d');
});

void t.test('so does a fetch', async (t) => {
  const isReady = (_: string, asked: number): boolean => asked === 4;
  const { stderr, signal, again } = await interrupted(t, isReady, 'fetch', '/');
  t.equal(signal, 'SIGINT');
  t.match(stderr, /pinfs: interrupted: \d of 4 objects, \d+ B are in the cache; the same command/);
  t.match(await again(), { code: 0, stdout: /4 objects/ });
});
