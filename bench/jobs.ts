/**
 * `node dist/bench/jobs.js`: records four kinds of jobs on a mount, and replays them under every policy: does another
 * policy than the cache's own clearly win? The mounted tree is made of this machine's C++ headers and Python library
 * (Debian: g++, python3), and of data for an analysis. Run it as root.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { policies, policyNames } from '../lib/laboratory/policies.js';
import { seededRandom, shuffled } from '../lib/laboratory/random.js';
import { replay } from '../lib/laboratory/replay.js';
import { footprintOf } from '../lib/laboratory/requests.js';
import { requestsOfTraces } from '../lib/laboratory/trace-requests.js';
import { directory, file, makeSmallRepository, nested } from '../lib/publish/write-repository.js';
import type { EntrySpec, TreeSpec } from '../lib/publish/write-repository.js';
import { program } from '../lib/testing/program.js';
import { makeContent } from '../lib/testing/trees.js';
import { readTraceFile } from '../lib/trace/read-trace-file.js';

const fileBytesMax = 4 * 2 ** 20;

/** Regular files and directories of a local directory. */
function treeOf(path: string, isWanted: (name: string) => boolean): TreeSpec {
  const entries = readdirSync(path, { withFileTypes: true }).filter(({ name }) => isWanted(name));
  return Object.fromEntries(
    entries.flatMap((entry): (readonly [string, EntrySpec])[] => {
      const below = join(path, entry.name);
      if (entry.isDirectory()) return [[entry.name, directory(treeOf(below, isWanted))]];
      if (!entry.isFile()) return [];
      const content = readFileSync(below);
      return content.length > fileBytesMax ? [] : [[entry.name, file(content)]];
    }),
  );
}

const [library = ''] = readdirSync('/usr/lib')
  .filter((name) => /^python3\.\d+$/.test(name))
  .map((name) => join('/usr/lib', name));
const calibrations = 60;
const runs = 30;

function makeTree(): TreeSpec {
  const random = seededRandom(7);
  const some = (count: number, bytes: number) =>
    directory(
      Object.fromEntries(
        Array.from({ length: count }, (_, at) => [
          String(at),
          file(makeContent(at, bytes, 32, random)),
        ]),
      ),
    );
  return {
    headers: nested(treeOf('/usr/include', (name) => name !== 'node')),
    python: nested(treeOf(library, (name) => !/^(__pycache__|test|config-.*)$/.test(name))),
    calibrations: some(calibrations, 20_000),
    runs: some(runs, 1_000_000),
  };
}

const modules =
  'json csv argparse asyncio email http.client sqlite3 unittest logging decimal xml.dom.minidom tarfile'.split(
    ' ',
  );
const headers =
  'vector map string regex iostream thread random algorithm future filesystem memory functional'.split(
    ' ',
  );

type Job = (mountpoint: string, seed: number) => string;

/** Shell commands; each reads as its kind of job does, in an order that the seed decides. */
const jobs = {
  compile: (at, seed) => {
    const flags = `-nostdinc++ -isystem ${at}/headers/c++/12 -isystem ${at}/headers/x86_64-linux-gnu/c++/12 -isystem ${at}/headers -isystem ${at}/headers/x86_64-linux-gnu`;
    return Array.from({ length: 6 }, (_, unit) => {
      const some = shuffled(headers, seededRandom(seed * 100 + unit)).slice(0, 4);
      const text = some.map((name) => `#include <${name}>\\n`).join('');
      return `printf '${text}' | g++ ${flags} -fsyntax-only -x c++ -`;
    }).join(' && ');
  },
  python: (at, seed) =>
    Array.from({ length: 6 }, (_, start) => {
      const some = shuffled(modules, seededRandom(seed * 100 + start)).slice(0, 6);
      const path = `import sys; sys.path[:0] = ['${at}/python']`;
      return `PYTHONHOME=${at} PYTHONPATH=${at}/python:${library}/lib-dynload python3 -S -E -B -c "${path}; import ${some.join(', ')}"`;
    }).join(' && '),
  // Each run is read once, with some calibrations again and again.
  analysis: (at, seed) => {
    const random = seededRandom(seed);
    return shuffled(
      Array.from({ length: runs }, (_, run) => run),
      random,
    )
      .slice(0, 20)
      .map((run) => {
        const needed = Array.from({ length: 8 }, () => Math.floor(calibrations * random() ** 2));
        return `cat ${needed.map((one) => `${at}/calibrations/${one}`).join(' ')} ${at}/runs/${run} > /dev/null`;
      })
      .join(' && ');
  },
} satisfies Readonly<Record<string, Job>>;

const work = mkdtempSync(join(tmpdir(), 'pinfs-jobs-'));
const mountpoint = join(work, 'mnt');

function pinfs(...args: string[]): void {
  execFileSync(process.execPath, [program, ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Records one job on a mount of its own, as on a node whose kernel keeps nothing. @returns the trace. */
function record(source: string, name: string, command: string) {
  const trace = join(work, `${name}.trace`);
  const options = ['--key', join(work, 'key.pub'), '--cache', join(work, 'cache')];
  pinfs(
    'mount',
    ...options,
    '--record',
    trace,
    '--record-all',
    '--ahead',
    'off',
    source,
    mountpoint,
  );
  try {
    execFileSync('sh', ['-c', command], {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: 240_000,
    });
    pinfs('record', 'stop', mountpoint);
  } finally {
    pinfs('umount', '--force', mountpoint);
  }
  return readTraceFile(trace);
}

const shares = [0.05, 0.1, 0.2, 0.4, 0.7];

function table(name: string, traces: readonly ReturnType<typeof record>[]): string[] {
  const { requests } = requestsOfTraces(traces);
  const { bytes } = footprintOf(requests);
  const rows = policyNames.map((policy) => {
    const missed = shares.map((share) => {
      const capacity = Math.round(share * bytes);
      const { accesses, hits } = replay(requests, { open: policies[policy], capacity });
      return `${((100 * (accesses - hits)) / accesses).toFixed(1)} %`;
    });
    return `| ${policy} | ${missed.join(' | ')} |`;
  });
  const sizes = shares.map((share) => `${((share * bytes) / 1e6).toFixed(1)} MB`);
  return [
    '',
    `${name}: ${requests.objects.length} uses, ${(bytes / 1e6).toFixed(1)} MB; misses under a limit of`,
    `| policy | ${sizes.join(' | ')} |`,
    `| --- |${shares.map(() => ' --- |').join('')}`,
    ...rows,
  ];
}

try {
  mkdirSync(mountpoint);
  const made = makeSmallRepository(makeTree());
  writeFileSync(join(work, 'key.pub'), made.masterKey);
  const source = `${made.writeTo(join(work, 'served'))}@v1`;
  const names = Object.keys(jobs) as (keyof typeof jobs)[];
  for (const name of names)
    console.log(table(name, [record(source, name, jobs[name](mountpoint, 1))]).join('\n'));
  const eight = Array.from({ length: 8 }, (_, at) => {
    const name = names[at % names.length] ?? 'analysis';
    return record(source, `job${at}`, jobs[name](mountpoint, at + 2));
  });
  console.log(table('eight jobs at once', eight).join('\n'));
} finally {
  rmSync(work, { recursive: true, force: true });
}
