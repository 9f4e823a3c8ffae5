/**
 * `node dist/bench/drivers.js [--rounds N] [--small] [--pin]`: both drivers side by side
 * (bench/README.md), each figure as a ratio to a baseline of the same run; the variants take turns within each round.
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { median } from './median.js';
import {
  fullSize,
  mount,
  openWorkbench,
  probe,
  run,
  type Requests,
  type Workbench,
} from './workbench.js';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    small: { type: 'boolean', default: false },
    pin: { type: 'boolean', default: false },
    drivers: { type: 'string', default: 'fuse-native,kernel' },
  },
});

// Of a pipe, each command has to end well.
const shell = (command: string): string[] => ['bash', '-o', 'pipefail', '-c', command];
const walk = shell('find . -ls');
const tar = shell('tar cf - --exclude=./big.bin . | cat');
const list = shell('ls -lR .');
const readBig = shell('dd if=big.bin of=/dev/null bs=1M status=none');
const workloads = [
  ['walk', walk],
  ['tar', tar],
  ['list', list],
] as const;
const prefix = values.pin ? ['taskset', '-c', '0'] : [];

/** Milliseconds, or requests, by what was measured. */
const measured = new Map<string, number[]>();

function note(name: string, value: number): void {
  measured.set(name, [...(measured.get(name) ?? []), value]);
}

function of(name: string): number {
  return median(measured.get(name) ?? []);
}

async function localRound(bench: Workbench): Promise<void> {
  const { local } = bench;
  for (const [name, command] of workloads) {
    // Once for the page cache: the baseline is a warm disk.
    await run([...prefix, ...command], local);
    note(`local ${name}`, await run([...prefix, ...command], local));
  }
  note('local copy', await run(['cp', '-r', local, join(bench.directory, 'copy')]));
  await run(['rm', '-rf', join(bench.directory, 'copy')]);
  note('local random', await probe('random-read', [join(local, 'big.bin')], prefix));
  note('local absent', await probe('absent', [local], prefix));
  note('node', await run([process.execPath, '-e', '0']));
}

async function coldRound(bench: Workbench, driver: string, round: number): Promise<void> {
  const cache = join(bench.directory, `cold-${driver}-${round}`);
  const cold = await mount(bench, driver, cache, prefix);
  note(`${driver} cold walk`, await run([...prefix, ...walk], cold.path));
  note(`${driver} cold tar`, await run([...prefix, ...tar], cold.path));
  await cold.unmount();
  await run(['rm', '-rf', cache]);
}

/** Fresh mount (kernel caches dropped) over a full disk cache: each workload first, then again. */
async function warmRound(bench: Workbench, driver: string): Promise<void> {
  const cache = join(bench.directory, `cache-${driver}`);
  for (const [name, command] of workloads) {
    // What is measured is the driver, not how scattered the cache lies on the disk.
    await run(shell(`find ${join(cache, 'objects')} -type f -exec cat {} +`));
    const warm = await mount(bench, driver, cache, prefix);
    const before = await warm.requests();
    note(`${driver} ${name} first`, await run([...prefix, ...command], warm.path));
    const between = await warm.requests();
    note(`${driver} ${name} again`, await run([...prefix, ...command], warm.path));
    const after = await warm.requests();
    noteRequests(`${driver} ${name} first`, before, between);
    noteRequests(`${driver} ${name} again`, between, after);
    if (name === 'list') {
      note(`${driver} absent`, await probe('absent', [warm.path], prefix));
      await bigPairs(bench, driver, warm.path);
      note(`${driver} random`, await probe('random-read', [join(warm.path, 'big.bin')], prefix));
      note(`${driver} rss`, (await warm.status()).rss / 2 ** 20);
    }
    await warm.unmount();
  }
}

/** From the source and by name, as a user does; by hash nobody has to be asked. */
async function mountRound(bench: Workbench, driver: string): Promise<void> {
  const cache = join(bench.directory, `cache-${driver}`);
  for (const pin of ['tag', 'hash'] as const) {
    const started = performance.now();
    const mounted = await mount(bench, driver, cache, prefix, bench[pin]);
    await run(['ls', mounted.path]);
    note(`${driver} mount by ${pin}`, performance.now() - started);
    await mounted.unmount();
  }
}

/** The 512 MiB file from the local disk and through the mount, by turns, with no page of either in memory. */
async function bigPairs(bench: Workbench, driver: string, path: string): Promise<void> {
  for (let pair = 0; pair < 3; pair++) {
    await dropPages();
    note(`local big`, await run([...prefix, ...readBig], bench.local));
    await dropPages();
    note(`${driver} big`, await run([...prefix, ...readBig], path));
  }
}

function noteRequests(name: string, before: Requests, after: Requests): void {
  let sum = 0;
  for (const [opcode, count] of Object.entries(after)) {
    const more = count - (before[opcode] ?? 0);
    if (more > 0) note(`${name}: ${opcode}`, more);
    sum += more;
  }
  note(`${name}: requests`, sum);
}

/** Requests by opcode, in the median. */
function requestsOf(name: string): string {
  const opcodes = [...measured.keys()].filter((key) => key.startsWith(`${name}: `));
  return opcodes.map((key) => `${key.slice(name.length + 2)} ${of(key)}`).join(', ');
}

/** The page cache of the local disk; needs root, otherwise "first read" means what is in memory. */
async function dropPages(): Promise<void> {
  await run(shell('sync'));
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '1');
  } catch {
    note('pages not dropped', 1);
  }
}

function report(drivers: readonly string[]): string {
  const rows: string[] = [];
  const row = (what: string, value: number, baseline: string): void => {
    const base = of(baseline);
    rows.push(`| ${what} | ${value.toFixed(0)} ms | ${baseline} | ${(value / base).toFixed(2)} |`);
  };
  for (const driver of drivers) {
    row(`${driver}: mount of a tag until ls`, of(`${driver} mount by tag`), 'node');
    row(`${driver}: mount of a hash until ls`, of(`${driver} mount by hash`), 'node');
    row(`${driver}: cold walk`, of(`${driver} cold walk`), 'local copy');
    row(`${driver}: cold tar`, of(`${driver} cold tar`), 'local copy');
    for (const name of ['walk', 'tar', 'list']) {
      row(`${driver}: ${name}, first`, of(`${driver} ${name} first`), `local ${name}`);
      row(`${driver}: ${name}, again`, of(`${driver} ${name} again`), `local ${name}`);
      for (const time of ['first', 'again']) {
        const what = `${driver} ${name} ${time}`;
        rows.push(`| ${driver}: ${name}, ${time}: ${requestsOf(what)} | | | |`);
      }
    }
    row(`${driver}: 512 MiB sequential, first`, of(`${driver} big`), 'local big');
    row(`${driver}: random 4 KiB, warm`, of(`${driver} random`), 'local random');
    row(`${driver}: absent names, second time`, of(`${driver} absent`), 'local absent');
    rows.push(`| ${driver}: resident memory | ${of(`${driver} rss`).toFixed(0)} MiB | | |`);
  }
  if (drivers.includes('kernel') && drivers.includes('fuse-native')) {
    for (const name of ['walk', 'tar', 'list']) {
      row(`kernel: ${name}, first`, of(`kernel ${name} first`), `fuse-native ${name} first`);
    }
  }
  return ['| what | median | baseline | ratio |', '| --- | --- | --- | --- |', ...rows, ''].join(
    '\n',
  );
}

async function main(): Promise<void> {
  const drivers = values.drivers.split(',');
  const small = { files: 1000, directories: 100, nestedCatalogs: 5, bigFile: 32 * 2 ** 20 };
  process.stderr.write('making the repository\n');
  const bench = await openWorkbench(values.small ? small : fullSize);
  try {
    for (const driver of drivers) {
      const first = await mount(bench, driver, join(bench.directory, `cache-${driver}`), prefix);
      await run(shell('tar cf - . | cat'), first.path);
      await first.unmount();
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      process.stderr.write(`round ${round + 1}\n`);
      await localRound(bench);
      const order = round % 2 === 0 ? drivers : [...drivers].reverse();
      for (const driver of order) {
        await mountRound(bench, driver);
        await coldRound(bench, driver, round);
        await warmRound(bench, driver);
      }
    }
    process.stdout.write(report(drivers));
  } finally {
    await bench.close();
  }
}

await main();
