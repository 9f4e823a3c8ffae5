import { closeSync, realpathSync, writeFileSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { quietFacts, type LiveFacts } from '../../../filesystem/live-facts.js';
import { asksForMembership } from '../../../filesystem/magic.js';
import { asPinfsError, PinfsError } from '../../../format/errors.js';
import {
  aheadBytesMaxUsual,
  waitLimitsOf,
  type Driver,
  type Mounted,
  type MountEnd,
  type MountRequest,
} from '../../driver.js';
import { mountpointOf } from '../../../machine/mountinfo.js';
import { passedDescriptor, usableMountpoint } from '../../../machine/mountpoint.js';
import { recoverStale } from '../../../machine/stale-mounts.js';
import { currentMounts } from '../../../machine/unmount.js';
import { systemCalls, type Pipe } from '../../../machine/system-calls.js';
import { openFetches } from './fetches.js';
import { openLink, startThread, type Link, type LinkEnd } from './link.js';
import { notify } from './notify.js';
import { movedAway } from '../../../machine/held-place.js';
import { mountDevice, type MountedDevice } from '../mounting/mounting.js';
import { usualWishes } from '../protocol/negotiation.js';
import { isLittleEndian } from '../protocol/protocol.js';
import type { Settings } from '../worker/service.js';
import { counters, countError, type Counters } from '../worker/statistics.js';
import { openRecording, type Recording } from './recording.js';
import { readStatistics } from './driver-statistics.js';
import { startSupervisor, type Supervisor } from './supervisor.js';

/** Speaks the FUSE protocol on /dev/fuse itself, from a worker thread (Linux only). */
export const kernelDriver: Driver = {
  name: 'kernel',
  prepare() {
    if (process.platform === 'linux') early ??= startThread();
  },
  mount: (request) => mountKernel(request),
};

// A thread takes a tenth of a second to start, which can pass while the repository is opened.
let early: Worker | undefined;

function takeThread(maker: string | undefined): Worker {
  const thread = early;
  if (thread === undefined || maker !== undefined) return startThread(maker);
  early = undefined;
  return thread;
}

/** What only tests change. */
export interface Inner {
  /** Module with `openMaker` (see filesystem-maker.ts). */
  readonly maker?: string;
  readonly settings?: Partial<Settings>;
}

/** Mounts; resolves when INIT is answered. @throws PinfsError MOUNT_*, MOUNTPOINT_UNUSABLE. */
export async function mountKernel(request: MountRequest, inner: Inner = {}): Promise<Mounted> {
  if (process.platform !== 'linux' || !isLittleEndian) {
    throw new PinfsError('MOUNT_NO_DEVICE', 'the kernel driver works on little-endian Linux only', {
      advice: 'use --driver fuse-native',
    });
  }
  const passed = passedDescriptor(request.mountpoint) !== undefined;
  const mountpoint = passed
    ? request.mountpoint
    : await usableMountpoint(request.mountpoint, request.log, request.place);
  if (!passed && mountpoint !== resolve(request.mountpoint)) throw movedAway(request.mountpoint);
  refuseInside(mountpoint, request.store.directory);
  const calls = systemCalls();
  const wake = calls.pipe();
  if (typeof wake === 'number') {
    throw new PinfsError('MOUNT_FAILED', `no pipe for the worker: errno ${-wake}`);
  }
  const mount: Mount = {
    request,
    mountpoint,
    wake,
    counters: counters(),
    inner,
    notifier: Promise.resolve(),
    recording: openRecording(request.store),
  };
  let link: Link | undefined;
  try {
    link = await startWorker(mount);
    if (request.record !== undefined) await mount.recording.record(link, request.record);
    await link.build(request.descriptor, liveFacts(request), request.store);
    return await begin(mount, link);
  } catch (error) {
    link?.send({ kind: 'stop' });
    await link?.ended;
    closePipe(wake);
    throw error;
  }
}

interface Mount {
  readonly request: MountRequest;
  readonly mountpoint: string;
  readonly wake: Pipe;
  readonly counters: Counters;
  readonly inner: Inner;
  readonly recording: Recording;
  /** The notifications of the last change are written; never rejects. */
  notifier: Promise<void>;
}

/** A daemon that reads files of its own through its own mount waits for itself, for ever. */
function refuseInside(mountpoint: string, directory: string): void {
  const inside = relative(mountpoint, realpathSync(directory));
  if (inside === '..' || inside.startsWith('../')) return;
  throw new PinfsError('MOUNTPOINT_UNUSABLE', `the cache ${directory} lies below ${mountpoint}`, {
    advice: 'choose another directory with --cache, or another mountpoint',
  });
}

function liveFacts(request: MountRequest): LiveFacts {
  return request.live?.() ?? quietFacts();
}

function closePipe(pipe: Pipe): void {
  closeSync(pipe.read);
  closeSync(pipe.write);
}

function startWorker(mount: Mount): Promise<Link> {
  const { request, inner } = mount;
  const pinned = request.lifetime === 'pinned';
  const keepsNothing = request.keepsNothing === true;
  const passthrough = request.passthrough === true && !keepsNothing;
  const settings: Settings = {
    lifetime: keepsNothing ? 0 : request.lifetime,
    keepsNothing,
    aheadBytesMax: request.aheadBytesMax ?? aheadBytesMaxUsual,
    noXattrs: request.noXattrs,
    protectedXattrs: request.protectedXattrs,
    // Passthrough is agreed at each OPEN, so these are asked for then.
    noOpen: pinned && !passthrough && !keepsNothing,
    noOpendir: pinned && !keepsNothing,
    ...waitLimitsOf(request),
    wishes: { ...usualWishes, passthrough },
    ...inner.settings,
  };
  return openLink({
    thread: takeThread(inner.maker),
    start: {
      settings,
      counters: mount.counters.memory,
      wake: mount.wake.read,
      trace: request.trace,
    },
    counters: mount.counters,
    wake: mount.wake,
    fetches: (send, sendLater) =>
      openFetches(request.store, waitLimitsOf(request), {
        have: (key) => {
          const evicted = request.store.takeEvicted?.();
          send({ kind: 'have', key, evicted, fetched: mount.recording.takeFetched() });
        },
        fail: (key, errno, { code, message, passing }) => {
          countError(mount.counters, code);
          request.log('warn', `${code}: ${message}`);
          send({ kind: 'fail', key, errno, passing });
        },
        news: (key, bytes, trouble) => {
          sendLater({ kind: 'news', key, bytes, trouble });
        },
      }),
    error: (text) => {
      request.log('warn', text);
    },
    recorded: mount.recording.recorded,
  });
}

/** How long unmounting waits for the end of the connection (ms), and when it is only detached. */
const leavingTimeoutMs = 5000;
const lazyTimeoutMs = 300;

/** Mounts, and serves until the end. */
async function begin(mount: Mount, link: Link): Promise<Mounted> {
  const { request, mountpoint } = mount;
  const device = await mountDevice({
    mountpoint,
    place: request.place,
    source: request.source,
    allowOther: request.allowOther && !asksForMembership(request.filesystem),
    suid: request.suid,
    dev: request.dev,
    noExec: request.noExec === true,
  });
  try {
    await link.serve(device.device);
  } catch (error) {
    await device.unmount('force').catch(() => undefined);
    link.send({ kind: 'stop' });
    await link.ended;
    closeSync(device.device);
    // Where the connection was aborted, nothing was unmounted.
    await takeAwayDead(device).catch(() => undefined);
    throw error;
  }
  const { mounted, passed } = device;
  if (mounted !== undefined) raiseReadahead(mounted.device);
  const supervisor =
    mounted === undefined || passed
      ? undefined
      : startSupervisor(mounted, (message) => {
          request.log('warn', message);
        });
  const stopFacts = sendFacts(request, link);
  const ended = link.ended.then(async (end) => {
    stopFacts();
    return finish(mount, device, supervisor, end);
  });
  return {
    ended,
    replace: (descriptor) => replace(mount, device, link, descriptor),
    line: mounted,
    record: (sink) => mount.recording.record(link, sink),
    leaveCache: () => {
      link.send({ kind: 'leaveCache' });
    },
    reopenTrace: () => {
      link.send({ kind: 'reopen' });
    },
    async unmount(mode) {
      await device.unmount(mode);
      // Whoever is still inside gets errors. Not before the notifier is through: it may wait for a LOOKUP
      // that only the worker can answer.
      if (mode === 'force') {
        void mount.notifier.then(() => {
          link.send({ kind: 'stop' });
        });
      }
      // Whoever holds a lazily detached one, or a copy in another mount namespace, keeps it going, and us with it.
      const timeoutMs = mode === 'lazy' ? lazyTimeoutMs : leavingTimeoutMs;
      await Promise.race([ended, wait(timeoutMs, undefined, { ref: false })]);
    },
    get statistics() {
      return readStatistics(mount.counters);
    },
  };
}

/** Reads ahead in pieces of 1 MiB, where we may say so (root); the kernel's own are 128 KiB. */
function raiseReadahead(number: string): void {
  try {
    writeFileSync(`/sys/class/bdi/${number}/read_ahead_kb`, '1024');
  } catch {
    // An ordinary user keeps the kernel's own.
  }
}

const factsIntervalMs = 1000;

function sendFacts(request: MountRequest, link: Link): () => void {
  if (request.live === undefined) return () => undefined;
  let last = '';
  const timer = setInterval(() => {
    const facts = liveFacts(request);
    const text = JSON.stringify({ ...facts, uptime: 0 });
    if (text === last) return;
    last = text;
    link.sendLater({ kind: 'facts', facts });
  }, factsIntervalMs);
  timer.unref();
  return () => {
    clearInterval(timer);
  };
}

/** The worker is over. Only now is the device closed: its number must not become another file's. */
async function finish(
  mount: Mount,
  device: MountedDevice,
  supervisor: Supervisor | undefined,
  end: LinkEnd,
): Promise<MountEnd> {
  closeSync(device.device);
  await Promise.race([mount.notifier, wait(leavingTimeoutMs, undefined, { ref: false })]);
  closePipe(mount.wake);
  await takeAwayDead(device).catch((error: unknown) => {
    mount.request.log('warn', asPinfsError(error).message);
  });
  supervisor?.dismiss();
  switch (end.reason) {
    case 'unmounted':
    case 'stopped':
      return { reason: 'unmounted', message: `${mount.mountpoint} was unmounted` };
    case 'aborted':
      return { reason: 'aborted', message: 'the connection was aborted from outside' };
    case 'failed':
      return { reason: 'failed', message: end.message };
  }
}

/** After an abort or a fault, a dead mount may be left. What answers is another one, with the numbers of ours. */
async function takeAwayDead({ mounted, passed }: MountedDevice): Promise<void> {
  if (mounted === undefined || passed) return;
  const place = mountpointOf(await currentMounts(), mounted);
  if (place !== undefined) await recoverStale(place);
}

async function replace(
  mount: Mount,
  device: MountedDevice,
  link: Link,
  descriptor: MountRequest['descriptor'],
): Promise<void> {
  // One after another: the notifications of two changes must not mix.
  await mount.notifier;
  const change = await link.build(descriptor, liveFacts(mount.request), mount.request.store);
  if (change === undefined) return;
  mount.notifier = notify(device.device, change).catch((error: unknown) => {
    // The new snapshot is served already; what the kernel keeps of the old one lives for a minute at most.
    mount.request.log('error', asPinfsError(error).message);
  });
  await mount.notifier;
}
