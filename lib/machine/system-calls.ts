import { createRequire } from 'node:module';
import { errno } from '../format/errno.js';
import { PinfsError } from '../format/errors.js';

/**
 * The handful of system calls that Node lacks, through koffi. Each gives its result, or the negative
 * errno. Loaded by need, and once in each thread: koffi is optional.
 */
export interface SystemCalls {
  read(fd: number, target: Buffer, length: number): number;
  write(fd: number, source: Buffer, length: number): number;
  /** Waits for what `pollSet` made; timeout in milliseconds. */
  poll(set: Buffer, timeout: number): number;
  /** Lets another thread have this CPU, if one waits for it. */
  yield(): void;
  close(fd: number): number;
  /** A pipe, both ends non-blocking and closed on exec. */
  pipe(): Pipe | number;
  /** A pair of connected sockets that keep message boundaries, closed on exec. */
  socketPair(nonBlocking: boolean): readonly [number, number] | number;
  /** Takes one descriptor out of a message on a socket (SCM_RIGHTS), closed on exec. */
  receiveDescriptor(socket: number): number;
  /** Makes a descriptor that came from outside non-blocking and closed on exec. */
  adopt(fd: number): number;
  /** Another number for the same open file, closed on exec. */
  duplicate(fd: number): number;
  /** Has a number lead to the open file of another one. */
  redirect(fd: number, to: number): number;
  ioctl(fd: number, request: number, argument: Buffer): number;
  mount(source: string, target: string, type: string, flags: number, data: string): number;
  umount(target: string, flags: number): number;
  /** `major:minor` of the file system that a path leads into, which is not asked for it; undefined: it can't be told. */
  deviceNumber(path: string): string | undefined;
  /** The generation of the FUSE node that a path leads to, which nobody is asked for; undefined: it is none. */
  fuseGeneration(path: string): number | undefined;
}

/** Flags of mount(2) and umount2(2). */
export const mountFlags = { RDONLY: 1, NOSUID: 2, NODEV: 4, NOEXEC: 8 } as const;
export const unmountFlags = { FORCE: 1, DETACH: 2, NOFOLLOW: 8 } as const;

export interface Pipe {
  readonly read: number;
  readonly write: number;
}

const pollFdBytes = 8;
const POLLIN = 1;

/** The structures of poll(2), set to wait until one of the descriptors can be read. */
export function pollSet(...descriptors: readonly number[]): Buffer {
  const set = Buffer.alloc(descriptors.length * pollFdBytes);
  for (const [index, fd] of descriptors.entries()) {
    set.writeInt32LE(fd, index * pollFdBytes);
    set.writeInt16LE(POLLIN, index * pollFdBytes + 4);
  }
  return set;
}

/** Whether poll(2) found something at the descriptor with this index: data, its end, or an error. */
export function isReady(set: Buffer, index: number): boolean {
  return set.readInt16LE(index * pollFdBytes + 6) !== 0;
}

const POLLERR = 8;

/** Whether the connection of a FUSE device is over: unmounted everywhere, or aborted. */
export function isOver(calls: Pick<SystemCalls, 'poll'>, device: number): boolean {
  const set = pollSet(device);
  return calls.poll(set, 0) > 0 && (set.readInt16LE(6) & POLLERR) !== 0;
}

type Koffi = typeof import('koffi');
type Call = (...values: unknown[]) => number;

function loadKoffi(): Koffi {
  try {
    return createRequire(import.meta.url)('koffi') as Koffi;
  } catch (error) {
    throw new PinfsError('MOUNT_NO_LIBRARY', 'the package koffi does not load here', {
      advice: 'install pinfs with its optional packages, or use --driver fuse-native',
      cause: error,
    });
  }
}

let loaded: SystemCalls | undefined;

/** The system calls. @throws PinfsError MOUNT_NO_LIBRARY where koffi can't be had. */
export function systemCalls(): SystemCalls {
  loaded ??= bindSystemCalls(loadKoffi());
  return loaded;
}

const O_CLOEXEC = 0o2000000;
const O_NONBLOCK = 0o4000;
const F_SETFD = 2;
const F_SETFL = 4;
const F_DUPFD_CLOEXEC = 1030;
const FD_CLOEXEC = 1;
const O_RDWR = 2;
const AF_UNIX = 1;
const SOCK_SEQPACKET = 5;
const MSG_CMSG_CLOEXEC = 0x40000000;

function bindSystemCalls(koffi: Koffi): SystemCalls {
  const libc = koffi.load(null);
  const bind = (prototype: string) => libc.func(prototype) as Call;
  const read = bind('intptr_t read(int, void*, size_t)');
  const write = bind('intptr_t write(int, const void*, size_t)');
  const poll = bind('int poll(void*, unsigned long, int)');
  const schedYield = bind('int sched_yield()');
  const close = bind('int close(int)');
  const pipe2 = bind('int pipe2(void*, int)');
  const socketpair = bind('int socketpair(int, int, int, void*)');
  const fcntl = bind('int fcntl(int, int, ...)');
  const dup2 = bind('int dup2(int, int)');
  const ioctl = bind('int ioctl(int, unsigned long, ...)');
  const mount = bind('int mount(str, str, str, unsigned long, str)');
  const umount2 = bind('int umount2(str, int)');
  const checked = (result: number) => (result < 0 ? -koffi.errno() : result);
  return {
    read: (fd, target, length) => checked(read(fd, target, length)),
    write: (fd, source, length) => checked(write(fd, source, length)),
    poll: (set, timeout) => checked(poll(set, set.length / pollFdBytes, timeout)),
    yield: () => void schedYield(),
    close: (fd) => checked(close(fd)),
    pipe() {
      const ends = Buffer.alloc(8);
      const result = checked(pipe2(ends, O_CLOEXEC | O_NONBLOCK));
      return result < 0 ? result : { read: ends.readInt32LE(0), write: ends.readInt32LE(4) };
    },
    socketPair(nonBlocking) {
      const ends = Buffer.alloc(8);
      const type = SOCK_SEQPACKET | O_CLOEXEC | (nonBlocking ? O_NONBLOCK : 0);
      const result = checked(socketpair(AF_UNIX, type, 0, ends));
      return result < 0 ? result : [ends.readInt32LE(0), ends.readInt32LE(4)];
    },
    receiveDescriptor: bindReceive(koffi, libc, checked),
    adopt(fd) {
      const result = checked(fcntl(fd, F_SETFD, 'int', FD_CLOEXEC));
      return result < 0 ? result : checked(fcntl(fd, F_SETFL, 'int', O_RDWR | O_NONBLOCK));
    },
    duplicate: (fd) => checked(fcntl(fd, F_DUPFD_CLOEXEC, 'int', 0)),
    redirect: (fd, to) => checked(dup2(to, fd)),
    ioctl: (fd, request, argument) => checked(ioctl(fd, request, 'void*', argument)),
    mount: (source, target, type, flags, data) => checked(mount(source, target, type, flags, data)),
    umount: (target, flags) => checked(umount2(target, flags)),
    deviceNumber: bindDeviceNumber(libc),
    fuseGeneration: bindFuseGeneration(libc),
  };
}

const AT_FDCWD = -100;
const AT_NO_AUTOMOUNT = 0x800;
const AT_STATX_DONT_SYNC = 0x4000;
// Of struct statx (linux/stat.h), and where the device number lies in it.
const statxBytes = 256;
const devMajorAt = 136;
const devMinorAt = 140;

/** By statx(2), which answers from what the kernel knows, also where a server is hung. */
function bindDeviceNumber(libc: ReturnType<Koffi['load']>): SystemCalls['deviceNumber'] {
  const statx = libc.func('int statx(int, str, int, unsigned int, void*)') as Call;
  const flags = AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
  return (path) => {
    const found = Buffer.alloc(statxBytes);
    if (statx(AT_FDCWD, path, flags, 0, found) < 0) return undefined;
    return `${found.readUInt32LE(devMajorAt)}:${found.readUInt32LE(devMinorAt)}`;
  };
}

const AT_SYMLINK_FOLLOW = 0x400;
const AT_HANDLE_FID = 0x200;
// Of struct file_handle (fcntl.h): its two numbers, and what FUSE writes behind them (fs/fuse/inode.c).
const handleHeadBytes = 8;
const fuseHandle = { type: 0x81, bytes: 12, generationAt: 8 } as const;

/** By name_to_handle_at(2), which makes the handle from what the kernel knows. */
function bindFuseGeneration(libc: ReturnType<Koffi['load']>): SystemCalls['fuseGeneration'] {
  const nameToHandle = libc.func('int name_to_handle_at(int, str, void*, void*, int)') as Call;
  const mountId = Buffer.alloc(8);
  return (path) => {
    const handle = Buffer.alloc(handleHeadBytes + fuseHandle.bytes);
    handle.writeUInt32LE(fuseHandle.bytes, 0);
    // Kernels before 6.5 do not know the second flag, and need none; later ones say no without it.
    const isFound = [AT_SYMLINK_FOLLOW | AT_HANDLE_FID, AT_SYMLINK_FOLLOW].some(
      (flags) => nameToHandle(AT_FDCWD, path, handle, mountId, flags) >= 0,
    );
    if (!isFound || handle.readInt32LE(4) !== fuseHandle.type) return undefined;
    return handle.readUInt32LE(handleHeadBytes + fuseHandle.generationAt);
  };
}

/** recvmsg(2) for one descriptor: msghdr and cmsghdr as on 64-bit Linux. */
function bindReceive(
  koffi: Koffi,
  libc: ReturnType<Koffi['load']>,
  checked: (result: number) => number,
): (socket: number) => number {
  const iovec = koffi.struct({ base: 'void*', length: 'size_t' });
  const msghdr = koffi.struct({
    name: 'void*',
    nameLength: 'uint32_t',
    iov: koffi.pointer(iovec),
    iovLength: 'size_t',
    control: 'void*',
    controlLength: 'size_t',
    flags: 'int',
  });
  const recvmsg = libc.func('recvmsg', 'intptr_t', [
    'int',
    koffi.inout(koffi.pointer(msghdr)),
    'int',
  ]) as Call;
  return (socket) => {
    const data = Buffer.alloc(16);
    const control = Buffer.alloc(64);
    const header = {
      name: null,
      nameLength: 0,
      iov: [{ base: data, length: data.length }],
      iovLength: 1,
      control,
      controlLength: control.length,
      flags: 0,
    };
    const result = checked(recvmsg(socket, header, MSG_CMSG_CLOEXEC));
    if (result < 0) return result;
    // cmsghdr: length (8), level (4) SOL_SOCKET, type (4) SCM_RIGHTS, then the descriptor.
    const carries = control.readInt32LE(8) === 1 && control.readInt32LE(12) === 1;
    return carries ? control.readInt32LE(16) : -errno.EBADMSG;
  };
}
