import { existsSync, readFileSync } from 'node:fs';
import type { UnmountMode } from '../../machine/unmount.js';
import { namesOfHolders } from '../../machine/holders.js';
import { findMount, mountType, type MountLine } from '../../machine/mountinfo.js';
import { currentMounts, unmountFound } from '../../machine/unmount.js';
import { fromText, printable } from '../../format/bytes.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { askControl, findRecords, type FoundMount } from '../control/control.js';
import { readUnmounted, type Unmounted } from '../control/leave.js';
import { resolveMountpoint } from '../../machine/mountpoint.js';
import { mountHealth } from '../../machine/stale-mounts.js';

export interface StopParts {
  /** Runtime directories to look into. */
  readonly directories: readonly string[];
  /** Milliseconds that the process of the mount has for unmounting. */
  readonly timeoutMs: number;
}

export interface Stopped {
  readonly mountpoint: string;
  /** `process`: the mount's own process did it. `system`: it was dead or silent, and umount did. */
  readonly by: 'process' | 'system';
  /** The mount is out of its place, and goes on for those who still hold it; null: it is over. */
  readonly servesOn: ServesOn | null;
}

export interface ServesOn {
  /** Null: it has no control socket that we can reach. */
  readonly pid: number | null;
  /** Null: nobody could be seen. */
  readonly holders: string | null;
}

/**
 * Ends a mount: through its process where that answers, else by the system, so that dead mounts
 * go as well. Nothing here touches the mount itself.
 * @throws PinfsError NOT_MOUNTED, MOUNT_BUSY (naming who holds it), MOUNT_FAILED.
 */
export async function stopMount(
  path: string,
  mode: UnmountMode,
  parts: StopParts,
): Promise<Stopped> {
  const mounts = await currentMounts();
  const line = (candidate: string) => {
    const top = findMount(mounts, candidate);
    return top?.type === mountType ? top : undefined;
  };
  const mountpoint = resolveOr(path, (candidate) => line(candidate) !== undefined);
  const found = findRecords(parts.directories)
    .filter(({ record }) => record.mountpoint === mountpoint)
    .sort((a, b) => Number(a.detached) - Number(b.detached))[0];
  const stopped = found && (await byProcess(found, mode, parts.timeoutMs));
  return stopped ?? bySystem(mountpoint, line(mountpoint), mode, found);
}

/** As above, for a mount that need not have a place here. @throws PinfsError NOT_MOUNTED, MOUNT_BUSY. */
export async function stopRecorded(
  found: FoundMount,
  mode: UnmountMode,
  timeoutMs: number,
): Promise<Stopped> {
  const stopped = await byProcess(found, mode, timeoutMs);
  if (stopped === undefined) throw notMounted(found.record.mountpoint);
  return stopped;
}

/** Undefined: its process is silent (when not asked in order), dead, or may not. */
async function byProcess(
  found: FoundMount,
  mode: UnmountMode,
  timeoutMs: number,
): Promise<Stopped | undefined> {
  const unmounted = await askToUnmount(found, mode, timeoutMs);
  if (unmounted === undefined) return undefined;
  const { mountpoint } = found.record;
  return { mountpoint, by: 'process', servesOn: await outcome(found, unmounted) };
}

async function bySystem(
  mountpoint: string,
  line: MountLine | undefined,
  mode: UnmountMode,
  found: FoundMount | undefined,
): Promise<Stopped> {
  if (line === undefined) throw notMounted(mountpoint);
  const pid = found !== undefined && lives(found.record.pid) ? found.record.pid : null;
  // Nobody can go on in what is dead.
  const dead = mode !== 'force' && pid === null && (await mountHealth(mountpoint)) === 'stale';
  await unmountFound(line, dead ? 'lazy' : mode).catch((thrown: unknown) => {
    // It may have gone in the meantime, by another hand.
    if (asPinfsError(thrown).code !== 'NOT_MOUNTED') throw thrown;
  });
  const holders = await namesOfHolders({ device: line.device, place: undefined });
  const over = dead || mode === 'force' || (pid === null && holders === undefined);
  return { mountpoint, by: 'system', servesOn: over ? null : { pid, holders: holders ?? null } };
}

function resolveOr(path: string, ours: (path: string) => boolean): string {
  try {
    return resolveMountpoint(path, ours);
  } catch {
    throw notMounted(path);
  }
}

function notMounted(path: string): PinfsError {
  return new PinfsError('NOT_MOUNTED', `no pinfs mount is on ${printable(fromText(path))}`, {
    advice: "'pinfs status' lists them.",
  });
}

// Whoever asks to detach may have seen that its process is silent, and it can be done without it (ms).
const detachTimeoutMs = 6000;

async function askToUnmount(
  found: FoundMount,
  mode: UnmountMode,
  timeoutMs: number,
): Promise<Unmounted | undefined> {
  const wait = mode === 'orderly' ? timeoutMs : Math.min(timeoutMs, detachTimeoutMs);
  const answer = await askControl(found.socket, { command: 'unmount', mode }, wait).catch(
    (thrown: unknown) => {
      const error = asPinfsError(thrown);
      if (error.code === 'MOUNT_BUSY') throw error;
      return { kind: 'dead' } as const;
    },
  );
  if (answer.kind === 'silent' && mode === 'orderly') {
    const { mountpoint, pid } = found.record;
    const shown = printable(fromText(mountpoint));
    throw new PinfsError('MOUNT_BUSY', `the process ${pid} of ${shown} does not answer`, {
      advice: `End the mount without it: pinfs umount --force ${shown}`,
    });
  }
  return answer.kind === 'answer' ? readUnmounted(answer.value) : undefined;
}

/** What is left of a mount whose process has unmounted it. */
async function outcome(
  { record: { pid }, socket }: FoundMount,
  { ended, holders, goesOn = false }: Unmounted,
): Promise<ServesOn | null> {
  if (!ended && holders !== undefined) return { pid, holders };
  const isOver = () => !lives(pid) || (goesOn && !existsSync(socket));
  return (await comesTrue(isOver)) || ended ? null : { pid, holders: null };
}

/** Waits, for a few seconds at most, until a process or its mount is gone, so that what it held is free. */
async function comesTrue(what: () => boolean): Promise<boolean> {
  for (let look = 0; look < 200; look += 1) {
    if (what()) return true;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  return false;
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // Its parent may take its time to notice (state Z; proc_pid_stat(5)): it holds nothing any more.
    return !/^\d+ \(.*\) [ZX] /s.test(readFileSync(`/proc/${pid}/stat`, 'latin1'));
  } catch {
    return false;
  }
}
