import { networkInterfaces } from 'node:os';

// No more often is looked (ms).
const lookEachMs = 1_000;
// The clock of the day runs so much ahead of the one that stands still in suspend, or was set (ms).
const leapMsMin = 5_000;

/** What tells of this machine's network; tests put their own in. Times are milliseconds. */
export interface MachineClocks {
  /** The time of day. */
  readonly day: () => number;
  /** Stands still while the machine is suspended. */
  readonly awake: () => number;
  /** The addresses of this machine, in a text. */
  readonly addresses: () => string;
}

const machineClocks: MachineClocks = {
  day: Date.now,
  awake: () => performance.now(),
  addresses,
};

/**
 * Asked before a connection is used: true, once, where the machine was suspended or got other addresses since it was
 * asked last. Connections that were kept lead nowhere then, and only a time-out would tell.
 */
export function watchNetwork(clocks: MachineClocks = machineClocks): () => boolean {
  let day = clocks.day();
  let awake = clocks.awake();
  let known = clocks.addresses();
  return () => {
    const since = clocks.awake() - awake;
    if (since < lookEachMs) return false;
    const leap = clocks.day() - day - since;
    const now = clocks.addresses();
    const isOther = leap >= leapMsMin || now !== known;
    day = clocks.day();
    awake = clocks.awake();
    known = now;
    return isOther;
  };
}

/** Where they can't be had they are always the same. */
function addresses(): string {
  try {
    const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
    return all
      .map(({ address, scopeid = 0 }) => `${address}%${scopeid}`)
      .sort()
      .join(' ');
  } catch {
    return '';
  }
}
