import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { readInput } from '../lib/publish/input/read.js';
import { defaultChunkSizes } from '../lib/publish/objects/content.js';
import { makeObjectWriter } from '../lib/publish/objects/writer.js';
import { openStorage } from '../lib/publish/storage/open.js';
import { seededRandom } from '../lib/laboratory/random.js';
import { median } from './median.js';

/**
 * Content to objects in a directory, against `tar | pigz` of the same files in the same rounds: 20,000 files, and one
 * large file. `node dist/bench/publish.js [--small] [--rounds N] [--work DIR]`; needs pigz.
 */
const args = process.argv.slice(2);
const after = (flag: string): string | undefined => args[args.indexOf(flag) + 1 || args.length];
const small = args.includes('--small');
const roundCount = Number(after('--rounds') ?? 3);
const work = mkdtempSync(join(after('--work') ?? '/var/tmp', 'pinfs-publish-'));
const megabyte = 2 ** 20;

/** Bytes that deflate makes about half as many of. */
function content(size: number, random: () => number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 8 <= size; at += 8) bytes.writeUInt32LE(Math.floor(random() * 2 ** 32), at);
  return bytes;
}

function makeFiles(directory: string, count: number): void {
  const random = seededRandom(7);
  for (let index = 0; index < count; index++) {
    const folder = join(directory, `dir${index % 500}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file${index}`), content(Math.floor(random() * 16384), random));
  }
}

function makeLarge(directory: string, megabytes: number): void {
  mkdirSync(directory);
  const random = seededRandom(8);
  for (let done = 0; done < megabytes; done++)
    writeFileSync(join(directory, 'large'), content(megabyte, random), { flag: 'a' });
}

async function publish(tree: string): Promise<void> {
  const storage = await openStorage(join(work, 'storage'));
  const release = await storage.lock();
  const writer = makeObjectWriter(storage, {
    algorithm: 'sha1',
    compression: 'zlib',
    chunkSizes: defaultChunkSizes,
  });
  let entries = 0;
  for await (const entry of readInput(tree, { writer }))
    entries += entry.stored === undefined ? 0 : 1;
  if (entries === 0) throw new Error('nothing was stored');
  // What a manifest does: everything before it is on the disk.
  await storage.write('.cvmfspublished', Buffer.from('end'));
  await writer.close();
  await release();
  await storage.close();
}

function tarPigz(tree: string): void {
  const command = `tar -C '${tree}' -cf - . | pigz > '${join(work, 'tree.tgz')}' && sync '${join(work, 'tree.tgz')}'`;
  const { status } = spawnSync('bash', ['-o', 'pipefail', '-c', command], { stdio: 'inherit' });
  if (status !== 0) throw new Error('tar | pigz failed');
}

async function seconds(body: () => Promise<void> | void): Promise<number> {
  const start = process.hrtime.bigint();
  await body();
  return Number(process.hrtime.bigint() - start) / 1e9;
}

const rows = [
  [
    small ? '2,000 files' : '20,000 files',
    (path: string): void => makeFiles(path, small ? 2000 : 20_000),
  ],
  [small ? '256 MiB' : '2 GiB', (path: string) => makeLarge(path, small ? 256 : 2048)],
] as const;
try {
  for (const [index, [name, make]] of rows.entries()) {
    const tree = join(work, `tree${index}`);
    make(tree);
    const times: { ours: number; theirs: number }[] = [];
    for (let round = 0; round < roundCount; round++) {
      const theirs = await seconds(() => tarPigz(tree));
      const ours = await seconds(() => publish(tree));
      rmSync(join(work, 'storage'), { recursive: true });
      times.push({ ours, theirs });
    }
    const ours = median(times.map((one) => one.ours));
    const theirs = median(times.map((one) => one.theirs));
    const ratio = median(times.map((one) => one.ours / one.theirs));
    process.stdout.write(
      `${name}: ${ours.toFixed(1)} s, tar | pigz ${theirs.toFixed(1)} s, ratio ${ratio.toFixed(2)}; ` +
        `${Math.round(process.resourceUsage().maxRSS / 1024)} MiB at most, ${availableParallelism()} cores\n`,
    );
    rmSync(tree, { recursive: true });
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
