import { errno } from '../../../format/errno.js';
import { headerSize } from '../protocol/constants.js';
import * as on from './handlers.js';
import {
  decodeGetxattr,
  decodeListxattr,
  decodeName,
  decodeNothing,
  decodeOpen,
  decodeRead,
  encodeStatfs,
} from '../protocol/protocol.js';
import { define, defineNodeless, defineRefused, type Call, type Operation } from './service.js';

function statfs(call: Call): number {
  const { current } = call.service.snapshots;
  return encodeStatfs(call.output, headerSize.reply, current.filesystem.statfs());
}

/**
 * Every opcode of the protocol up to 7.45: its number, its name, how the request is read, what is done
 * and how the reply is written. Whatever is not here is unknown: ENOSYS, and counted.
 */
export const operations: readonly Operation[] = [
  define(1, 'LOOKUP', (frame) => decodeName(frame), on.lookup, on.encodeLookup),
  defineNodeless(2, 'FORGET', (call) => on.runForget(call, false)),
  define(3, 'GETATTR', decodeNothing, (call) => getattr(call), on.encodeGetattr),
  defineRefused(4, 'SETATTR', errno.EROFS),
  define(
    5,
    'READLINK',
    decodeNothing,
    (call) => call.snapshot.filesystem.readlink(call.node),
    on.encodeText,
  ),
  defineRefused(6, 'SYMLINK', errno.EROFS),
  defineRefused(8, 'MKNOD', errno.EROFS),
  defineRefused(9, 'MKDIR', errno.EROFS),
  defineRefused(10, 'UNLINK', errno.EROFS),
  defineRefused(11, 'RMDIR', errno.EROFS),
  defineRefused(12, 'RENAME', errno.EROFS),
  defineRefused(13, 'LINK', errno.EROFS),
  define(14, 'OPEN', decodeOpen, on.openFile, on.encodeOpenFile),
  define(15, 'READ', decodeRead, on.read, on.encodeLength),
  defineRefused(16, 'WRITE', errno.EROFS),
  // Never waits, whatever the state of the snapshot.
  defineNodeless(17, 'STATFS', statfs),
  // Not of a node: its snapshot may be closed by now.
  defineNodeless(18, 'RELEASE', on.release),
  // Nothing is ever dirty: the kernel takes ENOSYS as done, and asks no more.
  defineRefused(20, 'FSYNC', errno.ENOSYS),
  defineRefused(21, 'SETXATTR', errno.EROFS),
  define(22, 'GETXATTR', decodeGetxattr, on.getxattr, on.encodeXattr),
  define(23, 'LISTXATTR', decodeListxattr, on.listxattr, on.encodeXattr),
  defineRefused(24, 'REMOVEXATTR', errno.EROFS),
  // Asked once; "ok" would be asked at every close.
  defineRefused(25, 'FLUSH', errno.ENOSYS),
  defineNodeless(26, 'INIT', on.runInit),
  define(27, 'OPENDIR', decodeOpen, on.opendir, on.encodeOpendir),
  define(28, 'READDIR', decodeRead, on.readdir, on.encodeLength),
  defineNodeless(29, 'RELEASEDIR', on.releasedir),
  defineRefused(30, 'FSYNCDIR', errno.ENOSYS),
  // Locks work inside the kernel, without us.
  defineRefused(31, 'GETLK', errno.ENOSYS),
  defineRefused(32, 'SETLK', errno.ENOSYS),
  defineRefused(33, 'SETLKW', errno.ENOSYS),
  // The kernel checks permissions itself (default_permissions).
  defineRefused(34, 'ACCESS', errno.ENOSYS),
  defineRefused(35, 'CREATE', errno.EROFS),
  defineNodeless(36, 'INTERRUPT', on.runInterrupt),
  defineRefused(37, 'BMAP', errno.ENOSYS),
  defineNodeless(38, 'DESTROY', () => 0),
  defineRefused(39, 'IOCTL', errno.ENOSYS),
  defineRefused(40, 'POLL', errno.ENOSYS),
  // The answer to a notification that we never send.
  defineRefused(41, 'NOTIFY_REPLY', errno.ENOSYS),
  defineNodeless(42, 'BATCH_FORGET', (call) => on.runForget(call, true)),
  defineRefused(43, 'FALLOCATE', errno.EROFS),
  define(44, 'READDIRPLUS', decodeRead, on.readdirplus, on.encodeLength),
  defineRefused(45, 'RENAME2', errno.EROFS),
  // The kernel finds data and holes itself.
  defineRefused(46, 'LSEEK', errno.ENOSYS),
  defineRefused(47, 'COPY_FILE_RANGE', errno.EROFS),
  defineRefused(48, 'SETUPMAPPING', errno.ENOSYS),
  defineRefused(49, 'REMOVEMAPPING', errno.ENOSYS),
  defineRefused(50, 'SYNCFS', errno.ENOSYS),
  defineRefused(51, 'TMPFILE', errno.EROFS),
  // Falls back to GETATTR; there is no birth time to tell.
  defineRefused(52, 'STATX', errno.ENOSYS),
  defineRefused(53, 'COPY_FILE_RANGE_64', errno.EROFS),
];

function getattr(call: Call) {
  return call.snapshot.filesystem.getattr(call.node);
}

/** By number; a hole is an unknown opcode. */
export const operationByNumber: readonly (Operation | undefined)[] = Array.from(
  { length: 64 },
  (_, number) => operations.find((operation) => operation.number === number),
);

/** Number and name by which requests are counted; 0 stands for all that are unknown. */
export const unknownOpcode = { number: 0, name: 'UNKNOWN' } as const;
