import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PinfsError } from '../../lib/format/errors.js';
import { seededRandom, shuffled } from '../../lib/laboratory/random.js';
import type {
  BenchCase,
  BenchSample,
  BenchState,
} from '../../lib/laboratory/results/bench-result.js';
import { temporaryDirectory } from '../../lib/machine/places.js';
import { shownSource } from '../../lib/mount/mount-spec.js';
import type { MountStatus } from '../../lib/mount/session/status.js';
import { openLine, type FarLine } from './bench-line.js';
import type { PlannedCase } from './bench-plan.js';
import { measure, mountSample, mountStatusOf, runPinfs } from './bench-workload.js';
import { sizeText } from './sizes.js';

export interface BenchOrder {
  readonly cases: readonly PlannedCase[];
  /** Options of each mount, as on a command line. */
  readonly mountArguments: readonly string[];
  readonly workload: string;
  readonly repeats: number;
  /** Milliseconds that are added to each round trip, and bytes a second. */
  readonly roundTripMs: number | undefined;
  readonly lineRate: number | undefined;
  /** Of the order of the cases in each round. */
  readonly seed: number;
}

/** A case while it is measured. */
interface Played {
  readonly planned: PlannedCase;
  readonly line: FarLine | undefined;
  readonly samples: Record<BenchState, BenchSample[]>;
  status: MountStatus | undefined;
}

/**
 * Mounts each case `repeats` times with an empty cache: the first run of the workload is cold, the same again
 * hot; then once more with the cache and a fresh mount: warm. In each round the cases take turns, in an order that
 * the seed decides. What the mounts warn of is told once.
 * @param progress told how many rounds of cases are done.
 * @throws PinfsError of the mount; WORKLOAD_FAILED; INTERRUPTED. Nothing stays mounted.
 */
export async function runBench(
  order: BenchOrder,
  progress: (done: number) => void,
): Promise<BenchCase[]> {
  const directory = realpathSync(mkdtempSync(join(temporaryDirectory(), 'pinfs-bench-')));
  const mountpoint = join(directory, 'mnt');
  mkdirSync(mountpoint);
  const interrupted = new AbortController();
  const interrupt = (): void => {
    interrupted.abort(new PinfsError('INTERRUPTED', 'the benchmark was interrupted'));
  };
  for (const signal of signals) process.once(signal, interrupt);
  const played: Played[] = [];
  try {
    for (const planned of order.cases) played.push(await begin(planned, order));
    const random = seededRandom(order.seed);
    const place = { directory, mountpoint, warned: new Set<string>() };
    let done = 0;
    for (let round = 0; round < order.repeats; round++) {
      for (const one of shuffled(played, random)) {
        await playRound(one, order, { ...place, round }, interrupted.signal);
        progress(++done);
      }
    }
    return played.map(resultOf);
  } catch (thrown) {
    // What the signal ended on its way is not what went wrong.
    interrupted.signal.throwIfAborted();
    throw thrown;
  } finally {
    await leave(mountpoint);
    for (const { line } of played) await line?.close();
    rmSync(directory, { recursive: true, force: true });
    for (const signal of signals) process.off(signal, interrupt);
  }
}

const signals = ['SIGINT', 'SIGTERM'] as const;

async function begin(planned: PlannedCase, order: BenchOrder): Promise<Played> {
  const { roundTripMs, lineRate } = order;
  const isFar = roundTripMs !== undefined || lineRate !== undefined;
  return {
    planned,
    line: isFar ? await openLine(planned.source, roundTripMs ?? 0, lineRate) : undefined,
    samples: { mount: [], cold: [], hot: [], remount: [], warm: [] },
    status: undefined,
  };
}

interface RoundPlace {
  readonly directory: string;
  readonly mountpoint: string;
  readonly round: number;
  readonly warned: Set<string>;
}

async function playRound(
  played: Played,
  { mountArguments, workload }: BenchOrder,
  { directory, mountpoint, round, warned }: RoundPlace,
  signal: AbortSignal,
): Promise<void> {
  const { planned, line, samples } = played;
  const { pin, driver, cacheLimit, clients } = planned;
  const cache = join(directory, 'cache');
  const source = `${line?.source ?? planned.source}${pin === undefined ? '' : `@${pin}`}`;
  const args = [
    'mount',
    ...mountArguments,
    ...(driver === undefined ? [] : ['--driver', driver]),
    ...(cacheLimit === undefined ? [] : ['--cache-limit', sizeText(cacheLimit)]),
    ...['--cache', cache, source, mountpoint],
  ];
  const mount = async (): Promise<BenchSample> => {
    const started = performance.now();
    const { stderr } = await runPinfs(args);
    const milliseconds = performance.now() - started;
    if (!warned.has(stderr)) process.stderr.write(stderr);
    warned.add(stderr);
    return mountSample(round, milliseconds);
  };
  const run = (): Promise<BenchSample> => measure(workload, { mountpoint, clients, round }, signal);
  samples.mount.push(await mount());
  samples.cold.push(await run());
  samples.hot.push(await run());
  played.status = await mountStatusOf(mountpoint);
  await runPinfs(['umount', '--force', mountpoint]);
  samples.remount.push(await mount());
  samples.warm.push(await run());
  await runPinfs(['umount', '--force', mountpoint]);
  rmSync(cache, { recursive: true, force: true });
}

/** Unmounts, where something is still mounted. */
async function leave(mountpoint: string): Promise<void> {
  try {
    await runPinfs(['umount', '--force', mountpoint]);
  } catch (thrown) {
    if (!(thrown instanceof PinfsError) || thrown.code !== 'NOT_MOUNTED') throw thrown;
  }
}

function resultOf({ planned, samples, status }: Played): BenchCase {
  if (status === undefined) throw new PinfsError('INTERNAL', 'nothing was measured');
  const { verdict, repository, driver } = status;
  return {
    label: planned.label,
    source: shownSource(planned.source),
    pin: planned.pin ?? null,
    repository,
    rootHash: verdict.rootHash ?? '',
    revision: verdict.revision ?? null,
    driver,
    cacheLimit: planned.cacheLimit ?? null,
    clients: planned.clients,
    samples,
    prediction: null,
  };
}
