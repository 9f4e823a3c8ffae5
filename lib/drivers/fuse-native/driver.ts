import { readdir, readlink } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { isMainThread } from 'node:worker_threads';
import type FuseNative from 'fuse-native';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import type { Filesystem } from '../../filesystem/filesystem.js';
import { asksForMembership, isKeptFrom } from '../../filesystem/magic.js';
import { runOperation } from '../../store/run.js';
import { andThen, done } from '../../store/want.js';
import {
  waitLimitsOf,
  type Driver,
  type MountEnd,
  type Mounted,
  type MountRequest,
} from '../driver.js';
import { nativeOptions } from './convert.js';
import { checkDevice, libraryError, mountError } from './device.js';
import { makeHandlers, type Handlers } from './handlers.js';
import { operationTable, xattrOperations } from './operations.js';
import { openOwnRecording } from './recording.js';
import { makeDriverCounters, type DriverCounters } from '../counters.js';
import { usableMountpoint } from '../../machine/mountpoint.js';
import { recoverStale } from '../../machine/stale-mounts.js';
import {
  findMount,
  mountpointOf,
  mountType,
  textOf,
  type MountLine,
} from '../../machine/mountinfo.js';
import { movedAway } from '../../machine/held-place.js';
import { blockSignals } from '../../machine/signals.js';
import { isSystemAdministrator, shownNames } from '../../machine/capabilities.js';
import { isOver, systemCalls } from '../../machine/system-calls.js';
import {
  abortConnection,
  currentMounts,
  mountOfDevice,
  unmountFound,
  unmountOwn,
} from '../../machine/unmount.js';
import { openEnding } from '../../source/ending.js';

type FuseClass = typeof FuseNative;
type FuseInstance = InstanceType<FuseClass>;

/**
 * Mounts through libfuse 2, in the main thread. What it can't carry: names and targets that aren't
 * UTF-8, times before 1970 and finer than a millisecond, inode numbers beyond 32 bits.
 */
export const fuseNativeDriver: Driver = { name: 'fuse-native', mount };

// Which descriptor belongs to which mount is seen by comparing before and after: one at a time.
let turn: Promise<unknown> = Promise.resolve();

function mount(request: MountRequest): Promise<Mounted> {
  const mounted = turn.then(() => mountNow(request));
  turn = mounted.catch(() => undefined);
  return mounted;
}

/** How long libfuse may take to begin (ms). */
const startTimeoutMs = 20_000;

async function mountNow(request: MountRequest): Promise<Mounted> {
  if (!isMainThread) {
    throw new PinfsError('MOUNT_FAILED', 'fuse-native works in the main thread only');
  }
  const { store, log } = request;
  const mountpoint = await usableMountpoint(request.mountpoint, log, request.place);
  const allowOther = request.allowOther && !asksForMembership(request.filesystem);
  if (request.allowOther && !allowOther) {
    log('warn', 'the repository asks for a membership: other users are not let in');
  }
  await checkDevice(mountpoint, allowOther);
  const Fuse = await load();
  const counters = makeDriverCounters(request);
  const { protectedXattrs } = request;
  const isKept = (name: string): boolean =>
    protectedXattrs !== undefined && isKeptFrom(protectedXattrs, undefined, name);
  const shown = listing(!allowOther && isSystemAdministrator('self'));
  const handlers = makeHandlers(
    shown(request.filesystem),
    (operation, wait) => runOperation(operation, store, { wait }),
    waitLimitsOf(request),
    counters,
    isKept,
  );
  const root = process.getuid?.() === 0;
  const options = nativeOptions(request, { allowOther, root });
  const fuse = new Fuse(mountpoint, operationTable(handlers, request.noXattrs), options);
  Object.assign(fuse, xattrOperations(handlers));
  const before = new Set(await openDevices());
  const underneath = findMount(await currentMounts(), mountpoint);
  const takeAway = (): Promise<void> => takeAwayNew(mountpoint, underneath).catch(() => undefined);
  const record = openOwnRecording(store);
  record(request.record);
  await start(fuse, mountpoint, takeAway);
  const descriptor = (await openDevices()).find((fd) => !before.has(fd));
  const line = await mountOfDevice(descriptor, mountpoint);
  if (descriptor === undefined || line === undefined) {
    await takeAway();
    throw new PinfsError('MOUNT_FAILED', `${mountpoint}: the mount went away at once`);
  }
  // libfuse goes by the path, which somebody may have led elsewhere.
  if (request.place !== undefined && request.place.now() !== textOf(line.mountpoint)) {
    await unmountOwn(line, 'force').catch(() => undefined);
    throw movedAway(mountpoint);
  }
  return serve({
    shown,
    fuse,
    mountpoint,
    descriptor,
    line,
    allowOther,
    handlers,
    counters,
    log,
    record,
  });
}

function membersOnly(): PinfsError {
  return new PinfsError('ACCESS_DENIED', 'the new revision admits members only', {
    advice: 'Mount it again: other users are then not let in.',
  });
}

async function load(): Promise<FuseClass> {
  try {
    const { default: Fuse } = await import('fuse-native');
    // Its own runs a shell with the path in it. We unmount ourselves; this leaves what its close
    // does besides: letting go of the event loop.
    Fuse.unmount = (_mountpoint, callback) => callback(null);
    return Fuse;
  } catch (error) {
    throw libraryError(error);
  }
}

/** Takes away what libfuse mounted there and does not serve; not what lay there before, or what is not ours. */
async function takeAwayNew(mountpoint: string, before: MountLine | undefined): Promise<void> {
  const there = findMount(await currentMounts(), mountpoint);
  if (there?.type !== mountType || there.id === before?.id) return;
  await unmountFound(there, 'force');
}

async function start(
  fuse: FuseInstance,
  mountpoint: string,
  takeAway: () => Promise<void>,
): Promise<void> {
  const unblock = blockSignals();
  const started = new Promise<void>((resolve, reject) => {
    fuse.mount((error) => {
      if (error === null) resolve();
      else reject(mountError(error, mountpoint));
    });
  });
  const gaveUp = openEnding();
  const late = wait(startTimeoutMs, 'late', { signal: gaveUp.signal }).catch(() => 'stopped');
  try {
    if ((await Promise.race([started, late])) !== 'late') return;
  } finally {
    unblock();
    gaveUp.abort();
  }
  started.catch(() => undefined);
  await takeAway();
  throw new PinfsError('MOUNT_FAILED', `${mountpoint}: libfuse did not begin to serve`);
}

/** Descriptors of this process that are open FUSE devices. Reads /proc only. */
async function openDevices(): Promise<string[]> {
  const found: string[] = [];
  for (const fd of await readdir('/proc/self/fd')) {
    if (await isDevice(fd)) found.push(fd);
  }
  return found;
}

/** Whether the connection of an open device lives: until it is over, nobody else gets the number of its mount. */
async function isServing(fd: string): Promise<boolean> {
  if (!(await isDevice(fd))) return false;
  try {
    return !isOver(systemCalls(), Number(fd));
  } catch {
    // Without koffi, libfuse's closing it has to do.
    return true;
  }
}

async function isDevice(fd: string): Promise<boolean> {
  return (await readlink(`/proc/self/fd/${fd}`).catch(() => '')) === '/dev/fuse';
}

/** Who asks is not known here: `trusted.*` is listed only where nobody else can ask. */
function listing(trusted: boolean): (filesystem: Filesystem) => Filesystem {
  if (trusted) return (filesystem) => filesystem;
  return (filesystem) => ({
    ...filesystem,
    listxattr: (node) =>
      andThen(filesystem.listxattr(node), (names) => done(shownNames(names, () => false))),
  });
}

interface Service {
  readonly shown: ReturnType<typeof listing>;
  readonly fuse: FuseInstance;
  readonly mountpoint: string;
  /** Of the FUSE device; libfuse closes it when the connection is over, and tells nobody. */
  readonly descriptor: string;
  readonly line: MountLine;
  readonly allowOther: boolean;
  readonly handlers: Handlers;
  readonly counters: DriverCounters;
  readonly log: MountRequest['log'];
  readonly record: ReturnType<typeof openOwnRecording>;
}

/** How often to look whether the mount is still there (ms), and how often when it is about to go. */
const watchIntervalMs = 1000;
const leavingIntervalMs = 20;
/** How long unmount waits for the end of the connection (ms), and when it is only detached. */
const leavingTimeoutMs = 5000;
const lazyTimeoutMs = 300;

function serve(service: Service): Mounted {
  const { handlers, counters, allowOther } = service;
  let gone = false;
  let resolveEnd: (end: MountEnd) => void = () => undefined;
  const ended = new Promise<MountEnd>((resolve) => {
    resolveEnd = resolve;
  });
  function finish(): void {
    if (gone) return;
    gone = true;
    clearInterval(timer);
    service.record(undefined);
    void cleanUp(service).then(resolveEnd);
  }
  // Resolves true once the connection is over. The descriptor's number may be in use again by then.
  async function look(): Promise<boolean> {
    if (!gone && (await isServing(service.descriptor))) return false;
    finish();
    return true;
  }
  const timer = setInterval(() => void look(), watchIntervalMs);

  return {
    ended,
    statistics: counters.statistics,
    replace(_descriptor, filesystem) {
      if (allowOther && asksForMembership(filesystem)) return Promise.reject(membersOnly());
      handlers.replace(service.shown(filesystem));
      return Promise.resolve();
    },
    line: service.line,
    record(sink) {
      service.record(sink);
      return Promise.resolve();
    },
    async unmount(mode) {
      if (await look()) return;
      // The connection lives, so its number is nobody else's; it may have no place any more.
      if (mode === 'force') await abortConnection(service.line.device);
      await unmountOwn(service.line, mode);
      // Whoever holds a detached mount, or a copy of it, keeps it going.
      const last = mode === 'orderly' ? leavingTimeoutMs : lazyTimeoutMs;
      for (let waited = 0; !(await look()) && waited <= last; waited += leavingIntervalMs) {
        await wait(leavingIntervalMs);
      }
      // What could not be aborted is over when the process is.
      if (mode === 'force') finish();
    },
  };
}

/**
 * After the end of the connection: takes away a dead mount, and lets go of the event loop. Never rejects.
 * What answers is another one, which got the device number that was ours.
 */
async function cleanUp({ fuse, mountpoint, line, log }: Service): Promise<MountEnd> {
  let left = false;
  try {
    const place = mountpointOf(await currentMounts(), line);
    if (place !== undefined) left = await recoverStale(place);
  } catch (error) {
    log('error', asPinfsError(error).message);
  }
  await new Promise<void>((resolve) => fuse.unmount(() => resolve()));
  return left
    ? { reason: 'aborted', message: `the connection of ${mountpoint} was aborted` }
    : { reason: 'unmounted', message: `${mountpoint} was unmounted` };
}
