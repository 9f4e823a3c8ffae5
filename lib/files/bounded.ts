import { closeSync, fstatSync, renameSync, statSync, writeSync } from 'node:fs';
import { openToAppend } from './append.js';

/** What would grow beyond this is put aside as `FILE.1`, in the place of the one before (bytes). */
export const boundedBytesMax = 16 * 1024 * 1024;

/** A file that is added to, and that never outgrows its bound. */
export interface BoundedFile {
  /** Written at once. @throws errors of the file system. */
  write(text: string): void;
  /** Goes over to the file that lies at the path now, as after logrotate(8); the old one goes on where there is none. */
  reopen(): void;
  /** Lets go of it where it lies on a device (`st_dev`): what is written is lost, until it is opened anew. */
  leave(device: number): void;
  close(): void;
}

/** @throws UnsafeDirectory, errors of the file system. */
export function openBounded(path: string, bytesMax = boundedBytesMax): BoundedFile {
  let fd: number | undefined = openToAppend(path);
  const close = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  const reopen = (): void => {
    try {
      const next = openToAppend(path);
      close();
      fd = next;
    } catch {
      return;
    }
  };
  return {
    write(text) {
      if (fd === undefined) return;
      const bytes = Buffer.from(text);
      const status = fstatSync(fd);
      if (status.isFile() && status.size > 0 && status.size + bytes.length > bytesMax) {
        // Another mount that has the same file may have put it aside already.
        if (statSync(path, { throwIfNoEntry: false })?.ino === status.ino) {
          renameSync(path, `${path}.1`);
        }
        reopen();
      }
      // A part may be written before the disk is full.
      for (let rest = bytes; rest.length > 0;) rest = rest.subarray(writeSync(fd, rest));
    },
    reopen,
    leave(device) {
      if (fd !== undefined && fstatSync(fd).dev === device) close();
    },
    close,
  };
}
