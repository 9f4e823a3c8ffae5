import { createRequire } from 'node:module';

/**
 * What was needed for work is not given back by itself. glibc keeps what was freed between things that are still in
 * use: half of what a mount holds right after a cold `tar` was memory in which V8 had compiled. V8 keeps garbage until
 * more is needed, for ever in a thread that does not return to its event loop. To tell glibc takes 1 to 5 ms, to collect
 * 5 to 25 ms: the first is done from time to time while there is work, both when a process, or a thread, has come to rest.
 */

/** How often it is looked whether there is something to give back (ms). */
const lookIntervalMs = 1000;

/** Who used less CPU than this since the last look rests (ms). */
const restingCpuMsMax = 30;

/** Who used less than this since it rested last has no garbage that would be worth it (ms). */
const garbageCpuMsMin = 200;

/** V8 makes the room for new objects smaller only if hardly any were made within 5 s: it is told again then. */
const collectingLooks: readonly number[] = [1, 7];

/** While there is work memory is given back each time that so much was used (ms). */
const busyCpuMsMin = 1500;

export type Chance = 'busy' | 'resting';

/** Looks at the CPU time (ms) that was used so far: whether memory is to be given back, and garbage collected before. */
export function createRestWatch(startMs: number): (usedMs: number) => Chance | undefined {
  let last = startMs;
  let given = startMs;
  let rested = startMs;
  let restfulLooks = Infinity;
  return (usedMs) => {
    const isResting = usedMs - last < restingCpuMsMax;
    last = usedMs;
    if (!isResting) {
      if (usedMs - given < busyCpuMsMin) return undefined;
      given = usedMs;
      return 'busy';
    }
    if (usedMs - rested >= garbageCpuMsMin) {
      rested = given = usedMs;
      restfulLooks = 0;
    }
    restfulLooks += 1;
    return collectingLooks.includes(restfulLooks) ? 'resting' : undefined;
  };
}

/** Gives memory back to the machine when this process was busy; keeps nothing alive. */
export function giveMemoryBack(): void {
  const look = createRestWatch(0);
  let giveBack: (() => void) | undefined;
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    const chance = look((user + system) / 1000);
    if (chance === undefined) return;
    if (chance === 'resting') collectGarbage();
    giveBack ??= bindTrim();
    giveBack();
  }, lookIntervalMs).unref();
}

/**
 * For a thread that calls this whenever it has nothing to do: collects its garbage once it has come to rest.
 * @param collect for tests. @returns to be called with the time, and with how much of it this thread has worked (ms).
 */
export function collectAtRest(collect = collectGarbage): (nowMs: number, workedMs: number) => void {
  const look = createRestWatch(0);
  let lookedMs = -Infinity;
  return (nowMs, workedMs) => {
    if (nowMs - lookedMs < lookIntervalMs) return;
    lookedMs = nowMs;
    if (look(workedMs) === 'resting') collect();
  };
}

/** Nothing where Node was started without `servingArguments` (memory.ts). */
function collectGarbage(): void {
  (globalThis as { readonly gc?: () => void }).gc?.();
}

/** malloc_trim(3); nothing where koffi or that function can't be had. */
function bindTrim(): () => void {
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const mallocTrim = koffi.load(null).func('int malloc_trim(size_t)') as (pad: number) => number;
    return () => void mallocTrim(0);
  } catch {
    return () => undefined;
  }
}
