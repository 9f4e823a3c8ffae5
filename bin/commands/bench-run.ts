import { execFile, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { errorCodes, PinfsError } from '../../lib/format/errors.js';
import { decoder, parseJson } from '../../lib/format/schema.js';
import { temporaryDirectory } from '../../lib/machine/places.js';
import { shownSource } from '../../lib/mount/mount-spec.js';
import type { MountStatus } from '../../lib/mount/session/status.js';
import { readStatus } from '../../lib/mount/session/status-json.js';
import { hitRate } from '../../lib/store/cache/counted.js';

export interface Figure {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

/** What one state showed over all runs. */
export interface StateFigures {
  readonly milliseconds: Figure | undefined;
  /** Requests and bytes over the network, hit rate of the cache, requests of the kernel. */
  readonly requests?: Figure | undefined;
  readonly bytes?: Figure | undefined;
  readonly hitRate?: Figure | undefined;
  readonly kernelRequests?: Figure | undefined;
}

export interface BenchReport {
  readonly source: string;
  readonly workload: string;
  readonly repeats: number;
  readonly driver: string;
  /** `mount`: with an empty cache; `remount`: with the cache of the first run. */
  readonly states: Readonly<Record<'mount' | 'cold' | 'hot' | 'remount' | 'warm', StateFigures>>;
}

interface Run {
  readonly milliseconds: number;
  readonly requests: number;
  readonly bytes: number;
  readonly hits: number;
  readonly misses: number;
  readonly kernelRequests: number;
}

const workloads: Readonly<Record<string, string>> = {
  walk: 'find . -ls > /dev/null',
  // tar reads no file whose archive goes to /dev/null itself; the status of a pipe is its last command's.
  tar: 'exit "$({ { tar cf - . 3>&-; echo "$?" >&3; } | cat > /dev/null; } 3>&1)"',
};

const execute = promisify(execFile);

/**
 * Mounts `repeats` times with an empty cache: the first run of the workload is cold, the same again
 * hot; then once more with the cache and a fresh mount: warm. What the mounts warn of is told once.
 * @throws PinfsError of the mount; WORKLOAD_FAILED; INTERRUPTED. Nothing stays mounted.
 */
export async function runBench(
  source: string,
  mountArguments: readonly string[],
  workload: string,
  repeats: number,
  progress: (run: number) => void,
): Promise<BenchReport> {
  const directory = realpathSync(mkdtempSync(join(temporaryDirectory(), 'pinfs-bench-')));
  const mountpoint = join(directory, 'mnt');
  mkdirSync(mountpoint);
  const interrupted = new AbortController();
  const interrupt = (): void => {
    interrupted.abort(new PinfsError('INTERRUPTED', 'the benchmark was interrupted'));
  };
  for (const signal of signals) process.once(signal, interrupt);
  const runs: Record<'cold' | 'warm' | 'hot', Run[]> = { cold: [], warm: [], hot: [] };
  const mounts: Record<'cold' | 'warm', number[]> = { cold: [], warm: [] };
  const warned = new Set<string>();
  let driver = '';
  try {
    for (let index = 0; index < repeats; index++) {
      const cache = join(directory, `cache-${index}`);
      const mount = async (): Promise<number> => {
        const started = performance.now();
        const args = ['mount', ...mountArguments, '--cache', cache, source, mountpoint];
        const { stderr } = await pinfs(args);
        const milliseconds = performance.now() - started;
        if (!warned.has(stderr)) process.stderr.write(stderr);
        warned.add(stderr);
        return milliseconds;
      };
      const run = (): Promise<Run> => timed(workload, mountpoint, interrupted.signal);
      mounts.cold.push(await mount());
      runs.cold.push(await run());
      runs.hot.push(await run());
      driver = (await status(mountpoint)).driver;
      await pinfs(['umount', '--force', mountpoint]);
      mounts.warm.push(await mount());
      runs.warm.push(await run());
      await pinfs(['umount', '--force', mountpoint]);
      rmSync(cache, { recursive: true, force: true });
      progress(index + 1);
    }
  } catch (thrown) {
    // What the signal ended on its way is not what went wrong.
    interrupted.signal.throwIfAborted();
    throw thrown;
  } finally {
    await leave(mountpoint);
    rmSync(directory, { recursive: true, force: true });
    for (const signal of signals) process.off(signal, interrupt);
  }
  return {
    source: shownSource(source),
    workload,
    repeats,
    driver,
    states: {
      mount: { milliseconds: figure(mounts.cold) },
      cold: figures(runs.cold),
      hot: figures(runs.hot),
      remount: { milliseconds: figure(mounts.warm) },
      warm: figures(runs.warm),
    },
  };
}

const signals = ['SIGINT', 'SIGTERM'] as const;

/** Unmounts, where something is still mounted. */
async function leave(mountpoint: string): Promise<void> {
  try {
    await pinfs(['umount', '--force', mountpoint]);
  } catch (thrown) {
    if (!(thrown instanceof PinfsError) || thrown.code !== 'NOT_MOUNTED') throw thrown;
  }
}

async function timed(workload: string, mountpoint: string, signal: AbortSignal): Promise<Run> {
  const before = await status(mountpoint);
  const started = performance.now();
  await shell(workload, mountpoint, signal);
  const milliseconds = performance.now() - started;
  const after = await status(mountpoint);
  return {
    milliseconds,
    requests: after.traffic.requests - before.traffic.requests,
    bytes: after.traffic.bytes - before.traffic.bytes,
    hits: after.store.hits - before.store.hits,
    misses: after.store.misses - before.store.misses,
    kernelRequests: total(after.requests) - total(before.requests),
  };
}

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

async function shell(workload: string, cwd: string, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const child = spawn('sh', ['-c', workloads[workload] ?? workload], {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
    // A group of its own, so that all of it can be ended.
    detached: true,
  });
  const stop = (): void => {
    // Node knows no number where the program could not be started.
    if (child.pid !== undefined) killGroup(child.pid);
  };
  signal.addEventListener('abort', stop);
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', resolve);
  }).finally(() => {
    signal.removeEventListener('abort', stop);
  });
  signal.throwIfAborted();
  if (code === 0) return;
  throw new PinfsError(
    'WORKLOAD_FAILED',
    `the workload '${workload}' ended with ${code ?? 'a signal'}`,
  );
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader);
  } catch {
    // It has just ended.
  }
}

const readList = decoder((v) =>
  v.object({
    mounts: v.array(v.object({ mountpoint: v.string(), status: v.optional(v.unknown()) })),
  }),
);

async function status(mountpoint: string): Promise<MountStatus> {
  const { stdout } = await pinfs(['status']);
  const listed = readList(parseJson(stdout))?.mounts.find((one) => one.mountpoint === mountpoint);
  const found = readStatus(listed?.status);
  if (found === undefined) {
    throw new PinfsError('NOT_MOUNTED', `${mountpoint} is not mounted any more`);
  }
  return found;
}

async function pinfs(args: readonly string[]): Promise<{ stdout: string; stderr: string }> {
  const script = process.argv[1] ?? '';
  try {
    return await execute(process.execPath, [script, ...args, '--json'], {
      maxBuffer: 16 * 2 ** 20,
    });
  } catch (thrown) {
    throw errorOf(String((thrown as { stdout?: unknown }).stdout)) ?? thrown;
  }
}

const readPrinted = decoder((v) =>
  v.object({
    error: v.object({
      code: v.picklist(errorCodes),
      message: v.string(),
      advice: v.nullish(v.string()),
    }),
  }),
);

/** The error that a pinfs of ours printed. */
function errorOf(stdout: string): PinfsError | undefined {
  const error = readPrinted(parseJson(stdout))?.error;
  if (error === undefined) return undefined;
  const { code, message, advice } = error;
  return new PinfsError(code, message, typeof advice === 'string' ? { advice } : {});
}

function figures(runs: readonly Run[]): StateFigures {
  return {
    milliseconds: figure(runs.map((run) => run.milliseconds)),
    requests: figure(runs.map((run) => run.requests)),
    bytes: figure(runs.map((run) => run.bytes)),
    hitRate: figure(runs.map(hitRate).filter((rate) => rate !== undefined)),
    kernelRequests: figure(runs.map((run) => run.kernelRequests)),
  };
}

function figure(values: readonly number[]): Figure | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const low = sorted[Math.ceil(middle) - 1];
  const high = sorted[Math.floor(middle)];
  const min = sorted[0];
  const max = sorted.at(-1);
  if (low === undefined || high === undefined || min === undefined || max === undefined)
    return undefined;
  return { median: (low + high) / 2, min, max };
}
