import { readFileSync } from 'node:fs';

const folder = '/proc/sys/fs/fuse';

// The kernel looks every so many seconds, and takes no shorter timeout (fs/fuse/dev.c, since Linux 6.15).
const timeoutSecondsMin = 15;

/**
 * Seconds after which the kernel of this machine ends the whole mount because of one request that is not
 * answered (sysctl fs.fuse.default_request_timeout and max_request_timeout); undefined: it waits.
 */
export function kernelTimeout(read: (name: string) => string = readSetting): number | undefined {
  const [usual = 0, most = 0] = ['default_request_timeout', 'max_request_timeout'].map((name) => {
    const seconds = Number(read(name));
    return Number.isFinite(seconds) ? seconds : 0;
  });
  const given = [usual, most].filter((seconds) => seconds > 0);
  return given.length === 0 ? undefined : Math.max(timeoutSecondsMin, Math.min(...given));
}

function readSetting(name: string): string {
  try {
    return readFileSync(`${folder}/${name}`, 'utf8');
  } catch {
    return '';
  }
}

/** How long a request may be held (ms), so that it is answered in time for the kernel; undefined: it waits. */
export function heldAtMost(timeout: number | undefined): number | undefined {
  return timeout === undefined ? undefined : (timeout * 1000 * 2) / 3;
}
