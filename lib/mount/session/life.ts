import type { Mounted, MountEnd } from '../../drivers/driver.js';
import { PinfsError } from '../../format/errors.js';
import type { UnmountMode } from '../../machine/unmount.js';
import type { Repository } from '../../repository/repository.js';
import type { ControlHandlers } from '../control/control.js';
import { unmountWords, type Unmounted } from '../control/leave.js';
import type { Log } from '../log.js';
import type { MountOptions } from '../options.js';
import type { MetricFacts } from './metric-rows.js';
import { openSessionRecording, type SessionRecording } from './recording.js';
import type { AskedPin, Repinned } from './served.js';
import type { SessionParts } from './session.js';
import type { MountStatus } from './status.js';

/** A running mount, in this process. */
export interface MountSession {
  /** Absolute, without symbolic links. */
  readonly mountpoint: string;
  readonly log: Log;
  status(): MountStatus;
  /**
   * Unmounts, in order if nothing else is said; `ended` follows when the last user of the mount has left.
   * @throws PinfsError MOUNT_BUSY: in use, and asked in order; also when it is detached already.
   */
  unmount(mode?: UnmountMode): Promise<Unmounted>;
  /**
   * Goes over to another pin of the same repository; or only verifies it.
   * @throws PinfsError: what is served is what was served before
   */
  repin(asked: AskedPin): Promise<Repinned>;
  /** Opens the log and the trace anew, and asks for a new head where one is followed. */
  refresh(): void;
  /** Resolves when the mount is gone, from whatever side, and all that belonged to it is closed. */
  readonly ended: Promise<MountEnd>;
}

/** What the control socket can be asked before the mount is there, and after. */
export interface Life {
  readonly mountpoint: string;
  readonly since: string;
  session: MountSession | undefined;
  metricFacts?: () => MetricFacts;
  repository?: () => Repository;
  mounted?: () => Mounted;
  /** What is served now; at first that which is mounted. */
  current: (first: Repository) => Repository;
  stopping: boolean;
  readonly recording: SessionRecording;
  readonly handlers: ControlHandlers;
}

export function createLife(
  mountpoint: string,
  mount: MountOptions,
  parts: Pick<SessionParts, 'timer' | 'log' | 'servesOthers'>,
): Life {
  const life: Life = {
    mountpoint,
    since: new Date(parts.timer.now()).toISOString(),
    session: undefined,
    current: (first) => first,
    stopping: false,
    recording: openSessionRecording(parts.log, mount.recordAll === true),
    handlers: {
      status: () =>
        life.session?.status() ?? {
          state: 'starting',
          mountpoint,
          pid: process.pid,
          log: mount.log ?? null,
        },
      unmount: async (mode) => {
        const session = mountedSession(life);
        parts.log.info(`asked to unmount${unmountWords[mode]}`);
        const left = await session.unmount(mode);
        return parts.servesOthers?.() === true ? { ...left, goesOn: true } : left;
      },
      explain: async (path) => {
        mountedSession(life);
        const { explainPath } = await import('../../repository/use/explain.js');
        return life.repository && explainPath(life.repository(), path);
      },
      repin: async (asked) => mountedSession(life).repin(asked),
      leaveCache: async () => {
        mountedSession(life);
        const { leaveCache } = await import('./leave-cache.js');
        const store = life.repository?.().store;
        const { log } = parts;
        const parties = { mounted: life.mounted?.(), log, logFile: mount.log };
        return store && leaveCache({ store, ...parties });
      },
      record: async (file) => {
        mountedSession(life);
        if (file === undefined) return life.recording.stop();
        const repository = life.repository?.();
        return repository && life.recording.start(file, repository);
      },
    },
  };
  return life;
}

/** @throws PinfsError MOUNT_BUSY */
function mountedSession({ session, mountpoint }: Life): MountSession {
  if (session !== undefined) return session;
  throw new PinfsError('MOUNT_BUSY', `${mountpoint} is just being mounted`);
}
