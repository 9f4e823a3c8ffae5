import { errno } from '../../format/errno.js';
import type { Handlers } from './handlers.js';

/** fuse-native's way to answer a request: the result, then values. */
export type Signal = (result: number, ...values: unknown[]) => void;

/** Everything that would write. The mount is read-only, so they come only if root remounts it. */
export const writingOperations = [
  'create',
  'write',
  'truncate',
  'ftruncate',
  'utimens',
  'chown',
  'chmod',
  'mknod',
  'mkdir',
  'rmdir',
  'unlink',
  'rename',
  'link',
  'symlink',
  'setxattr',
  'removexattr',
] as const;

/**
 * The table of operations as fuse-native takes it. What isn't in it libfuse answers with ENOSYS,
 * so that the kernel stops asking: flush always, and extended attributes if `noXattrs`.
 */
export function operationTable(handlers: Handlers, noXattrs: boolean): Record<string, unknown> {
  const table: Record<string, unknown> = {
    getattr: handlers.getattr,
    readlink: handlers.readlink,
    open: handlers.open,
    read: handlers.read,
    release: handlers.release,
    statfs: handlers.statfs,
    readdir: (path: string, signal: Signal) =>
      handlers.readdir(path, (result, listing) => signal(result, listing?.names, listing?.stats)),
  };
  for (const name of writingOperations) {
    table[name] = (...values: unknown[]) => {
      const signal = values.at(-1);
      if (typeof signal === 'function') (signal as Signal)(-errno.EROFS);
    };
  }
  // Only their presence is looked at: what they do is replaced by `xattrOperations`.
  if (!noXattrs) Object.assign(table, { getxattr: true, listxattr: true });
  return table;
}

/**
 * fuse-native's own getxattr and listxattr answer nonsense where a buffer is too small. These go in
 * their place, at its inner names.
 */
export function xattrOperations(handlers: Handlers) {
  return {
    _op_getxattr(signal: Signal, path: string, name: string, buffer: Buffer): void {
      handlers.getxattr(path, name, (result, value) =>
        signal(value === undefined ? result : intoBuffer(value, buffer), buffer.buffer),
      );
    },
    _op_listxattr(signal: Signal, path: string, buffer: Buffer): void {
      handlers.listxattr(path, (result, value) =>
        signal(value === undefined ? result : intoBuffer(value, buffer), buffer.buffer),
      );
    },
  };
}

/** As getxattr(2): an empty buffer asks for the length, one that is too small gets ERANGE. */
export function intoBuffer(value: Buffer, buffer: Buffer): number {
  if (buffer.length === 0) return value.length;
  if (value.length > buffer.length) return -errno.ERANGE;
  return value.copy(buffer);
}
