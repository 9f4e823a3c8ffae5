import { execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import { errorCodes, PinfsError } from '../../lib/format/errors.js';
import { decoder, parseJson } from '../../lib/format/schema.js';
import type { BenchSample } from '../../lib/laboratory/results/bench-result.js';
import { classesBetween, latencyOf } from '../../lib/laboratory/results/latencies.js';
import type { MountStatus } from '../../lib/mount/session/status.js';
import { readStatus } from '../../lib/mount/session/status-json.js';

const workloads: Readonly<Record<string, string>> = {
  walk: 'find . -ls > /dev/null',
  // tar reads no file whose archive goes to /dev/null itself; the status of a pipe is its last command's.
  tar: 'exit "$({ { tar cf - . 3>&-; echo "$?" >&3; } | cat > /dev/null; } 3>&1)"',
};

const execute = promisify(execFile);

/**
 * Runs a workload on a mount, so many of it at once, and looks at what it cost.
 * @throws PinfsError WORKLOAD_FAILED; what the signal says.
 */
export async function measure(
  workload: string,
  { mountpoint, clients, round }: { mountpoint: string; clients: number; round: number },
  signal: AbortSignal,
): Promise<BenchSample> {
  const before = await mountStatusOf(mountpoint);
  const started = performance.now();
  const clientMilliseconds = await Promise.all(
    Array.from({ length: clients }, async () => {
      await shell(workload, mountpoint, signal);
      return performance.now() - started;
    }),
  );
  const milliseconds = performance.now() - started;
  const after = await mountStatusOf(mountpoint);
  return { round, milliseconds, clientMilliseconds, ...costs(before, after) };
}

function costs(
  before: MountStatus,
  after: MountStatus,
): Omit<BenchSample, 'round' | 'milliseconds' | 'clientMilliseconds'> {
  const layers = Object.entries(after.layers ?? {}).map(
    ([name, ms]) => [name, Math.max(0, ms - (before.layers?.[name] ?? 0))] as const,
  );
  const latencies = Object.entries(after.latencyClasses ?? {})
    .map(([name, classes]) => {
      return [name, classesBetween(before.latencyClasses?.[name] ?? [], classes)] as const;
    })
    .filter(([, classes]) => classes.length > 0);
  return {
    requests: after.traffic.requests - before.traffic.requests,
    bytes: after.traffic.bytes - before.traffic.bytes,
    hits: after.store.hits - before.store.hits,
    misses: after.store.misses - before.store.misses,
    stored: after.store.stored - before.store.stored,
    evicted: after.store.evicted - before.store.evicted,
    kernelRequests: total(after.requests) - total(before.requests),
    layers: Object.fromEntries(layers),
    latencies: Object.fromEntries(
      latencies.map(([name, classes]) => [name, latencyOf(classes)] as const),
    ),
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

/** What the mount there says of itself. @throws PinfsError NOT_MOUNTED */
export async function mountStatusOf(mountpoint: string): Promise<MountStatus> {
  const { stdout } = await runPinfs(['status']);
  const listed = readList(parseJson(stdout))?.mounts.find((one) => one.mountpoint === mountpoint);
  const found = readStatus(listed?.status);
  if (found === undefined) {
    throw new PinfsError('NOT_MOUNTED', `${mountpoint} is not mounted any more`);
  }
  return found;
}

/** A command of this program, in a process of its own. @throws the error that it printed */
export async function runPinfs(
  args: readonly string[],
): Promise<{ stdout: string; stderr: string }> {
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
