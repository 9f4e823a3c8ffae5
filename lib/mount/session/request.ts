import { aheadBytesMaxUsual, type Driver, type MountRequest } from '../../drivers/driver.js';
import { heldAtMost, kernelTimeout } from '../../machine/request-timeout.js';
import type { LiveFacts } from '../../filesystem/live-facts.js';
import { quoted } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';
import type { Profile } from '../../profile/profile.js';
import type { Repository } from '../../repository/repository.js';
import type { WaitLimits } from '../../source/wait.js';
import type { HeldMountpoint } from './prepare-mountpoint.js';
import type { Log } from '../log.js';
import { passedDescriptor } from '../../machine/mountpoint.js';
import type { MountOptions } from '../options.js';
import { shownSource, type MountSpec } from '../mount-spec.js';

/** What a driver is asked for. */

/**
 * A repository that asks its readers for a membership is for nobody but root, and what root's own
 * process serves, it serves to everyone whom the mount lets in.
 * @throws PinfsError ACCESS_DENIED
 */
export function refuseOthers({ allowOther }: MountOptions, { fqrn, tree }: Repository): void {
  const { vomsAuthz } = tree.properties;
  if (!allowOther || vomsAuthz === undefined) return;
  throw new PinfsError(
    'ACCESS_DENIED',
    `${fqrn} asks its readers for a membership (${quoted(vomsAuthz)}), which other users of this machine can't show`,
    { advice: 'Mount it without --allow-other.' },
  );
}

/**
 * How long the kernel may keep what it knows of a head, in seconds. The kernel driver tells it when
 * the head has moved; libfuse 2 can't, and until then old sizes would stand beside new contents.
 */
const headLifetime: Readonly<Record<Driver['name'], number>> = { kernel: 60, 'fuse-native': 1 };

/** A kernel that is told to ends a mount for one request that is late, whatever comes: it must not come to that. */
function boundedWaitLimits(limits: WaitLimits, log: Log): WaitLimits {
  const timeout = kernelTimeout();
  const longest = heldAtMost(timeout);
  if (longest === undefined) return limits;
  log.info(
    `reads wait ${longest / 1000} s at most: this kernel ends mounts after ${timeout ?? 0} s`,
  );
  return { ...limits, deadline: Math.min(limits.deadline, longest), longest };
}

/** What is known of a mount once its repository is open. */
export interface RequestFacts {
  readonly repository: Repository;
  /** Seconds to the next look at the head; undefined: never. */
  readonly nextCheck: number | undefined;
  readonly live: () => LiveFacts;
  readonly failed: () => void;
  readonly log: Log;
  readonly record?: MountRequest['record'];
  /** What is fetched ahead, in which order. */
  readonly profile?: Profile | undefined;
}

export function mountRequest(
  driver: Driver['name'],
  { options, mount }: MountSpec,
  { mountpoint, place }: HeldMountpoint,
  { repository, nextCheck, live, failed, log, record, profile }: RequestFacts,
): MountRequest {
  const passed = passedDescriptor(mount.mountpoint) !== undefined;
  return {
    mountpoint: passed ? mount.mountpoint : mountpoint,
    place,
    source: mount.fsname ?? shownSource(options.source),
    descriptor:
      profile === undefined ? repository.descriptor : { ...repository.descriptor, profile },
    filesystem: repository.filesystem,
    store: repository.store,
    lifetime: repository.pinned ? 'pinned' : Math.min(headLifetime[driver], nextCheck ?? Infinity),
    allowOther: mount.allowOther,
    suid: mount.suid,
    dev: mount.dev,
    noExec: mount.noExec,
    ...boundedWaitLimits({ ...repository.waitLimits, deadline: mount.deadline }, log),
    aheadBytesMax: aheadBytesMaxOf(mount.ahead, repository.store.statistics.limit),
    noXattrs: mount.noXattrs,
    protectedXattrs: mount.protectedXattrs,
    passthrough: mount.passthrough,
    log: (level, message) => log[level](message),
    live,
    failed,
    trace: mount.trace,
    record,
    keepsNothing: mount.recordAll,
  };
}

// What waits to be read must not push out of a small cache what is read now.
const aheadShareOfCache = 1 / 8;

/** What is fetched ahead at most (bytes). @param limit bytes that the cache may take. */
export function aheadBytesMaxOf(asked: number | undefined, limit: number): number {
  return Math.min(asked ?? aheadBytesMaxUsual, Math.floor(limit * aheadShareOfCache));
}
