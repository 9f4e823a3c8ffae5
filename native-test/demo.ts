/**
 * The main jobs in one minute: `npm run demo`. Serves the repository in native-test/fixtures, mounts two of
 * its tags beside each other, and asks both for the same physics: same data, other software, other answer.
 * Then it publishes a directory and reads it again. Each command is shown as one would type it.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serve } from '../lib/source/serve.js';
import { checkout } from '../lib/testing/genuine.js';
import {
  analyse,
  fixtureKey,
  fixtures,
  inside,
  pinfs,
  pinfsOrThrow,
  type CliResult,
} from './cli.js';

const fqrn = 'analysis.example.org';
const tags = ['2010-reprocessing', '2015-legacy'];

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

const isTerminal = process.stdout.isTTY && (process.env['NO_COLOR'] ?? '') === '';

function heading(text: string): void {
  say(isTerminal ? `\n\x1b[1m--- ${text}\x1b[0m` : `\n--- ${text}`);
}

/** A command as one would type it; what tells it keys and cache is left out. */
function shown(words: readonly string[]): void {
  const typed = words.map((word) => (word.includes(' ') ? `'${word}'` : word));
  const text = `$ pinfs ${typed.join(' ')}`;
  say(isTerminal ? `\x1b[36m${text}\x1b[0m` : text);
}

/** Brings missing system packages when root, says which command does otherwise. */
async function prepareMachine(): Promise<void> {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  const line = `apt-get install -y ${missing.join(' ')}`;
  if (process.getuid?.() !== 0) {
    say(`This machine can't mount yet. As root: ${line}`);
    process.exit(6);
  }
  say(`This machine can't mount yet; running: ${line}`);
  execFileSync('apt-get', ['update', '-qq'], { stdio: 'inherit' });
  execFileSync('apt-get', ['install', '-y', '-qq', ...missing], { stdio: 'inherit' });
}

async function missingPackages(): Promise<string[]> {
  const doctor = await pinfs(['doctor', '--json']);
  const report = JSON.parse(doctor.stdout) as { packages?: string[] };
  return report.packages ?? [];
}

function tamper(directory: string): string {
  const copy = join(directory, 'tampered', fqrn);
  cpSync(join(fixtures, fqrn), copy, { recursive: true });
  const manifest = join(copy, '.cvmfspublished');
  const text = readFileSync(manifest, 'latin1').replace(
    /^S(\d+)$/m,
    (_line, revision: string) => `S${Number(revision) + 1}`,
  );
  writeFileSync(manifest, text, 'latin1');
  return copy;
}

async function timedRead(mountpoint: string): Promise<number> {
  const started = process.hrtime.bigint();
  await inside(mountpoint, 'tar cf - . | cat > /dev/null');
  return Number(process.hrtime.bigint() - started) / 1e6;
}

interface Scene {
  readonly work: string;
  readonly url: string;
  readonly source: string;
  /** Options that each command has; not shown each time. */
  readonly options: readonly string[];
  readonly mounted: string[];
}

/** Runs a command that is shown. */
async function run(scene: Scene, words: readonly string[]): Promise<CliResult> {
  const [command = '', ...rest] = words;
  shown(words);
  const takesKey = ['tags', 'info', 'mount'].includes(command);
  return await pinfsOrThrow([command, ...(takesKey ? scene.options : []), ...rest]);
}

async function mount(scene: Scene, tag: string): Promise<string> {
  const mountpoint = join(scene.work, tag);
  mkdirSync(mountpoint, { recursive: true });
  await run(scene, ['mount', `${scene.source}@${tag}`, mountpoint]);
  scene.mounted.push(mountpoint);
  return mountpoint;
}

async function unmountAll({ mounted }: Scene): Promise<void> {
  for (let next = mounted.pop(); next !== undefined; next = mounted.pop()) {
    await pinfsOrThrow(['umount', next]);
  }
}

async function showTrust(scene: Scene): Promise<void> {
  heading('why this is to be trusted');
  say((await run(scene, ['info', `${scene.source}@2015-legacy`])).stdout.trimEnd());

  heading('a copy in which one digit was changed is refused');
  const other = ['--key', fixtureKey, '--cache', join(scene.work, 'other')];
  const words = ['info', tamper(scene.work)];
  shown(words);
  const refused: CliResult = await pinfs([...words, ...other]);
  say(refused.stderr.trimEnd());
  if (refused.code !== 3) throw new Error(`the tampered copy ended with ${refused.code}, not 3`);
}

async function showTags(scene: Scene): Promise<void> {
  heading(`a repository is served at ${scene.source}; its named snapshots`);
  say((await run(scene, ['tags', scene.source])).stdout.trimEnd());

  heading('two of them, mounted beside each other');
  for (const tag of tags) {
    const mountpoint = await mount(scene, tag);
    const listing = await inside(mountpoint, 'ls');
    say(`${mountpoint}: ${listing.trim().split('\n').join(' ')}`);
  }
  heading('the same data, analysed by the software of 2010 and of 2015');
  for (const tag of tags) {
    const output = await analyse(join(scene.work, tag));
    const expected = readFileSync(join(fixtures, 'expected', `analyse-${tag}.txt`), 'utf8');
    if (output !== expected)
      throw new Error(`bin/analyse of ${tag} printed something else:\n${output}`);
    say(`${tag}: ${output.trimEnd().split('\n').at(-1) ?? ''}`);
  }
}

async function showTimes(scene: Scene): Promise<void> {
  heading('how long it takes to read everything');
  await unmountAll(scene);
  rmSync(join(scene.work, 'cache'), { recursive: true });
  const cold = await timedRead(await mount(scene, '2015-legacy'));
  await unmountAll(scene);
  const mountpoint = await mount(scene, '2015-legacy');
  const warm = await timedRead(mountpoint);
  const hot = await timedRead(mountpoint);
  say(
    `cold (from the server) ${cold.toFixed(0)} ms, warm (from the cache) ${warm.toFixed(0)} ms, hot (from the kernel) ${hot.toFixed(0)} ms`,
  );
  await unmountAll(scene);
}

const ownName = 'mine.example.org';

async function showPublishing(scene: Scene): Promise<void> {
  heading("a repository of one's own");
  const { work } = scene;
  const [storage, tree] = [join(work, ownName), join(work, 'tree')];
  const keys = join(work, 'keys');
  mkdirSync(keys);
  const key = join(keys, 'signing.key');
  const master = join(keys, 'master.key');
  const signing = ['--storage', storage, '--signing-key', key];
  const ownMaster = ['--master-signing-key', master];
  mkdirSync(tree);
  writeFileSync(join(tree, 'answer'), '42\n');
  say((await run(scene, ['repo', 'create', ownName, ...signing, ...ownMaster])).stdout.trimEnd());
  const first = ['--from', tree, '--tag', 'v1', '--message', 'the first one'];
  say((await run(scene, ['publish', ownName, ...signing, ...first])).stdout.trimEnd());
  const publicKey = join(keys, 'mine.pub');
  await run(scene, ['repo', 'key', 'export', ownName, ...ownMaster, '-o', publicKey]);
  const read = ['cat', '--key', publicKey, `${storage}@v1`, '/answer'];
  shown(read);
  const { stdout } = await pinfsOrThrow([...read, '--cache', join(work, 'cache')]);
  if (stdout !== '42\n') throw new Error(`what was published is read as ${stdout}`);
  say(stdout.trimEnd());
}

/** On a terminal the server stays until Enter. */
async function tryNext(scene: Scene): Promise<void> {
  heading('what to try next');
  say(`pinfs mount --key ${fixtureKey} ${scene.source}@2015-legacy DIR`);
  say(`pinfs log --key ${fixtureKey} ${scene.source}`);
  say('pinfs help topic-pins');
  if (!process.stdin.isTTY || !process.stdout.isTTY) return;
  say('The server answers until you press Enter.');
  process.stdin.resume();
  await once(process.stdin, 'data');
  process.stdin.pause();
}

async function main(): Promise<void> {
  await prepareMachine();
  const work = mkdtempSync(join(tmpdir(), 'pinfs-demo-'));
  const server = await serve(fixtures, { port: 0, host: '127.0.0.1' });
  const scene: Scene = {
    work,
    url: server.url,
    source: `${server.url}/${fqrn}`,
    options: ['--key', fixtureKey, '--cache', join(work, 'cache')],
    mounted: [],
  };
  try {
    await showTags(scene);
    await showTrust(scene);
    await showTimes(scene);
    await showPublishing(scene);
    say('\nunmounted; everything worked');
    await tryNext(scene);
  } finally {
    await unmountAll(scene).catch((error: unknown) => say(String(error)));
    await server.close();
    rmSync(work, { recursive: true, force: true });
  }
}

say(`pinfs demo, from ${checkout === process.cwd() ? 'this checkout' : checkout}`);
await main();
