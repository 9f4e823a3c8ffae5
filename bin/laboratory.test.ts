import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { replayOptions } from './commands/replay.js';
import { policyNames } from '../lib/laboratory/policies.js';
import { encodeTrace } from '../lib/trace/encode-trace.js';
import type { Access } from '../lib/trace/trace.js';
import { pinfsInProcess as pinfs } from '../native-test/in-process.js';

// What the laboratory's commands make of files; what is computed is tested where it is.

const header = {
  startedAt: Date.UTC(2026, 0, 1),
  repository: 'made.example.org',
  rootHash: '00'.repeat(20),
  source: 'http://127.0.0.1/made.example.org',
  isComplete: true,
  cacheLimit: 0,
  writer: 'test',
};
const objectBytes = 100_000;

/** Files of one object each, read from their begin, in this order. */
function traceOf(work: string, name: string, order: readonly number[]): string {
  const path = join(work, `${name}.trace`);
  const accesses = order.map((number, at): Access => ({
    time: at * 1000,
    duration: 10,
    operation: 'read',
    level: order.indexOf(number) === at ? 'fetched' : 'shelf',
    object: number.toString(16).padStart(40, '0'),
    plainSize: objectBytes,
    offset: 0,
    length: objectBytes,
    path: `/dir/file-${number}`,
    pid: 7,
    processName: 'cat',
  }));
  writeFileSync(path, Buffer.concat([...encodeTrace(header, accesses)]));
  return path;
}

// A circle of four: LRU finds nothing where three have room, and all but the first round where four have.
const circle = Array.from({ length: 20 }, (_, at) => at % 4);

void t.test('replay tells hits for each policy and limit', async (t) => {
  const trace = traceOf(t.testdir(), 'circle', circle);
  const sizes = `${3 * objectBytes},${4 * objectBytes}`;
  const { code, stdout } = await pinfs([
    'replay',
    trace,
    '--policy',
    'lru,belady',
    '--size',
    sizes,
    '--json',
  ]);
  t.equal(code, 0, stdout);
  const hits = [...stdout.matchAll(/"hits": ?(\d+)/g)].map(([, number]) => Number(number));
  t.ok(hits.includes(0) && hits.includes(16), `${hits.join(' ')}: none, and all but four`);
  const shown = await pinfs(['replay', trace, '--policy', 'lru', '--size', sizes]);
  t.match(shown.stdout, /lru +0\.0 %[^]*lru +80\.0 %|limit[^]*0\.0 %[^]*80\.0 %/);
  const all = await pinfs(['replay', trace, '--policy', 'all', '--size', '1M']);
  for (const name of policyNames) t.match(all.stdout, new RegExp(`  ${name} `), name);
  const suggested = replayOptions.policy.suggestions;
  t.same([...suggested].sort(), ['all', ...policyNames].sort(), 'completions know each policy');
  const unknown = await pinfs(['replay', trace, '--policy', 'lruu', '--size', '1M']);
  t.equal(unknown.code, 2);
  t.match(unknown.stderr, /lru/);
});

void t.test('mrc draws the curve, advise names the limit', async (t) => {
  const trace = traceOf(t.testdir(), 'circle', circle);
  const curve = await pinfs(['mrc', trace, '--json']);
  t.equal(curve.code, 0, curve.stderr);
  t.match(curve.stdout, /400000/);
  const advice = await pinfs(['advise', trace, '--target', '80%']);
  t.equal(advice.code, 0, advice.stderr);
  t.match(advice.stdout, /390\.6 KiB|400(\.0)? ?kB|400000/);
  t.equal((await pinfs(['advise', trace, '--target', '200%'])).code, 2);
});

void t.test('a profile is made of a trace, shown, merged and compared', async (t) => {
  const work = t.testdir();
  const one = traceOf(work, 'one', [1, 2, 3]);
  const other = traceOf(work, 'other', [3, 4]);
  const [first, second, both] = ['first', 'second', 'both'].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ];
  t.equal((await pinfs(['profile', 'make', one, '-o', first])).code, 0);
  t.equal((await pinfs(['profile', 'make', other, '-o', second])).code, 0);
  t.equal((await pinfs(['profile', 'merge', first, second, '-o', both])).code, 0);
  const shown = await pinfs(['profile', 'show', both]);
  for (const number of [1, 2, 3, 4]) t.match(shown.stdout, `/dir/file-${number}`);
  const differs = await pinfs(['profile', 'diff', first, second]);
  t.match(differs.stdout, /file-4/);
  const refused = await pinfs(['profile', 'show', one]);
  t.match(refused.stderr, /PROFILE_/, 'a trace is no profile');
});

void t.test('what is no trace, and what is not there', async (t) => {
  const work = t.testdir({ text: 'no trace' });
  for (const command of [['replay', '--size', '1M'], ['mrc'], ['advise']]) {
    const refused = await pinfs([...command, join(work, 'text')]);
    t.match(refused.stderr, /NOT_A_TRACE/, command.join(' '));
    t.not((await pinfs([...command, join(work, 'nowhere')])).code, 0);
  }
});
