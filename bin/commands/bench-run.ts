import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PinfsError } from '../../lib/format/errors.js';
import { seededRandom, shuffled } from '../../lib/laboratory/random.js';
import {
  timeSample,
  type BenchCase,
  type BenchPrediction,
  type BenchSample,
  type BenchState,
} from '../../lib/laboratory/results/bench-result.js';
import { temporaryDirectory } from '../../lib/machine/places.js';
import { shownSource } from '../../lib/mount/mount-spec.js';
import type { MountStatus } from '../../lib/mount/session/status.js';
import { openLine, type FarLine } from './bench-line.js';
import type { PlannedCase } from './bench-plan.js';
import { foretell } from './bench-prediction.js';
import { measure, mountStatusOf, runPinfs } from './bench-workload.js';
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
  prediction: BenchPrediction | undefined;
}

/**
 * Mounts each case `repeats` times with an empty cache: the first run of the workload is cold, the same again
 * hot; then once more with the cache and a fresh mount: warm. In each round the cases take turns, in an order that
 * the seed decides. What the mounts warn of is told once. Where limits are compared, one more run of each is recorded,
 * by which those under the limits are foretold.
 * @param progress told how many rounds of cases are done, of `roundsOf` them.
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
    for (const alike of comparedLimits(played)) {
      await foretellAll(alike, order, place, interrupted.signal);
      progress(++done);
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
    prediction: undefined,
  };
}

interface BenchPlace {
  readonly directory: string;
  readonly mountpoint: string;
  readonly warned: Set<string>;
}

/** Words of a command line that mounts a case, but for the limit of its cache. */
function mountWords(
  { planned, line }: Played,
  { mountArguments }: BenchOrder,
  { directory, mountpoint }: BenchPlace,
): string[] {
  const { pin, driver } = planned;
  const source = `${line?.source ?? planned.source}${pin === undefined ? '' : `@${pin}`}`;
  return [
    ...mountArguments,
    ...(driver === undefined ? [] : ['--driver', driver]),
    ...['--cache', join(directory, 'cache'), source, mountpoint],
  ];
}

async function playRound(
  played: Played,
  order: BenchOrder,
  place: BenchPlace & { readonly round: number },
  signal: AbortSignal,
): Promise<void> {
  const { planned, samples } = played;
  const { cacheLimit, clients } = planned;
  const { mountpoint, round, warned } = place;
  const limit = cacheLimit === undefined ? [] : ['--cache-limit', sizeText(cacheLimit)];
  const args = ['mount', ...limit, ...mountWords(played, order, place)];
  const mount = async (): Promise<BenchSample> => {
    const started = performance.now();
    const { stderr } = await runPinfs(args);
    const milliseconds = performance.now() - started;
    if (!warned.has(stderr)) process.stderr.write(stderr);
    warned.add(stderr);
    return timeSample(round, milliseconds);
  };
  const run = (): Promise<BenchSample> =>
    measure(order.workload, { mountpoint, clients, round }, signal);
  samples.mount.push(await mount());
  samples.cold.push(await run());
  samples.hot.push(await run());
  played.status = await mountStatusOf(mountpoint);
  await runPinfs(['umount', '--force', mountpoint]);
  samples.remount.push(await mount());
  samples.warm.push(await run());
  await runPinfs(['umount', '--force', mountpoint]);
  clearCache(place);
}

function clearCache({ directory }: BenchPlace): void {
  rmSync(join(directory, 'cache'), { recursive: true, force: true });
}

/** Cases that differ by their limit alone. */
function comparedLimits(played: readonly Played[]): Played[][] {
  const limited = played.filter(({ planned }) => planned.cacheLimit !== undefined);
  const groups = new Map<string, Played[]>();
  for (const one of limited) {
    const key = keyWithoutLimit(one.planned);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  return [...groups.values()];
}

function keyWithoutLimit({ source, pin, driver, clients }: PlannedCase): string {
  return JSON.stringify([source, pin, driver, clients]);
}

/** How often `runBench` tells of progress. */
export function roundsOf({ cases, repeats }: Pick<BenchOrder, 'cases' | 'repeats'>): number {
  const limited = cases.filter(({ cacheLimit }) => cacheLimit !== undefined);
  return repeats * cases.length + new Set(limited.map(keyWithoutLimit)).size;
}

/** Records one cold run with no limit, and replays it under the limit of each. */
async function foretellAll(
  alike: readonly Played[],
  order: BenchOrder,
  place: BenchPlace,
  signal: AbortSignal,
): Promise<void> {
  const [first] = alike;
  if (first === undefined) return;
  const { mountpoint, directory } = place;
  const trace = join(directory, 'run.trace');
  await runPinfs(['mount', '--record', trace, ...mountWords(first, order, place)]);
  const { clients } = first.planned;
  await measure(order.workload, { mountpoint, clients, round: 0 }, signal);
  // When it answers, the trace is whole.
  await runPinfs(['record', 'stop', mountpoint]);
  await runPinfs(['umount', '--force', mountpoint]);
  clearCache(place);
  for (const one of alike) {
    const { cacheLimit } = one.planned;
    if (cacheLimit !== undefined) one.prediction = foretell(trace, cacheLimit);
  }
  rmSync(trace, { force: true });
}

/** Unmounts, where something is still mounted. */
async function leave(mountpoint: string): Promise<void> {
  try {
    await runPinfs(['umount', '--force', mountpoint]);
  } catch (thrown) {
    if (!(thrown instanceof PinfsError) || thrown.code !== 'NOT_MOUNTED') throw thrown;
  }
}

function resultOf({ planned, samples, status, prediction }: Played): BenchCase {
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
    prediction: prediction ?? null,
  };
}
