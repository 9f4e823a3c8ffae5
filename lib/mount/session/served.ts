import type { Driver, Mounted } from '../../drivers/driver.js';
import { PinfsError } from '../../format/errors.js';
import { noteError } from '../../repository/open/opening.js';
import type { Repository } from '../../repository/repository.js';
import type { Verdict } from '../../trust/verdict/verdict.js';
import { namesOfOldHolders } from '../../machine/old-holders.js';
import type { Log } from '../log.js';
import type { MountOptions } from '../options.js';
import { followHead, type Follower, type FollowParts, type Timer } from './follow.js';
import { notifyStatus } from './notify.js';
import { refuseOthers } from './request.js';
import type { HeadStatus, PreviousSnapshot } from './status.js';

/** What a mount serves: the snapshot of its pin, or of a head that it follows; and how it goes over to another one. */
export interface SnapshotServer {
  current(): Repository;
  /** Null: a pin. */
  head(): HeadStatus | null;
  /** What was served before, the oldest first; somebody may still be in it. */
  previous(): readonly PreviousSnapshot[];
  /** Asks for the head now, where one is followed. */
  checkNow(): void;
  /**
   * Goes over to another pin, and follows no head from then on. What is not verified changes nothing.
   * @throws PinfsError what opening throws; REPIN_REFUSED; MOUNT_BUSY: another one is under way
   */
  repin(asked: AskedPin): Promise<Repinned>;
  /** A check of the head that is under way is given up. */
  stop(): Promise<void>;
}

export interface AskedPin {
  readonly pin: string;
  /** Verify it, and stay. */
  readonly dryRun: boolean;
}

export interface Repinned {
  readonly from: Verdict;
  readonly to: Verdict;
  /** Who is still in what was served before; undefined: nobody is seen. */
  readonly holders?: string | undefined;
}

export interface ServedParts extends Pick<
  FollowParts,
  'refresh' | 'refuseBanned' | 'nextCheck' | 'timer'
> {
  readonly openOtherPin: (repository: Repository, pin: string) => Promise<Repository>;
  readonly timer: Timer;
  readonly log: Log;
}

// As many as a driver keeps (drivers/kernel/worker/snapshots.ts).
const previousMax = 32;

/** What changes while a mount lives. */
interface State {
  readonly mount: MountOptions;
  readonly driver: Driver['name'];
  readonly parts: ServedParts;
  readonly first: Repository;
  readonly mounted: Mounted;
  readonly previous: PreviousSnapshot[];
  /** Of the nodes of what is served: each change of the snapshot counts it up. */
  generation: number;
  /** The summary that systemd was told. */
  shown: string;
  pinned: Repository;
  follower: Follower | undefined;
  isBusy: boolean;
}

/** Serves a repository that is mounted just now. */
export function serveSnapshots(
  mount: MountOptions,
  driver: Driver['name'],
  parts: ServedParts,
  first: Repository,
  mounted: Mounted,
): SnapshotServer {
  const state: State = {
    ...{ mount, driver, parts, first, mounted },
    previous: [],
    generation: 1,
    shown: first.verdict.summary,
    pinned: first,
    follower: undefined,
    isBusy: false,
  };
  if (!first.pinned) state.follower = follow(state, first);
  return {
    current: () => currentOf(state),
    head: () => state.follower?.status() ?? null,
    previous: () => [...state.previous],
    checkNow: () => state.follower?.checkNow(),
    async repin(asked) {
      if (state.isBusy)
        throw new PinfsError('MOUNT_BUSY', 'another pin is just being opened for it');
      state.isBusy = true;
      try {
        return await repin(state, asked);
      } finally {
        state.isBusy = false;
      }
    },
    async stop() {
      await state.follower?.stop();
    },
  };
}

function currentOf({ follower, pinned }: State): Repository {
  return follower?.current() ?? pinned;
}

function follow(state: State, repository: Repository): Follower {
  const { parts, mounted, first } = state;
  const follower: Follower = followHead({
    repository,
    refresh: parts.refresh,
    refuseBanned: parts.refuseBanned,
    end: () => mounted.unmount('force'),
    nextCheck: parts.nextCheck,
    replace: (next) => replace(state, follower.current(), next),
    troubled: () => {
      noteError(first.opening);
    },
    told: ({ opening, verdict: { summary } }, due) => {
      opening.headRequests.again = due;
      tell(state, summary);
    },
    timer: parts.timer,
    log: (level, message, fields) => parts.log[level](message, fields),
  });
  return follower;
}

function tell(state: State, summary: string): void {
  if (summary === state.shown) return;
  state.shown = summary;
  void notifyStatus(summary);
}

async function replace(state: State, old: Repository, next: Repository): Promise<void> {
  const { mount, mounted, previous, parts } = state;
  refuseOthers(mount, next);
  await mounted.replace(next.descriptor, next.filesystem);
  previous.push(previousOf(old, state.generation, parts.timer.now()));
  if (previous.length > previousMax) previous.shift();
  state.generation += 1;
}

async function repin(state: State, { pin, dryRun }: AskedPin): Promise<Repinned> {
  const { driver, parts, mounted } = state;
  const { log } = parts;
  if (driver === 'fuse-native') throw notThroughLibfuse();
  log.info(`asked ${dryRun ? 'to verify' : 'to go over to'} the pin ${pin}`);
  const next = await parts.openOtherPin(currentOf(state), pin);
  const to = next.verdict;
  if (dryRun) {
    leaveQuietly(next, log);
    return { from: currentOf(state).verdict, to };
  }
  const from = await goOver(state, next).catch((thrown: unknown) => {
    leaveQuietly(next, log);
    throw thrown;
  });
  const holders = await namesOfOldHolders(mounted.line?.device, state.generation);
  log.info(repinnedText({ from, to, holders }), { verdict: to });
  return { from, to, holders };
}

/** @throws what replacing throws: what was served, or followed, is as before. */
async function goOver(state: State, next: Repository): Promise<Verdict> {
  const isFollowing = state.follower !== undefined;
  await state.follower?.stop();
  const old = currentOf(state);
  try {
    await replace(state, old, next);
  } catch (thrown) {
    if (isFollowing) state.follower = follow(state, old);
    throw thrown;
  }
  state.pinned = next;
  state.follower = undefined;
  next.opening.headRequests.again = undefined;
  tell(state, next.verdict.summary);
  leaveQuietly(old, state.parts.log);
  return old.verdict;
}

function previousOf(
  { descriptor, verdict }: Repository,
  generation: number,
  now: number,
): PreviousSnapshot {
  const { rootHash } = descriptor.identity;
  const { tag, revision } = verdict;
  return {
    generation,
    rootHash,
    tag: tag ?? null,
    revision: revision ?? null,
    until: new Date(now).toISOString(),
  };
}

function notThroughLibfuse(): PinfsError {
  return new PinfsError(
    'REPIN_REFUSED',
    'the fuse-native driver can not tell the kernel that files have changed',
    { advice: 'End it, and mount it anew; through the kernel driver a mount can go over.' },
  );
}

function leaveQuietly(repository: Repository, log: Log): void {
  try {
    repository.leave();
  } catch (thrown) {
    // It costs memory; what is served is another one.
    const why = thrown instanceof Error ? thrown.message : String(thrown);
    log.warn(`a snapshot that is not served can't be closed: ${why}`);
  }
}

/** A snapshot for people: root hash, and the tag by which it was found. */
function snapshotText({ rootHash, tag }: Pick<Verdict, 'rootHash' | 'tag'>): string {
  const hash = rootHash ?? 'a root hash that is not known';
  return tag === undefined ? hash : `${hash} (${tag})`;
}

function repinnedText({ from, to, holders }: Repinned): string {
  const still = holders === undefined ? '' : `; still in the old one: ${holders}`;
  return `from ${snapshotText(from)} to ${snapshotText(to)}: ${to.summary}${still}`;
}
