import { createRequire } from 'node:module';

/**
 * glibc keeps what was freed between things that are still in use: after a cold `tar` of 100 MB a mount held 115 to
 * 150 MB for good, and holds 65 to 90 MB once it is told to give free pages back. That takes 1 to 10 ms, so it is done
 * when the process has come to rest.
 */

/** How often it is looked whether the process rests (ms). */
const lookIntervalMs = 5000;

/** Who used less CPU than this since the last look rests (ms). */
const restingCpuMsMax = 50;

/** Who used less than this since memory was given back has none that would be worth it (ms). */
const busyCpuMsMin = 200;

/** Looks at the CPU time (ms) that a process has used so far: true where it was busy, and rests now. */
export function createRestWatch(startMs: number): (usedMs: number) => boolean {
  let last = startMs;
  let given = startMs;
  return (usedMs) => {
    const isResting = usedMs - last < restingCpuMsMax;
    last = usedMs;
    if (!isResting || usedMs - given < busyCpuMsMin) return false;
    given = usedMs;
    return true;
  };
}

/** Gives free memory back to the machine whenever this process was busy and has come to rest; keeps nothing alive. */
export function giveMemoryBackAtRest(): void {
  const rests = createRestWatch(0);
  let giveBack: (() => void) | undefined;
  setInterval(() => {
    const { user, system } = process.cpuUsage();
    if (!rests((user + system) / 1000)) return;
    giveBack ??= bindTrim();
    giveBack();
  }, lookIntervalMs).unref();
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
