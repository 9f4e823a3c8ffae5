import type { Driver, Mounted, MountEnd } from '../../drivers/driver.js';
import type { UnmountMode } from '../../machine/unmount.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { noteError } from '../../repository/open/opening.js';
import type { Profile } from '../../profile/profile.js';
import type { OpenOptions } from '../../repository/open/options.js';
import type { Environment } from '../../repository/open/environment.js';
import type { Repository } from '../../repository/repository.js';
import {
  alreadyMounted,
  prepareMountpoint,
  ourMountAt,
  type HeldMountpoint,
} from './prepare-mountpoint.js';
import { driverLoaders, mountWith, prepareDriver, type DriverLoader } from './choose.js';
import { serveControl, type ControlHandlers, type ControlServer } from '../control/control.js';
import { realTimer, type Timer } from './follow.js';
import { serveSnapshots, type AskedPin, type Repinned, type ServedParts } from './served.js';
import {
  isDetached,
  leaveMount,
  placeNow,
  unmountWords,
  type Unmounted,
} from '../control/leave.js';
import { openLog, type Log } from '../log.js';
import { metricFactsOf, type MetricFacts } from './metric-rows.js';
import type { MetricsServer } from '../metrics/server.js';
import { passedDescriptor } from '../../machine/mountpoint.js';
import type { MountOptions } from '../options.js';
import { optionDigests, shownSource } from '../mount-spec.js';
import { mountRequest, refuseOthers } from './request.js';
import { ownRuntimeDirectory } from '../control/runtime.js';
import { inodesText } from './inodes-text.js';
import { finishRecording, recordingFile } from './learning.js';
import { openSessionRecording, type SessionRecording } from './recording.js';
import { mountStatus, tooSmall, tooSmallAdvice, type MountStatus } from './status.js';

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

/** What a session is made of; tests put their own in. */
export interface SessionParts {
  readonly openRepository: (options: OpenOptions) => Promise<Repository>;
  readonly refresh: (
    repository: Repository,
    signal: AbortSignal,
  ) => Promise<Repository | undefined>;
  readonly refuseBanned: (repository: Repository) => void;
  readonly nextCheck: (repository: Repository) => number | undefined;
  readonly openOtherPin: ServedParts['openOtherPin'];
  readonly loaders: readonly DriverLoader[];
  readonly runtimeDirectory: string;
  readonly timer: Timer;
  readonly log: Log;
  /** Called right before the driver mounts. */
  readonly onMounting: () => void;
}

/**
 * The parts of a real mount. @throws PinfsError STATE_UNUSABLE, USAGE (the log).
 * @param output gets the log where it goes to no file; stderr, if nothing is said
 */
export async function realParts(
  mount: MountOptions,
  output?: (text: string) => void,
): Promise<SessionParts> {
  const log = openLog(mount.log, mount.logLevel, output);
  log.info(`mounting on ${mount.mountpoint}`);
  const { openRepository } = await import('../../repository/open.js');
  const { processEnvironment } = await import('../../repository/open/environment.js');
  const environment: Environment = {
    ...processEnvironment,
    recentLog: () => log.recent?.() ?? '',
    report: ({ code, message, advice }) => {
      log.warn(`${code}: ${message}${advice === undefined ? '' : ` (${advice})`}`);
    },
  };
  const { nextCheck, refresh, refuseBannedSnapshot } = await import('../../repository/follow.js');
  const { openOtherPin } = await import('../../repository/repin.js');
  return {
    openRepository: (options) => openRepository(options, environment),
    refresh,
    refuseBanned: refuseBannedSnapshot,
    nextCheck,
    openOtherPin,
    loaders: driverLoaders(),
    runtimeDirectory: ownRuntimeDirectory(),
    timer: realTimer,
    log,
    onMounting: () => undefined,
  };
}

/**
 * Mounts and resolves once the mount answers. The process stays the caller's: `guardProcess` ties
 * its signals and faults to the session.
 * @throws PinfsError whatever opening the repository or mounting throws; MOUNT_BUSY, MOUNTPOINT_UNUSABLE.
 */
export async function runMount(
  options: OpenOptions,
  mount: MountOptions,
  given?: SessionParts,
): Promise<MountSession> {
  const parts = given ?? (await realParts(mount));
  const held = await prepareMountpoint({ options, mount }, parts.runtimeDirectory, parts.log);
  try {
    return await mountHeld(options, mount, parts, held);
  } finally {
    // The mount table tells from now on where it lies.
    held.place?.close();
  }
}

async function mountHeld(
  options: OpenOptions,
  mount: MountOptions,
  parts: SessionParts,
  held: HeldMountpoint,
): Promise<MountSession> {
  const { mountpoint } = held;
  const life = createLife(mountpoint, mount, parts);
  const metrics = await startMetrics(mount, life, parts.log);
  let control: ControlServer | undefined;
  try {
    control = await serveControl(
      parts.runtimeDirectory,
      recordOf(life, options, mount),
      life.handlers,
    );
    const session = await startSession(options, mount, parts, life, control, held);
    void session.ended.finally(() => metrics?.close());
    return session;
  } catch (thrown) {
    await control?.close();
    await metrics?.close();
    throw thrown;
  }
}

function recordOf({ mountpoint, since }: Life, options: OpenOptions, mount: MountOptions) {
  const source = shownSource(options.source);
  const digests = optionDigests({ options, mount });
  const { cache } = options;
  return { mountpoint, pid: process.pid, since, source, cache, digests };
}

/** undefined: nobody asks for them. @throws PinfsError USAGE, METRICS_UNUSABLE. */
async function startMetrics(
  mount: MountOptions,
  life: Life,
  log: Log,
): Promise<MetricsServer | undefined> {
  const { metrics } = mount;
  if (metrics === undefined) return undefined;
  const { serveMetrics } = await import('../metrics/server.js');
  const { metricsText } = await import('./metrics-text.js');
  const server = await serveMetrics({ ...mount, metrics }, () => {
    const facts = life.metricFacts?.();
    return facts && metricsText(facts);
  });
  log.info(`metrics are at ${server.place}`);
  return server;
}

/** What the control socket can be asked before the mount is there, and after. */
interface Life {
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

function createLife(mountpoint: string, mount: MountOptions, parts: SessionParts): Life {
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
        return session.unmount(mode);
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

async function startSession(
  options: OpenOptions,
  mount: MountOptions,
  parts: SessionParts,
  life: Life,
  control: ControlServer,
  held: HeldMountpoint,
): Promise<MountSession> {
  const { log } = parts;
  const { mountpoint } = life;
  const profile = mount.profile === undefined ? undefined : await profileAt(mount.profile);
  const opening = parts.openRepository({ deadline: mount.deadline, ...options });
  void prepareDriver(mount.driver, parts.loaders);
  const repository = await opening;
  try {
    refuseOthers(mount, repository);
    // Opening took its time: another process may have come here meanwhile.
    const passed = passedDescriptor(mount.mountpoint) !== undefined;
    if (!control.owned() || (!passed && (await ourMountAt(mountpoint))))
      throw alreadyMounted(mountpoint);
    const file = recordingFile(mount);
    const record = file === undefined ? undefined : await life.recording.begin(file, repository);
    parts.onMounting();
    const { driver, mounted } = await mountWith(
      mount.driver,
      parts.loaders,
      (candidate) =>
        candidate.mount(
          mountRequest(candidate.name, { options, mount }, held, {
            repository,
            nextCheck: parts.nextCheck(repository),
            live: () => life.current(repository).live(),
            failed: () => {
              noteError(repository.opening);
            },
            log,
            record,
            profile,
          }),
        ),
      log.warn,
    );
    const { verdict } = repository;
    const offline = verdict.status === 'offline';
    log[offline ? 'warn' : 'info'](
      `mounted on ${mountpoint} by the ${driver.name} driver: ${offline ? 'offline: ' : ''}${verdict.summary}`,
      { verdict },
    );
    log.info(inodesText(driver.name, repository));
    const session = liveSession(mount, parts, life, control, repository, driver, mounted);
    const problem = tooSmall(session.status().store);
    if (problem !== undefined) log.warn(`${problem}. ${tooSmallAdvice}`);
    return session;
  } catch (thrown) {
    await life.recording.close();
    await repository.close();
    throw thrown;
  }
}

/** @throws PinfsError PROFILE_MALFORMED, NOT_FOUND */
async function profileAt(path: string): Promise<Profile> {
  const { readProfileFile } = await import('../../profile/profile-file.js');
  return readProfileFile(path);
}

function liveSession(
  mount: MountOptions,
  parts: SessionParts,
  life: Life,
  control: ControlServer,
  repository: Repository,
  driver: Driver,
  mounted: Mounted,
): MountSession {
  const { log } = parts;
  const served = serveSnapshots(mount, driver.name, parts, repository, mounted);
  const current = () => served.current();
  life.current = current;
  life.recording.mounted(mounted);
  const over = mounted.ended.then(async (end) => {
    life.stopping = true;
    const level = end.reason === 'unmounted' ? 'info' : 'error';
    log[level](`the mount on ${life.mountpoint} has ended: ${end.message}`);
    await finishRecording(life.recording, mount, log);
    return end;
  });
  const ended = over.then(async (end) => {
    await served.stop();
    await control.close();
    await current().close();
    return end;
  });
  const status = () =>
    mountStatus({
      state: life.stopping ? 'stopping' : isDetached(mounted) ? 'detached' : 'running',
      mountpoint: life.mountpoint,
      place: placeNow(mounted) ?? null,
      since: life.since,
      driver: driver.name,
      repository: current(),
      device: mounted.line?.device ?? null,
      statistics: mounted.statistics,
      head: served.head(),
      previous: served.previous(),
      log: mount.log ?? null,
      recording: life.recording.status(),
    });
  const session: MountSession = {
    mountpoint: life.mountpoint,
    log,
    status,
    async unmount(mode = 'orderly') {
      const left = await leaveMount(life.mountpoint, mounted, mode, () => life.stopping);
      if (left.ended) await over;
      return left;
    },
    refresh: () => {
      log.reopen?.();
      mounted.reopenTrace?.();
      log.info('asked to open the log anew and to look for a new head');
      served.checkNow();
    },
    async repin(asked) {
      const repinned = await served.repin(asked);
      if (!asked.dryRun) control.update(recordOf(life, served.current().opening.options, mount));
      return repinned;
    },
    ended,
  };
  life.session = session;
  life.repository = current;
  life.mounted = () => mounted;
  life.metricFacts = () => metricFactsOf(status(), mounted.statistics);
  return session;
}

/** What a session's end means for the process. */
export function exitCodeOf(end: MountEnd): number {
  return end.reason === 'unmounted' ? 0 : 1;
}

/** For a fault that nobody expected: the log first, then the way out. */
export function describeFault(thrown: unknown): string {
  const error = asPinfsError(thrown);
  return `${error.message} [${error.code}]`;
}
