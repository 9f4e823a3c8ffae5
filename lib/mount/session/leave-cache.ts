import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
} from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import type { Mounted } from '../../drivers/driver.js';
import { printableText } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { systemCalls } from '../../machine/system-calls.js';
import type { Store } from '../../store/store.js';
import type { Log } from '../log.js';

/** What lets go of a cache: the store, a thread of the driver's own, and the log where it lies on the same file system. */
export interface Leaving {
  readonly store: Pick<Store, 'directory' | 'leaveCache'>;
  readonly mounted: Pick<Mounted, 'leaveCache'> | undefined;
  readonly log: Pick<Log, 'info' | 'leave'>;
  /** Where the log lies, if it has a file. */
  readonly logFile: string | undefined;
}

/** What is on its way now may have a file that is being written (ms). */
const waitMsMax = 10_000;
const lookIntervalMs = 50;

// O_ACCMODE.
const accessMode = 3;

/**
 * Keeps nothing on the file system of the cache open to write, so that it can be mounted read-only, and serves on.
 * @throws PinfsError MOUNT_BUSY, naming what stays open; the cache is let go of all the same.
 */
export async function leaveCache({
  store,
  mounted,
  log,
  logFile,
}: Leaving): Promise<{ cache: string }> {
  const device = statSync(store.directory).dev;
  store.leaveCache?.();
  mounted?.leaveCache?.();
  log.info(`told to let go of the cache ${store.directory}: nothing is written into it any more`);
  log.leave?.(device);
  if (logFile !== undefined) leaveOutput(logFile, device);
  const end = performance.now() + waitMsMax;
  for (;;) {
    const open = openToWrite(device);
    if (open.length === 0) break;
    if (performance.now() > end) {
      throw new PinfsError('MOUNT_BUSY', `still open to write: ${open.join(', ')}`, {
        advice: 'A log, trace or state can lie elsewhere; what is being fetched ends by itself.',
      });
    }
    await wait(lookIntervalMs);
  }
  return { cache: store.directory };
}

/** What a process in the background says for itself goes into the file of the log as well. */
function leaveOutput(logFile: string, device: number): void {
  const log = statSync(logFile, { throwIfNoEntry: false });
  const outputs = [1, 2].filter((fd) => fstatSync(fd).ino === log?.ino);
  if (log?.dev !== device || outputs.length === 0) return;
  const nowhere = openSync('/dev/null', 'w');
  try {
    for (const fd of outputs) systemCalls().redirect(fd, nowhere);
  } catch {
    // Without koffi it stays open, and is named.
  } finally {
    closeSync(nowhere);
  }
}

/** Files of this process on a device that are open to write, by their paths. */
function openToWrite(device: number): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const status = statSync(`/proc/self/fd/${fd}`);
      const [, flags = '0'] =
        /^flags:\s*([0-7]+)/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1')) ?? [];
      const isWritable = (Number.parseInt(flags, 8) & accessMode) !== constants.O_RDONLY;
      if (!status.isFile() || status.dev !== device || !isWritable) return [];
      return [printableText(readlinkSync(`/proc/self/fd/${fd}`))];
    } catch (thrown) {
      // The one of the directory itself, or what was closed meanwhile.
      if (['ENOENT', 'EACCES'].includes(errorCode(thrown) ?? '')) return [];
      throw thrown;
    }
  });
}
