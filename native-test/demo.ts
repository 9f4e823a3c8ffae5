/**
 * The main job in one minute: `npm run demo`. Serves the repository in native-test/fixtures, mounts two of
 * its tags beside each other, and asks both for the same physics: same data, other software, other answer.
 */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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

function heading(text: string): void {
  say(`\n--- ${text}`);
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

async function main(): Promise<void> {
  await prepareMachine();
  const work = mkdtempSync(join(tmpdir(), 'pinfs-demo-'));
  const cache = join(work, 'cache');
  const server = await serve(fixtures, { port: 0, host: '127.0.0.1' });
  const source = `${server.url}/${fqrn}`;
  const options = ['--key', fixtureKey, '--cache', cache];
  const mounted: string[] = [];
  const mount = async (tag: string): Promise<string> => {
    const mountpoint = join(work, tag);
    mkdirSync(mountpoint, { recursive: true });
    await pinfsOrThrow(['mount', ...options, `${source}@${tag}`, mountpoint]);
    mounted.push(mountpoint);
    return mountpoint;
  };
  const unmountAll = async (): Promise<void> => {
    for (let next = mounted.pop(); next !== undefined; next = mounted.pop()) {
      await pinfsOrThrow(['umount', next]);
    }
  };
  try {
    heading(`a repository is served at ${source}; its named snapshots`);
    say((await pinfsOrThrow(['tags', ...options, source])).stdout.trimEnd());

    heading('two of them, mounted beside each other');
    for (const tag of tags) {
      const mountpoint = await mount(tag);
      const listing = await inside(mountpoint, 'ls');
      say(`${mountpoint}: ${listing.trim().split('\n').join(' ')}`);
    }
    heading('the same data, analysed by the software of 2010 and of 2015');
    for (const tag of tags) {
      const output = await analyse(join(work, tag));
      const expected = readFileSync(join(fixtures, 'expected', `analyse-${tag}.txt`), 'utf8');
      if (output !== expected)
        throw new Error(`bin/analyse of ${tag} printed something else:\n${output}`);
      say(`${tag}: ${output.trimEnd().split('\n').at(-1) ?? ''}`);
    }
    heading('why this is to be trusted');
    say((await pinfsOrThrow(['info', ...options, `${source}@2015-legacy`])).stdout.trimEnd());

    heading('a copy in which one digit was changed is refused');
    const refused: CliResult = await pinfs([
      'info',
      '--key',
      fixtureKey,
      '--cache',
      join(work, 'other'),
      tamper(work),
    ]);
    say(refused.stderr.trimEnd());
    if (refused.code !== 3) throw new Error(`the tampered copy ended with ${refused.code}, not 3`);

    heading('how long it takes to read everything');
    await unmountAll();
    rmSync(cache, { recursive: true });
    const cold = await timedRead(await mount('2015-legacy'));
    await unmountAll();
    const mountpoint = await mount('2015-legacy');
    const warm = await timedRead(mountpoint);
    const hot = await timedRead(mountpoint);
    say(
      `cold (from the server) ${cold.toFixed(0)} ms, warm (from the cache) ${warm.toFixed(0)} ms, hot (from the kernel) ${hot.toFixed(0)} ms`,
    );
    await unmountAll();
    say('\nunmounted; everything worked');
  } finally {
    await unmountAll().catch((error: unknown) => say(String(error)));
    await server.close();
    rmSync(work, { recursive: true, force: true });
  }
}

say(`pinfs demo, from ${checkout === process.cwd() ? 'this checkout' : checkout}`);
await main();
