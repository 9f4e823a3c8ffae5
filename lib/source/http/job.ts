import { PinfsError } from '../../format/errors.js';
import type { Demand } from './demand.js';
import type { Exchange } from './exchange.js';
import { beginWait, renewWait, seeBytes, timerMsMax, type WaitLimits } from '../wait.js';
import type { SourceAnswer } from './request.js';

/** What one `get` waits for, and how it is stopped: by its signal, its limits, or the source's end. */
export interface Job {
  readonly stop: (error: PinfsError) => void;
  run(start: (ended: (answer: SourceAnswer) => void) => Exchange): Promise<SourceAnswer>;
  pause(milliseconds: number): Promise<void>;
  /** Waits for something that comes by itself. */
  until(done: Promise<unknown>): Promise<void>;
  /** Waits as long as others go before. */
  turn(): Promise<void>;
  /** So many bytes of the answer are here. @returns whether that is more than ever before. */
  came(received: number): boolean;
  end(): void;
}

export interface JobOptions {
  readonly shown: () => string;
  readonly limits: WaitLimits;
  /** Bytes that were promised. */
  readonly limit: number;
  readonly signal: AbortSignal | undefined;
  readonly demand: Demand | undefined;
}

/**
 * Where somebody waits who has limits of his own, that one decides; the job's is for what nobody waits
 * for, and for whoever has none. What is held back has all the time in the world.
 */
export function startJob({ shown, limits, limit, signal, demand }: JobOptions): Job {
  const clock = (): number => performance.now();
  const wait = beginWait(limits, clock(), limit);
  let current: Exchange | undefined;
  let wake: (() => void) | undefined;
  let stopped: PinfsError | undefined;
  let furthest = 0;
  let timer: NodeJS.Timeout | undefined;
  const stop = (error: PinfsError): void => {
    stopped ??= error;
    current?.cancel(stopped);
    wake?.();
  };
  const interrupt = (): void => stop(new PinfsError('INTERRUPTED', `${shown()}: interrupted`));
  const look = (): void => {
    const now = clock();
    if (demand?.urgency === 'wanted' || demand?.urgency === 'held') renewWait(wait, now);
    if (now >= wait.end) stop(tooSlow(shown, limits));
    else timer = setTimeout(look, Math.min(wait.end - now, timerMsMax));
  };
  const unwatch = demand?.watch(() => {
    renewWait(wait, clock());
    current?.hold(demand.urgency === 'held');
    wake?.();
  });
  signal?.addEventListener('abort', interrupt);
  if (signal?.aborted === true) interrupt();
  look();
  const sleep = async (milliseconds: number): Promise<void> => {
    let alarm: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      wake = resolve;
      if (stopped !== undefined) resolve();
      else alarm = setTimeout(resolve, Math.min(milliseconds, timerMsMax));
    });
    clearTimeout(alarm);
    wake = undefined;
    if (stopped !== undefined) throw stopped;
  };
  return {
    stop,
    async run(start) {
      if (stopped !== undefined) throw stopped;
      return await new Promise((ended) => {
        current = start(ended);
        if (demand?.urgency === 'held') current.hold(true);
      });
    },
    pause: sleep,
    until: (done) => sleepUntil(done, sleep, () => wake?.()),
    async turn() {
      while (demand?.urgency === 'held') await sleep(timerMsMax);
    },
    came(received) {
      if (received <= furthest) return false;
      const more = received - furthest;
      furthest = received;
      seeBytes(wait, more, clock());
      demand?.came(more);
      return true;
    },
    end() {
      clearTimeout(timer);
      unwatch?.();
      signal?.removeEventListener('abort', interrupt);
    },
  };
}

async function sleepUntil(
  done: Promise<unknown>,
  sleep: (milliseconds: number) => Promise<void>,
  wake: () => void,
): Promise<void> {
  const waiting = { isOver: false };
  const note = (): void => {
    waiting.isOver = true;
    wake();
  };
  done.then(note, note);
  while (!waiting.isOver) await sleep(timerMsMax);
}

function tooSlow(shown: () => string, { deadline, minRate }: WaitLimits): PinfsError {
  const text = `${shown()}: less than ${minRate} bytes a second over ${deadline / 1000} s`;
  return new PinfsError('SOURCE_TIMEOUT', text, { passing: true });
}
