import type { Driver, Mounted, MountEnd } from '../../drivers/driver.js';
import { asPinfsError } from '../../format/errors.js';
import { noteError } from '../../repository/open/opening.js';
import type { Profile } from '../../profile/profile.js';
import type { OpenOptions } from '../../repository/open/options.js';
import type { Environment } from '../../repository/open/environment.js';
import type { Repository } from '../../repository/repository.js';
import {
  alreadyMounted,
  prepareMountpoint,
  ourMountAt,
  removePlace,
  type HeldMountpoint,
} from './prepare-mountpoint.js';
import { driverLoaders, mountWith, prepareDriver, type DriverLoader } from './choose.js';
import { serveControl, type ControlServer } from '../control/control.js';
import { realTimer, type Timer } from './follow.js';
import { endWhenIdle } from './idle.js';
import { createLife, type Life, type MountSession } from './life.js';
import { serveSnapshots, type ServedParts } from './served.js';
import { isDetached, leaveMount, placeNow } from '../control/leave.js';
import { openLog, type Log } from '../log.js';
import { metricFactsOf } from './metric-rows.js';
import type { MetricsServer } from '../metrics/server.js';
import { passedDescriptor } from '../../machine/mountpoint.js';
import type { MountOptions } from '../options.js';
import { optionDigests, shownSource } from '../mount-spec.js';
import { mountRequest, refuseOthers } from './request.js';
import { ownRuntimeDirectory } from '../control/runtime.js';
import { inodesText } from './inodes-text.js';
import { finishRecording, recordingFile } from './learning.js';
import { mountStatus, tooSmall, tooSmallAdvice } from './status.js';

export type { MountSession };

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
  /** Whether this process has other mounts, for whose sake it lives on when this one has gone. */
  readonly servesOthers?: () => boolean;
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
    const record = recordOf(life, options, mount);
    control = withPlace(mount, await serveControl(parts.runtimeDirectory, record, life.handlers));
    const session = await startSession(options, mount, parts, life, control, held);
    void session.ended.finally(() => metrics?.close());
    return session;
  } catch (thrown) {
    await control?.close();
    await metrics?.close();
    throw thrown;
  }
}

/** A directory of its own goes before anybody can see that this process is gone, and use it again. */
function withPlace({ ownPlace, mountpoint }: MountOptions, control: ControlServer): ControlServer {
  if (ownPlace !== true) return control;
  const close = async (): Promise<void> => {
    if (control.owned()) removePlace(mountpoint);
    await control.close();
  };
  return { ...control, close };
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
    void session.ended.then(endWhenIdle(mount.idle, session, mounted, parts));
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
