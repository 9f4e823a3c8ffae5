import { spawn, spawnSync } from 'node:child_process';
import {
  appendFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, loadavg } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { seededRandom } from '../lib/laboratory/random.js';
import { median } from './median.js';

/**
 * `pinfs publish` as a whole, against what else reads the same files in the same rounds: 20,000 files and one large
 * file against `tar | pigz`, a revision that changes 10 files of 200,000 against `find -printf`.
 * `node dist/bench/publish.js [--only files,large,revision] [--small] [--rounds N] [--work DIR]`; needs pigz.
 */
const args = process.argv.slice(2);
const after = (flag: string): string | undefined => args[args.indexOf(flag) + 1 || args.length];
const isSmall = args.includes('--small');
const roundCount = Number(after('--rounds') ?? 3);
const only = after('--only')?.split(',');
const work = mkdtempSync(join(after('--work') ?? '/var/tmp', 'pinfs-publish-'));
const fqrn = 'bench.example.org';
const storage = join(work, 'storage');
const program = fileURLToPath(new URL('../bin/pinfs.js', import.meta.url));
// What was made just now is not believed the next time.
const youngMs = 3000;

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
    appendFileSync(join(directory, 'large'), content(2 ** 20, random));
}

const filesInPackage = 1000;

/** Packages of 25 directories with 40 files each, and a catalog for each package. */
function makePackages(directory: string, count: number): void {
  for (let index = 0; index < count; index++) {
    const number = Math.floor(index / filesInPackage);
    const folder = join(directory, `package${number}`, `dir${index % 25}`);
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, `file${index}`), `file ${index}\n`);
    if (index % filesInPackage === 0)
      writeFileSync(join(directory, `package${number}`, '.cvmfscatalog'), '');
  }
}

/** Ten files, in ten packages where there are so many. */
function changeFiles(directory: string, count: number, round: number): void {
  for (let change = 0; change < 10; change++) {
    const index = Math.floor((change * count) / 10);
    const number = Math.floor(index / filesInPackage);
    const path = join(directory, `package${number}`, `dir${index % 25}`, `file${index}`);
    writeFileSync(path, `file ${index} of round ${round}\n`);
  }
}

interface Ran {
  readonly seconds: number;
  /** Resident at most (MiB). */
  readonly memory: number;
}

/** Runs the command in a process of its own. */
async function pinfs(...words: string[]): Promise<Ran> {
  const start = performance.now();
  const child = spawn(process.execPath, [program, ...words], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, HOME: join(work, 'home'), XDG_STATE_HOME: '', XDG_CONFIG_HOME: '' },
  });
  let memory = 0;
  const timer = setInterval(() => (memory = Math.max(memory, peakOf(child.pid))), 20);
  const code = await new Promise((resolve) => child.on('close', resolve));
  clearInterval(timer);
  if (code !== 0) throw new Error(`pinfs ${words.join(' ')} ended with ${String(code)}`);
  return { seconds: (performance.now() - start) / 1000, memory };
}

function peakOf(pid: number | undefined): number {
  try {
    const status = readFileSync(`/proc/${pid ?? 0}/status`, 'latin1');
    return Math.round(Number(/^VmHWM:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024);
  } catch {
    return 0;
  }
}

const publish = (tree: string): Promise<Ran> =>
  pinfs('publish', fqrn, '--storage', storage, '--from', tree);

async function createRepository(): Promise<void> {
  for (const path of [storage, join(work, 'home')]) rmSync(path, { recursive: true, force: true });
  mkdirSync(join(work, 'home'));
  await pinfs('repo', 'create', fqrn, '--storage', storage);
}

function shell(command: string): number {
  const start = performance.now();
  const { status } = spawnSync('bash', ['-o', 'pipefail', '-c', command], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error(`${command} failed`);
  return (performance.now() - start) / 1000;
}

function tarPigz(tree: string): number {
  const packed = join(work, 'tree.tgz');
  return shell(`tar -C '${tree}' -cf - . | pigz > '${packed}' && sync '${packed}'`);
}

interface Row {
  readonly name: string;
  readonly title: string;
  readonly baseline: string;
  readonly most: number;
  make(tree: string): Promise<void> | void;
  round(tree: string, round: number): Promise<{ ours: Ran; theirs: number }>;
}

const against = async (tree: string): Promise<{ ours: Ran; theirs: number }> => {
  const theirs = tarPigz(tree);
  await createRepository();
  return { theirs, ours: await publish(tree) };
};
const [fileCount, megabytes, entryCount] = isSmall ? [2000, 256, 20_000] : [20_000, 2048, 200_000];
const rows: readonly Row[] = [
  {
    ...{ name: 'files', title: `${fileCount} files`, baseline: 'tar | pigz', most: 1.5 },
    make: (tree) => makeFiles(tree, fileCount),
    round: against,
  },
  {
    ...{ name: 'large', title: `${megabytes} MiB in one file`, baseline: 'tar | pigz', most: 1.5 },
    make: (tree) => makeLarge(tree, megabytes),
    round: against,
  },
  {
    ...{ name: 'revision', title: `10 of ${entryCount} files`, baseline: 'find', most: 3 },
    async make(tree) {
      makePackages(tree, entryCount);
      await createRepository();
      await sleep(youngMs);
      await publish(tree);
    },
    async round(tree, round) {
      changeFiles(tree, entryCount, round);
      await sleep(youngMs);
      const theirs = shell(`find '${tree}' -printf '%p %s %i %T@ %C@\\n' > '${work}/found'`);
      return { theirs, ours: await publish(tree) };
    },
  },
];

async function measure(row: Row): Promise<void> {
  const tree = join(work, 'tree');
  await row.make(tree);
  const times: { ours: Ran; theirs: number }[] = [];
  for (let round = 0; round < roundCount; round++) times.push(await row.round(tree, round));
  const ours = median(times.map((one) => one.ours.seconds));
  const theirs = median(times.map((one) => one.theirs));
  const ratio = median(times.map((one) => one.ours.seconds / one.theirs));
  const memory = Math.max(...times.map((one) => one.ours.memory));
  process.stdout.write(
    `${row.name}: ${row.title}: ${ours.toFixed(1)} s, ${row.baseline} ${theirs.toFixed(1)} s, ` +
      `ratio ${ratio.toFixed(2)} (to reach: ${row.most}); ${memory} MiB at most (300); ` +
      `${availableParallelism()} cores, load ${loadavg()[0]?.toFixed(1) ?? '?'}\n`,
  );
  rmSync(tree, { recursive: true });
}

try {
  for (const row of rows) if (only?.includes(row.name) ?? true) await measure(row);
} finally {
  rmSync(work, { recursive: true, force: true });
}
