import { closeSync, fstatSync, renameSync, statSync, writeSync } from 'node:fs';
import { openToAppend } from '../files/append.js';

/** A log that would grow beyond this is put aside as `FILE.1`, in the place of the one before (bytes). */
export const logBytesMax = 16 * 1024 * 1024;

/** A file that lines are added to, and that never outgrows its bound. */
export interface LogFile {
  /** Written at once. What can't be written, as on a full disk, is lost: the log never ends a mount. */
  write(line: string): void;
  /** Goes over to the file that lies at the path now, as after logrotate(8); the old one goes on where there is none. */
  reopen(): void;
}

/** @throws UnsafeDirectory, errors of the file system. */
export function openLogFile(path: string, bytesMax = logBytesMax): LogFile {
  let fd = openToAppend(path);
  const reopen = (): void => {
    try {
      const next = openToAppend(path);
      closeSync(fd);
      fd = next;
    } catch {
      return;
    }
  };
  return {
    write(line) {
      try {
        const bytes = Buffer.from(line);
        const { isRegular, size, ino } = facts(fd);
        if (isRegular && size > 0 && size + bytes.length > bytesMax) {
          // Another mount that has the same log may have put it aside already.
          if (statSync(path, { throwIfNoEntry: false })?.ino === ino) {
            renameSync(path, `${path}.1`);
          }
          reopen();
        }
        writeSync(fd, bytes);
      } catch {
        return;
      }
    },
    reopen,
  };
}

function facts(fd: number): { isRegular: boolean; size: number; ino: number } {
  const found = fstatSync(fd);
  return { isRegular: found.isFile(), size: found.size, ino: found.ino };
}
