/** What the benchmarks run on: a made repository, its copy on the local disk, a server, and mounts of it. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { ListedMount } from '../lib/mount/list.js';
import type { MountStatus } from '../lib/mount/session/status.js';
import {
  file,
  makeRepository,
  writeFiles,
  type TreeSpec,
} from '../lib/publish/write-repository.js';
import { program } from '../lib/testing/program.js';
import { makeTree } from '../lib/testing/trees.js';
import { writeTree } from './kept.js';

const execute = promisify(execFile);
const here = dirname(fileURLToPath(import.meta.url));

/** What can be mounted. */
export interface Served {
  /** Where the mountpoint is made. */
  readonly directory: string;
  /** URL or directory of the repository. */
  readonly url: string;
  readonly key: string;
  readonly tag: string;
}

export interface Workbench extends Served {
  /** Root hash of the same state. */
  readonly hash: string;
  /** The same tree on the local disk. */
  readonly local: string;
  close(): Promise<void>;
}

export interface BenchSize {
  readonly files: number;
  readonly directories: number;
  readonly nestedCatalogs: number;
  /** Bytes of one large file in chunks of 8 MiB. */
  readonly bigFile: number;
}

/** The repository of the figures in bench/README.md. */
export const fullSize: BenchSize = {
  files: 20_000,
  directories: 1500,
  nestedCatalogs: 40,
  bigFile: 512 * 2 ** 20,
};

const fqrn = 'bench.example.org';

export async function openWorkbench(size: BenchSize): Promise<Workbench> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), 'pinfs-workbench-')));
  const tree: TreeSpec = {
    ...makeTree({ ...size, seed: 1 }),
    'big.bin': file(noise(size.bigFile), { compression: 'none', chunks: [8 * 2 ** 20] }),
  };
  const made = makeRepository({ fqrn, revisions: [{ tree, tags: { bench: '' } }] });
  writeFiles(join(directory, 'served', fqrn), made.files);
  const key = join(directory, 'master.pub');
  writeFileSync(key, made.masterKey);
  const local = join(directory, 'local');
  writeTree(local, tree);
  const { server, url } = await startServer(join(directory, 'served'));
  return {
    directory,
    local,
    key,
    tag: 'bench',
    hash: made.head.rootHash.text,
    url: `${url}/${fqrn}`,
    close: async () => {
      const ended = new Promise((resolve) => server.once('close', resolve));
      server.kill();
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

/** Bytes that do not compress, the same each time. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  return bytes;
}

async function startServer(directory: string): Promise<{ server: ChildProcess; url: string }> {
  const server = spawn(process.execPath, [program, 'serve', '--json', directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  for await (const piece of server.stdout) {
    text += String(piece);
    if (text.trimEnd().endsWith('}')) break;
  }
  return { server, url: (JSON.parse(text) as { url: string }).url };
}

export type Requests = Readonly<Record<string, number>>;

export interface Mount {
  readonly path: string;
  /** Requests of the kernel so far, by opcode. */
  requests(): Promise<Requests>;
  status(): Promise<MountStatus>;
  unmount(): Promise<void>;
}

/** Mounts a pin with its own caches in the kernel; the disk cache is `cache`. */
export async function mount(
  bench: Served,
  driver: string,
  cache: string,
  prefix: readonly string[],
  pin = bench.tag,
): Promise<Mount> {
  const path = join(bench.directory, 'mnt');
  mkdirSync(path, { recursive: true });
  const source = `${bench.url}@${pin}`;
  const options = ['--driver', driver, '--cache', cache, '--key', bench.key, '--cache-limit', '8G'];
  await run([...prefix, process.execPath, program, 'mount', ...options, source, path]);
  const status = async (): Promise<MountStatus> => {
    const { stdout } = await execute(process.execPath, [program, 'status', '--json']);
    const { mounts } = JSON.parse(stdout) as { mounts: ListedMount[] };
    const found = mounts.find((one) => one.mountpoint === path)?.status;
    if (found === undefined || found === null) throw new Error(`${path} is not mounted`);
    return found;
  };
  return {
    path,
    status,
    requests: async () => (await status()).requests,
    unmount: async () => {
      await execute(process.execPath, [program, 'umount', path]);
    },
  };
}

/** Runs a command to its end; its output is thrown away. @returns milliseconds. */
export async function run(command: readonly string[], cwd?: string): Promise<number> {
  const [program = '', ...args] = command;
  const started = performance.now();
  const child = spawn(program, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    ...(cwd === undefined ? {} : { cwd }),
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  });
  if (code !== 0) throw new Error(`${command.join(' ')} ended with ${code ?? 'a signal'}`);
  return performance.now() - started;
}

/** Runs one of the small programs beside this file, which prints its own milliseconds. */
export async function probe(
  name: string,
  args: readonly string[],
  prefix: readonly string[],
): Promise<number> {
  const [program = process.execPath, ...rest] = [
    ...prefix,
    process.execPath,
    join(here, `${name}.js`),
    ...args,
  ];
  const { stdout } = await execute(program, rest);
  return Number(stdout);
}
