import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { policies } from '../lib/laboratory/policies.js';
import { seededRandom } from '../lib/laboratory/random.js';
import { replay, type ReplayResult } from '../lib/laboratory/replay.js';
import { requestsOfTraces, type RecordedHits } from '../lib/laboratory/trace-requests.js';
import { directory, file, makeRepository } from '../lib/publish/write-repository.js';
import { startBadServer } from '../lib/testing/servers/bad-server.js';
import { readTraceFile } from '../lib/trace/read-trace-file.js';
import { needsDriver } from './machine.js';
import { scene, shell, type Scene } from './scene.js';

// Replaying what was recorded under the cache's own policy says what a real run does under the same limit.

const mebibyte = 1024 * 1024;
const files = 240;
const reads = 800;

/** Nothing in it can be compressed, and each is another one. */
function contentOf(number: number, size: number): Buffer {
  const pieces: Buffer[] = [];
  for (let at = 0; at * 32 < size; at++)
    pieces.push(createHash('sha256').update(`${number} ${at}`).digest());
  return Buffer.concat(pieces).subarray(0, size);
}

const random = seededRandom(3);
const sizes = Array.from({ length: files }, () => 500 + Math.floor(120_000 * random() ** 2));
const directories = Object.fromEntries(
  Array.from({ length: 12 }, (_, at) => [
    `dir${at}`,
    directory(
      Object.fromEntries(
        sizes.flatMap((size, number) =>
          number % 12 === at ? [[`file${number}`, file(contentOf(number, size))]] : [],
        ),
      ),
    ),
  ]),
);
const made = makeRepository({ revisions: [{ tree: directories }] });
// Some are wanted far more often than others.
const order = Array.from({ length: reads }, () => Math.floor(files * random() ** 2));

interface Run {
  readonly here: Scene;
  readonly source: string;
  readonly key: string;
  readonly list: string;
}

async function setUp(t: Test): Promise<Run> {
  const here = scene(t, 'kernel');
  const server = await startBadServer(made.files, made.fqrn);
  t.teardown(() => server.close());
  const key = join(here.work, 'key.pub');
  writeFileSync(key, made.masterKey);
  const list = join(here.work, 'list');
  writeFileSync(list, order.map((number) => `dir${number % 12}/file${number}\n`).join(''));
  return { here, source: server.url, key, list };
}

/** Reads all of the list under a limit, with an empty cache. @returns the file of the recording. */
async function realRun({ here, source, key, list }: Run, name: string, limit: number) {
  const trace = join(here.work, `${name}.trace`);
  const args = ['--key', key, '--record', trace, '--record-all', '--ahead', 'off'];
  const mountpoint = await here.mount({
    source,
    at: name,
    cache: `cache-${name}`,
    args: [...args, '--cache-limit', String(limit)],
  });
  const { code, stderr } = await shell('cd "$1" && xargs cat < "$2" > /dev/null', mountpoint, list);
  if (code !== 0) throw new Error(stderr.slice(0, 200));
  await here.umount(mountpoint);
  return trace;
}

interface Distance {
  readonly hits: number;
  readonly bytes: number;
}

function distance(real: RecordedHits, foretold: ReplayResult): Distance {
  const uses = real.hits + real.misses;
  return {
    hits: Math.abs(real.hits - foretold.hits) / uses,
    bytes: Math.abs(real.fetchedBytes - foretold.fetchedBytes) / Math.max(1, real.fetchedBytes),
  };
}

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;

void t.test('a run under a limit is foretold', needsDriver('kernel'), async (t) => {
  t.setTimeout(120_000);
  const limit = 3 * mebibyte;
  const trace = await realRun(await setUp(t), 'run', limit);
  const { requests, recorded } = requestsOfTraces([readTraceFile(trace)]);
  t.ok(recorded.hits > 200 && recorded.misses > 300, 'there is something to foretell');
  const [own, lru] = [policies.pinfs, policies.lru].map((open) =>
    distance(recorded, replay(requests, { open, capacity: limit })),
  ) as [Distance, Distance];
  t.ok(own.hits < 0.01, `hits: ${percent(own.hits)} off`);
  t.ok(own.bytes < 0.01, `bytes: ${percent(own.bytes)} off`);
  const distances = [
    `pinfs is off by ${percent(own.hits)} of uses and ${percent(own.bytes)} of bytes`,
    `plain LRU by ${percent(lru.hits)} and ${percent(lru.bytes)}`,
  ];
  t.comment(distances.join(', '));
  t.ok(own.hits < lru.hits, 'plain LRU, which knows no blocks and no batches, is farther away');
});
