import { readFileSync } from 'node:fs';
import { findMount, mountType } from '../drivers/mountinfo.js';
import { currentMounts, unmountPath } from '../drivers/unmount.js';
import { fromText, printable } from '../format/bytes.js';
import { asPinfsError, PinfsError } from '../format/errors.js';
import { askControl, findRecords, type FoundMount } from './control.js';
import { resolveMountpoint } from './mountpoint.js';

export interface StopParts {
  /** Runtime directories to look into. */
  readonly directories: readonly string[];
  /** Milliseconds that the process of the mount has for unmounting. */
  readonly patience: number;
}

export interface Stopped {
  readonly mountpoint: string;
  /** `process`: the mount's own process did it. `system`: it was dead or silent, and umount did. */
  readonly by: 'process' | 'system';
}

/**
 * Ends a mount: through its process where that answers, else by the system, so that dead mounts
 * go as well. Nothing here touches the mount itself.
 * @throws PinfsError NOT_MOUNTED, MOUNT_BUSY (naming who holds it), MOUNT_FAILED.
 */
export async function stopMount(path: string, lazy: boolean, parts: StopParts): Promise<Stopped> {
  const mounts = await currentMounts();
  const ours = (candidate: string) => findMount(mounts, candidate)?.type === mountType;
  const mountpoint = resolveOr(path, ours);
  const found = findRecords(parts.directories).find(
    ({ record, aside }) => !aside && record.mountpoint === mountpoint,
  );
  if (found !== undefined && (await askToUnmount(found, lazy, parts.patience))) {
    if (!lazy) await processEnd(found.record.pid);
    return { mountpoint, by: 'process' };
  }
  if (!ours(mountpoint)) {
    throw new PinfsError('NOT_MOUNTED', `no pinfs mount is on ${printable(fromText(mountpoint))}`, {
      advice: "'pinfs status' lists them.",
    });
  }
  await unmountPath(mountpoint, lazy);
  return { mountpoint, by: 'system' };
}

function resolveOr(path: string, ours: (path: string) => boolean): string {
  try {
    return resolveMountpoint(path, ours);
  } catch {
    throw new PinfsError('NOT_MOUNTED', `no pinfs mount is on ${printable(fromText(path))}`, {
      advice: "'pinfs status' lists them.",
    });
  }
}

// Whoever asks for a lazy unmount has seen that its process is silent, and it can be done without it (ms).
const lazyPatience = 3000;

/** Whether its process did it. One that is silent (when lazily asked), or may not, is left to the system. */
async function askToUnmount(found: FoundMount, lazy: boolean, patience: number): Promise<boolean> {
  const answer = await askControl(
    found.socket,
    { command: 'unmount', lazy },
    lazy ? Math.min(patience, lazyPatience) : patience,
  ).catch((thrown: unknown) => {
    const error = asPinfsError(thrown);
    if (error.code === 'MOUNT_BUSY') throw error;
    return { kind: 'dead' } as const;
  });
  if (answer.kind === 'silent' && !lazy) {
    const { mountpoint, pid } = found.record;
    throw new PinfsError('MOUNT_BUSY', `the process ${pid} of ${mountpoint} does not answer`, {
      advice: `Detach the mount without it: pinfs umount --lazy ${mountpoint}`,
    });
  }
  return answer.kind === 'answer';
}

/** Waits, for a few seconds at most, until a process is gone, so that what it held is free. */
async function processEnd(pid: number): Promise<void> {
  for (let look = 0; look < 200 && lives(pid); look += 1) {
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
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
