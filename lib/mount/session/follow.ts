import { asPinfsError, type ErrorCode } from '../../format/errors.js';
import type { Repository } from '../../repository/repository.js';
import type { Verdict } from '../../trust/verdict/verdict.js';
import type { HeadStatus } from './status.js';
import { openEnding } from '../../source/ending.js';

/** Time, as far as following a head needs it. Seam: the real clock, and one that tests turn. */
export interface Timer {
  /** Milliseconds since 1970. */
  now(): number;
  /** Calls back after some milliseconds; gives a function that takes the call back. */
  after(milliseconds: number, callback: () => void): () => void;
}

export const realTimer: Timer = {
  now: Date.now,
  after: (milliseconds, callback) => {
    const handle = setTimeout(callback, milliseconds);
    return () => {
      clearTimeout(handle);
    };
  },
};

export interface FollowParts {
  readonly repository: Repository;
  /** A new snapshot when the head has moved; undefined when it has not: the old one has the new verdict then. */
  readonly refresh: (
    repository: Repository,
    signal: AbortSignal,
  ) => Promise<Repository | undefined>;
  /** Throws if what is served is banned on this machine by now. */
  readonly refuseBanned: (repository: Repository) => void;
  /** Ends the mount, also while it is in use. */
  readonly end: () => Promise<void>;
  /** Seconds from a check to the next one; undefined: never. */
  readonly nextCheck: (repository: Repository) => number | undefined;
  /** Puts a new snapshot in the place of the old one. */
  readonly replace: (next: Repository) => Promise<void>;
  /** The head can't be had, or is refused: told at each check. */
  readonly troubled: () => void;
  /** What is served, or the verdict on it, is another; `due`: when the head is asked for next (ms since 1970). */
  readonly told: (repository: Repository, due: number) => void;
  readonly timer: Timer;
  readonly log: (
    level: 'info' | 'warn' | 'error',
    message: string,
    fields?: Readonly<Record<string, unknown>>,
  ) => void;
}

export interface Follower {
  current(): Repository;
  status(): HeadStatus;
  /** Asks for the head now, unless it is just being asked for. */
  checkNow(): void;
  /** No check begins after this; a running one is given up. Resolves when it is over. */
  stop(): Promise<void>;
}

/** Seconds: bounds for what a repository asks for, and the wait after a check that failed. */
const intervalSecondsMin = 10;
const intervalSecondsMax = 86_400;
const afterFailureSeconds = 180;

/** Timers stand still while a machine sleeps: look at the clock at least this often (milliseconds). */
const napMsMax = 60_000;

const bans: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'REVISION_BLACKLISTED',
  'CERTIFICATE_BLACKLISTED',
]);

/**
 * Asks for the head whenever its time to live is over. What goes wrong is logged, and changes nothing;
 * but what is banned on this machine since it was mounted is not served any longer (docs/format.md, 4.5).
 */
export function followHead(parts: FollowParts): Follower {
  const { timer, log } = parts;
  const lifetime = (of: Repository) => bounded(parts.nextCheck(of));
  let { repository } = parts;
  let due = timer.now() + lifetime(repository) * 1000;
  let lastCheck: number | undefined;
  let lastProblem = whyOffline(repository.verdict);
  const ending = openEnding();
  let running: Promise<void> | undefined;
  let cancel: () => void = () => undefined;

  const arm = () => {
    running = undefined;
    if (ending.signal.aborted) return;
    // A clock that was set back must not put the next check off for years.
    due = Math.min(due, timer.now() + lifetime(repository) * 1000);
    parts.told(repository, due);
    cancel = timer.after(Math.max(0, Math.min(due - timer.now(), napMsMax)), () => {
      if (timer.now() < due) arm();
      else running = check().finally(arm);
    });
  };

  const check = async () => {
    lastCheck = timer.now();
    let seconds: number;
    try {
      const served = repository;
      const wasRefused = lastProblem !== null && whyOffline(served.verdict) === null;
      repository = await ask(parts, served, ending.signal);
      if (ending.signal.aborted) return;
      lastProblem = whyOffline(repository.verdict);
      if (lastProblem !== null) parts.troubled();
      else if (wasRefused && repository === served) tellReturn(parts, repository);
      seconds = lifetime(repository);
    } catch (thrown) {
      if (ending.signal.aborted) return;
      const { code, message } = asPinfsError(thrown);
      parts.troubled();
      if (lastProblem?.code !== code) log('warn', `the head stays: ${message} [${code}]`);
      lastProblem = { code, message };
      seconds = Math.min(afterFailureSeconds, lifetime(repository));
    }
    due = timer.now() + seconds * 1000;
    const banned = banOf(parts, repository);
    lastProblem = banned ?? lastProblem;
    if (banned !== null) await endNow(parts);
  };

  arm();
  return {
    current: () => repository,
    status: () => ({
      lastCheck: lastCheck === undefined ? null : new Date(lastCheck).toISOString(),
      nextCheck: ending.signal.aborted ? null : new Date(due).toISOString(),
      lastProblem,
    }),
    checkNow: () => {
      if (running !== undefined || ending.signal.aborted) return;
      cancel();
      due = timer.now();
      arm();
    },
    stop: async () => {
      ending.abort();
      cancel();
      await running;
    },
  };
}

/**
 * Asks for the head and goes over to it if it moved; gives what is served from then on.
 * @throws what `refresh` and `replace` throw: what was served is served on then.
 */
async function ask(
  parts: FollowParts,
  served: Repository,
  ending: AbortSignal,
): Promise<Repository> {
  const before = served.verdict;
  const next = await parts.refresh(served, ending);
  if (next === undefined) {
    if (!ending.aborted) tellJudgement(parts, before, served.verdict);
    return served;
  }
  if (ending.aborted) {
    leave(parts, next);
    return served;
  }
  try {
    await parts.replace(next);
  } catch (thrown) {
    leave(parts, next);
    throw thrown;
  }
  // Whatever becomes of the old one: the new one is what is served.
  leave(parts, served);
  const { verdict } = next;
  parts.log('info', `now at ${verdict.rootHash ?? 'a new root'}: ${verdict.summary}`, { verdict });
  return next;
}

/** A snapshot that can't be closed costs memory; what is served is another one. */
function leave({ log }: FollowParts, repository: Repository): void {
  try {
    repository.leave();
  } catch (thrown) {
    const { code, message } = asPinfsError(thrown);
    const { rootHash } = repository.descriptor.identity;
    log(
      'warn',
      `the snapshot ${rootHash}, no longer served, can't be closed: ${message} [${code}]`,
    );
  }
}

function whyOffline({ status, reasons }: Verdict): HeadStatus['lastProblem'] {
  return status === 'offline' ? (reasons[0] ?? null) : null;
}

/** The same head was judged again: says what is another now, each once. */
function tellJudgement({ log }: FollowParts, before: Verdict, now: Verdict): void {
  const why = whyOffline(now);
  if (why !== null) {
    if (whyOffline(before)?.code === why.code) return;
    log('warn', `the head stays, offline: ${now.summary} [${why.code}]`, { verdict: now });
  } else if (before.status !== now.status)
    log('info', `the head can be had again: ${now.summary}`, { verdict: now });
  else if (before.whitelist?.expires !== now.whitelist?.expires)
    log(
      'info',
      `the head stays; its whitelist is now good until ${now.whitelist?.expires ?? '?'}`,
      {
        verdict: now,
      },
    );
}

/** After a head that was refused: that is logged once, and so is its end. */
function tellReturn({ log }: FollowParts, { verdict }: Repository): void {
  log('info', `the head can be had again, and stays: ${verdict.summary}`);
}

async function endNow({ end, log }: FollowParts): Promise<void> {
  await end().catch((thrown: unknown) => {
    log('error', `it could not be unmounted: ${asPinfsError(thrown).message}`);
  });
}

/** The ban of what is served, which is logged. */
function banOf(
  { refuseBanned, log }: FollowParts,
  repository: Repository,
): HeadStatus['lastProblem'] {
  try {
    refuseBanned(repository);
    return null;
  } catch (thrown) {
    const { code, message } = asPinfsError(thrown);
    // A blacklist that can't be read has been told already: the head is not asked for without it.
    if (!bans.has(code)) return null;
    log('error', `what is mounted is banned by now, and is unmounted: ${message} [${code}]`);
    return { code, message };
  }
}

function bounded(seconds: number | undefined): number {
  if (seconds === undefined || !Number.isFinite(seconds)) return intervalSecondsMax;
  return Math.min(intervalSecondsMax, Math.max(intervalSecondsMin, seconds));
}
