import type { MountEnd } from '../../drivers/driver.js';
import type { UnmountMode } from '../../machine/unmount.js';
import { asPinfsError } from '../../format/errors.js';
import type { Timer } from '../session/follow.js';
import { unmountWords } from '../control/leave.js';
import type { Log } from '../log.js';
import { describeFault, exitCodeOf } from '../session/session.js';
import type { GuardedSession } from './group.js';

/** The signals that end a mount. */
const endingSignals = ['SIGTERM', 'SIGINT'] as const;

/**
 * Those that ask for the log to be opened anew and for a new head. A terminal that is lost sends the first; to
 * the second Node would open a debugger's port.
 */
const refreshingSignals = ['SIGHUP', 'SIGUSR1'] as const;
type EndingSignal = (typeof endingSignals)[number];

/** The process, as far as the guard needs it; tests hand in their own. */
export interface GuardedProcess {
  on(
    event:
      | EndingSignal
      | (typeof refreshingSignals)[number]
      | 'uncaughtException'
      | 'unhandledRejection',
    listener: (value: unknown) => void,
  ): unknown;
  /** Ends the process at once. */
  exit(code: number): void;
  /** Ends it even when a thread of it is stuck. */
  die(): void;
}

export const thisProcess: GuardedProcess = {
  on: (event, listener) => process.on(event, listener),
  exit: (code) => process.exit(code),
  die: () => process.kill(process.pid, 'SIGKILL'),
};

export interface Guard {
  /** The driver is about to mount: from here on no signal ends the process without unmounting. */
  readonly mounting: () => void;
  /** The mount is there. Resolves with the exit code when it has ended. */
  attach(session: GuardedSession): Promise<number>;
}

/** Milliseconds between attempts to unmount a busy mount, and those before it is ended by force. */
const attemptIntervalMs = 1000;
const busyTimeoutMs = 10_000;

/** Milliseconds from a fault of our own to the end, whatever hangs. */
const faultTimeoutMs = 5000;

/** 128 + the signal's number, as shells have it. */
const signalExit: Readonly<Record<EndingSignal, number>> = {
  SIGINT: 130,
  SIGTERM: 143,
};

/**
 * Ties signals and faults of the process to its mount, so that it is unmounted on every way out.
 * The first signal unmounts in order; while the mount is in use it is tried for ten seconds more, then
 * ended by force. The second does that at once. The third ends the process, and so does a mount
 * that we may not unmount (mount.fuse3 made it and took our rights away).
 */
export function guardProcess(target: GuardedProcess, log: Log, timer: Timer): Guard {
  let session: GuardedSession | undefined;
  let mounting = false;
  let signals = 0;
  let faulted = false;
  /** How a session that is not there yet shall end once it is. */
  let ending: ((attached: GuardedSession) => void) | undefined;

  const onSignal = (signal: EndingSignal) => {
    signals += 1;
    if (session === undefined && !mounting) {
      target.exit(signalExit[signal]);
    } else if (signals >= 3) {
      log.error(`${signal} for the third time: ending without waiting`);
      target.die();
    } else {
      const mode = signals > 1 ? 'force' : 'orderly';
      log.info(`${signal}: unmounting${unmountWords[mode]}`);
      const stop = (attached: GuardedSession) => {
        void leave(attached, mode, log, timer).then((left) => {
          // A worker that waits for the device would hold an orderly exit up.
          if (!left) target.die();
        });
      };
      if (session === undefined) ending = stop;
      else stop(session);
    }
  };
  const onFault = (thrown: unknown) => {
    log.error(`unexpected: ${describeFault(thrown)}`, {
      stack: thrown instanceof Error ? thrown.stack : undefined,
    });
    if (faulted) return;
    faulted = true;
    timer.after(faultTimeoutMs, () => {
      target.die();
    });
    const stop = (attached: GuardedSession) => {
      attached.unmount('force').catch(() => undefined);
    };
    if (session !== undefined) stop(session);
    else if (mounting) ending = stop;
    else target.exit(1);
  };
  for (const signal of endingSignals) {
    target.on(signal, () => {
      onSignal(signal);
    });
  }
  for (const signal of refreshingSignals) {
    target.on(signal, () => session?.refresh());
  }
  target.on('uncaughtException', onFault);
  target.on('unhandledRejection', onFault);
  return {
    mounting: () => {
      mounting = true;
    },
    attach: async (attached) => {
      session = attached;
      ending?.(attached);
      const end: MountEnd = await attached.ended;
      return faulted ? 1 : exitCodeOf(end);
    },
  };
}

/** Unmounts as well as it can be done. @returns false when nothing helped. */
async function leave(
  session: GuardedSession,
  first: UnmountMode,
  log: Log,
  timer: Timer,
): Promise<boolean> {
  const start = timer.now();
  let mode = first;
  for (let attempt = 1; ; attempt += 1) {
    try {
      const { ended } = await session.unmount(mode);
      if (ended) return true;
      if (mode === 'force') return false;
      // Out of its place, and held elsewhere: that may take as long as any other use.
    } catch (thrown) {
      const error = asPinfsError(thrown);
      if (error.code === 'NOT_MOUNTED') return true;
      if (attempt === 1 || mode === 'force') log.warn(error.message);
      if (mode === 'force') return false;
      // Waiting helps against users of the mount only.
      if (error.code !== 'MOUNT_BUSY') return leave(session, 'force', log, timer);
    }
    await new Promise<void>((resolve) => timer.after(attemptIntervalMs, resolve));
    if (timer.now() - start >= busyTimeoutMs) mode = 'force';
  }
}
