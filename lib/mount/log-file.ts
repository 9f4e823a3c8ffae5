import { boundedBytesMax, openBounded, type BoundedFile } from '../files/bounded.js';

/** A file that lines are added to, and that never outgrows its bound. */
export type LogFile = Pick<BoundedFile, 'write' | 'reopen' | 'leave'>;

/**
 * What can't be written, as on a full disk, is lost: the log never ends a mount.
 * @throws UnsafeDirectory, errors of the file system.
 */
export function openLogFile(path: string, bytesMax = boundedBytesMax): LogFile {
  const file = openBounded(path, bytesMax);
  return {
    write(line) {
      try {
        file.write(line);
      } catch {
        return;
      }
    },
    reopen: () => {
      file.reopen();
    },
    leave: (device) => {
      file.leave(device);
    },
  };
}
