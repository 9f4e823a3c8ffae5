import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { readBenchResult } from '../lib/laboratory/results/bench-result.js';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { fixtureKey, fixtures, pinfs, script, type CliResult } from './cli.js';
import { needsMount } from './machine.js';

// `pinfs bench`: what it prints, and that it leaves nothing behind however it ends.

const made = makeRepository({ revisions: [{ tree: { file: file('x'.repeat(1000)) } }] });
const source = join(fixtures, 'analysis.example.org');

interface Place {
  readonly work: string;
  readonly bench: (...args: string[]) => Promise<CliResult>;
}

function place(t: Test): Place {
  const work = mkdtempSync(join(tmpdir(), 'pinfs-of-bench-'));
  t.teardown(() => {
    rmSync(work, { recursive: true, force: true });
  });
  const bench = (...args: string[]): Promise<CliResult> =>
    pinfs(['bench', '--json', '--key', fixtureKey, '--repeats', '1', ...args], { TMPDIR: work });
  return { work, bench };
}

function nothingIsLeft(t: Test, work: string): void {
  // A user without a runtime directory has the one of the control sockets here; it stays.
  const left = readdirSync(work).filter((name) => name !== `pinfs-${String(process.getuid?.())}`);
  t.same(left, [], 'no directory');
  t.notMatch(readFileSync('/proc/self/mountinfo', 'utf8'), work, 'no mount');
}

void t.test('cold, warm and hot', needsMount, async (t) => {
  const { work, bench } = place(t);
  const resultFile = join(t.testdir(), 'result.json');
  const limited = ['--cache-limit', '100M', '-o', resultFile];
  const result = await bench('--workload', 'tar', ...limited, `${source}@2015-legacy`);
  t.equal(result.code, 0, result.stderr + result.stdout);
  const figure = { median: Number, min: Number, max: Number };
  const state = { milliseconds: figure, requests: figure, bytes: figure };
  const report = JSON.parse(result.stdout) as {
    states: Record<'cold' | 'warm' | 'hot', { requests: { median: number } }> &
      Record<'mount' | 'remount', { milliseconds: { min: number; max: number } }>;
  };
  t.match(report, {
    workload: 'tar',
    repeats: 1,
    driver: String,
    states: { mount: { milliseconds: figure }, cold: state, warm: state, hot: state },
  });
  const { mount, remount } = report.states;
  for (const { milliseconds } of [mount, remount])
    t.equal(milliseconds.min, milliseconds.max, 'one mount of each kind: they do not mix');
  t.ok(report.states.cold.requests.median > 0, 'the cache is empty at first');
  t.equal(report.states.warm.requests.median, 0, 'and holds everything then');
  const [one] = readBenchResult(readFileSync(resultFile)).cases;
  const [cold] = one?.samples.cold ?? [];
  const { policy, hits = NaN, requests = NaN } = one?.prediction ?? {};
  t.equal(policy, 'pinfs', 'what a limit does is foretold');
  const found = (cold?.hits ?? 0) / ((cold?.hits ?? 0) + (cold?.misses ?? 0));
  t.ok(Math.abs(hits / requests - found) < 0.05, `${hits} of ${requests}, and ${found} found`);
  nothingIsLeft(t, work);
});

void t.test('two pins over a long way, kept as a result and compared', needsMount, async (t) => {
  const { work, bench } = place(t);
  const resultFile = join(t.testdir(), 'result.json');
  const second = ['--against', `${source}@2010-reprocessing`];
  const far = ['--rtt', '20ms', '--rate', '4M', '--clients', '2', '-o', resultFile];
  const result = await bench('--workload', 'ls', ...second, ...far, `${source}@2015-legacy`);
  t.equal(result.code, 0, result.stderr + result.stdout);
  const labels = ['@2015-legacy, 2 clients', '@2010-reprocessing, 2 clients'];
  t.match(JSON.parse(result.stdout), { cases: labels.map((label) => ({ label, clients: 2 })) });
  const kept = readBenchResult(readFileSync(resultFile));
  t.match(kept, { workload: 'ls', repeats: 1, roundTripMs: 20, lineRate: 4 * 2 ** 20 });
  t.match(kept.machine, { kernel: String, node: process.version });
  const [one, other] = kept.cases;
  t.not(one?.rootHash, other?.rootHash);
  const cold = one?.samples.cold[0];
  t.equal(cold?.clientMilliseconds.length, 2);
  t.ok((cold?.layers['kernel request'] ?? 0) > 0, 'where the time went');
  t.ok((cold?.latencies['READDIRPLUS']?.count ?? 0) > 0);
  const diff = await pinfs(['bench-diff', '--json', resultFile, resultFile]);
  t.equal(diff.code, 0, diff.stdout);
  const { differences } = JSON.parse(diff.stdout) as { differences: { verdict: string }[] };
  t.equal(differences.length, 10);
  t.ok(
    differences.every(({ verdict }) => verdict === 'unclear'),
    'one sample says nothing',
  );
  const none = await pinfs(['bench-diff', '--json', resultFile, script]);
  t.match(JSON.parse(none.stdout), { error: { code: 'RESULT_MALFORMED' } });
  nothingIsLeft(t, work);
});

void t.test('what goes wrong is told as what it is', needsMount, async (t) => {
  const { work, bench } = place(t);
  const failed = await bench('--workload', 'exit 3', source);
  t.equal(failed.code, 1);
  t.match(JSON.parse(failed.stdout), { error: { code: 'WORKLOAD_FAILED', message: /with 3/ } });
  const unknown = await bench(`${source}@2015-legcy`);
  t.equal(unknown.code, 5);
  t.match(JSON.parse(unknown.stdout), { error: { code: 'TAG_UNKNOWN', advice: /2015-legacy/ } });
  nothingIsLeft(t, work);
});

void t.test('tar fails where a file can not be read', needsMount, async (t) => {
  const { work, bench } = place(t);
  const files = new Map(made.files);
  for (const path of files.keys()) if (/^data\/.*[0-9a-f]$/.test(path)) files.delete(path);
  const server = await startBadServer(files, made.fqrn);
  t.teardown(() => server.close());
  const key = join(work, 'made.pub');
  writeFileSync(key, made.masterKey);
  const result = await bench('--key', key, '--workload', 'tar', server.url);
  rmSync(key);
  t.equal(result.code, 1);
  const message = "the workload 'tar' ended with 2";
  t.match(JSON.parse(result.stdout), { error: { code: 'WORKLOAD_FAILED', message } });
  t.match(result.stderr, /tar: .*file.*Input\/output error/);
  nothingIsLeft(t, work);
});

void t.test('an interrupted benchmark unmounts', needsMount, async (t) => {
  const { work } = place(t);
  const workload = 'echo here >&2; { sleep 60; echo "late" >&2; } | cat';
  const args = ['bench', '--key', fixtureKey, '--workload', workload, source];
  const child = spawn(process.execPath, [script, ...args], {
    env: { ...process.env, TMPDIR: work },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const closed = once(child, 'close');
  let told = '';
  child.stderr.on('data', (piece: Buffer) => {
    if (told === '') child.kill('SIGINT');
    told += piece.toString();
  });
  t.same(await closed, [1, null]);
  t.match(told, /^here\n.*\[INTERRUPTED\]/s);
  t.notMatch(told, 'late', 'all of the workload is ended');
  nothingIsLeft(t, work);
});
