import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from 'node:fs';

/**
 * Reads a file that somebody named. It has to be a regular one: a FIFO or a device could keep whoever reads it
 * for ever. Links are followed.
 * @throws Error that says what is wrong with it; errors of the file system.
 */
export function readGiven(path: string, bytesMax: number): Buffer {
  const { fd, status } = openGiven(path);
  try {
    if (status.size > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    // It may grow meanwhile; files of /proc say that they are empty. One byte more shows what is too large.
    const size = status.size === 0 ? bytesMax : Math.min(bytesMax, status.size);
    const bytes = Buffer.alloc(size + 1);
    let length = 0;
    for (let read = -1; read !== 0 && length < bytes.length; length += read) {
      read = readSync(fd, bytes, length, bytes.length - length, null);
    }
    if (length > bytesMax) throw new Error(`it is larger than ${bytesMax} bytes`);
    return bytes.subarray(0, Math.min(length, size));
  } finally {
    closeSync(fd);
  }
}

/**
 * Opens a file that somebody named, if it is a regular one.
 * @throws Error that says what is wrong with it; errors of the file system.
 */
export function openGiven(path: string): { readonly fd: number; readonly status: Stats } {
  const fd = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  const status = fstatSync(fd);
  if (status.isFile()) return { fd, status };
  closeSync(fd);
  throw new Error('it is no regular file');
}
