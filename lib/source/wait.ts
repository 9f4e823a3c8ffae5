/**
 * How long anybody waits for bytes: as long as there is progress. Silence ends a wait after its deadline;
 * less than the least rate, on average over each deadline, is no better than silence; and no wait is longer
 * than the deadline and the time that the promised bytes take at the least rate.
 */
export interface WaitLimits {
  /** Milliseconds without progress. */
  readonly deadline: number;
  /** Bytes a second. */
  readonly minRate: number;
  /** Milliseconds, whatever comes; where it isn't given, as long as there is progress. */
  readonly longest?: number | undefined;
}

/** setTimeout takes no more. */
export const timerMsMax = 2 ** 31 - 1;

export const defaultWaitLimits = { deadline: 30_000, minRate: 1024 } as const;

/** One wait. Times are milliseconds on the clock of whoever waits. */
export interface Wait {
  readonly limits: WaitLimits;
  began: number;
  /** When it is over, unless enough comes before. */
  end: number;
  /** When there was progress last, and bytes that came since. */
  mark: number;
  fresh: number;
  /** Bytes that were promised. */
  promised: number;
}

export function beginWait(limits: WaitLimits, now: number, promised = 0): Wait {
  const wait = { limits, began: now, end: 0, mark: now, fresh: 0, promised };
  wait.end = endOf(wait);
  return wait;
}

/** As if it began now. */
export function renewWait(wait: Wait, now: number): void {
  wait.began = now;
  wait.mark = now;
  wait.fresh = 0;
  wait.end = endOf(wait);
}

/** More bytes are waited for. */
export function promiseBytes(wait: Wait, bytes: number): void {
  wait.promised += bytes;
  wait.end = endOf(wait);
}

/** Bytes have come. */
export function seeBytes(wait: Wait, bytes: number, now: number): void {
  const { deadline, minRate } = wait.limits;
  wait.fresh += bytes;
  if (wait.fresh < (minRate * deadline) / 1000) return;
  wait.mark = now;
  wait.fresh = 0;
  wait.end = endOf(wait);
}

function endOf({ limits, began, mark, promised }: Wait): number {
  const { deadline, minRate, longest = Infinity } = limits;
  const most = Math.min(deadline + (promised / minRate) * 1000, longest);
  return Math.min(mark + deadline, began + most);
}
