import { blocksOf } from '../../filesystem/attributes.js';
import { isUtf8 } from 'node:buffer';
import { errno } from '../../format/errno.js';
import { toBytes, type ByteString } from '../../format/bytes.js';
import type { StatFs } from '../../filesystem/filesystem.js';
import type { Entry } from '../../tree/entry.js';
import type { MountRequest } from '../driver.js';

/** Pure parts of the fuse-native driver: what it can't carry is dealt with here. */

/** The stat that fuse-native takes; times are milliseconds. */
export interface NativeStat {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly ino: number;
  readonly rdev: number;
  readonly blksize: number;
  readonly blocks: number;
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
}

const wordMask = 0xffffffffn;

/**
 * An inode number folded into the 32 bits that fuse-native carries: both halves, exclusive or.
 * Never 0, which means "unknown" to libfuse, nor 0xffffffff, which it uses itself.
 */
export function foldInode(ino: bigint): number {
  const folded = Number((ino & wordMask) ^ ((ino >> 32n) & wordMask));
  return folded === 0 || folded === 0xffffffff ? 2 : folded;
}

/** Whether the driver can carry a time: whole milliseconds from 1970 on. */
export function carriesTime(attributes: Pick<Entry, 'mtime' | 'mtimeNs'>): boolean {
  return attributes.mtime >= 0 && attributes.mtimeNs % 1_000_000 === 0;
}

type StatFields = Pick<
  Entry,
  'ino' | 'mode' | 'nlink' | 'uid' | 'gid' | 'rdev' | 'size' | 'mtime' | 'mtimeNs'
>;

/** Attributes as fuse-native wants them. Times before 1970 become 0: it would show the year 584556019. */
export function nativeStat(attributes: StatFields): NativeStat {
  const milliseconds = attributes.mtime * 1000 + Math.floor(attributes.mtimeNs / 1_000_000);
  const time = Math.max(0, milliseconds);
  return {
    mode: attributes.mode,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    nlink: attributes.nlink,
    ino: foldInode(attributes.ino),
    rdev: attributes.rdev,
    blksize: 4096,
    blocks: blocksOf(attributes),
    atime: time,
    mtime: time,
    ctime: time,
  };
}

/** statfs in fields of 32 bits: larger blocks where their number would not fit. */
export function nativeStatfs(statfs: StatFs) {
  let { blockSize, blocks, blocksFree } = statfs;
  while (blocks > 0xffffffff) {
    blockSize *= 2;
    blocks = Math.floor(blocks / 2);
    blocksFree = Math.floor(blocksFree / 2);
  }
  return {
    bsize: blockSize,
    frsize: blockSize,
    blocks,
    bfree: blocksFree,
    bavail: blocksFree,
    files: Math.min(statfs.files, 0xffffffff),
    ffree: Math.min(statfs.filesFree, 0xffffffff),
    favail: Math.min(statfs.filesFree, 0xffffffff),
    namemax: statfs.nameMax,
  };
}

/** Bytes as the string that fuse-native wants; undefined where they aren't UTF-8. */
export function nativeText(bytes: ByteString): string | undefined {
  // ASCII, by far the most, is its own UTF-8.
  if (/^[\x01-\x7f]*$/.test(bytes)) return bytes;
  const buffer = toBytes(bytes);
  return isUtf8(buffer) && !buffer.includes(0) ? buffer.toString('utf8') : undefined;
}

/**
 * The negative result for an errno. The kernel refuses what is not within 1 to 511, and whoever
 * waits would wait for ever: those become EIO.
 */
export function nativeErrno(code: number): number {
  return Number.isInteger(code) && code >= 1 && code <= 511 ? -code : -errno.EIO;
}

/** A pin's answers are good for ever; libfuse takes seconds. */
const foreverSeconds = 1_000_000_000;

/** Options of fuse-native's constructor. */
export interface NativeOptions {
  readonly timeout: false;
  readonly fsname: string;
  readonly subtype: string;
  readonly defaultPermissions: true;
  readonly allowOther: boolean;
  readonly kernelCache: boolean;
}

// fuse-native keeps all options in 1024 bytes, and cuts off what is more.
const sourceBytesMax = 512;

/** With its commas and backslashes behind a backslash, as libfuse takes them. */
function sourceOption(source: string): string {
  const escaped = source.replace(/[\\,]/g, (special) => `\\${special}`);
  return Buffer.byteLength(escaped) <= sourceBytesMax ? escaped : 'pinfs';
}

/**
 * Mount options. fuse-native knows a few by name; the others go in behind a comma of `fsname`,
 * which it hands on as it is. libfuse 2 itself refuses a directory that isn't empty unless told
 * `nonempty`, which only root can say: fusermount3 doesn't know it.
 */
export function nativeOptions(
  request: Pick<MountRequest, 'source' | 'lifetime' | 'suid' | 'dev' | 'noExec' | 'keepsNothing'>,
  context: { readonly allowOther: boolean; readonly root: boolean },
): NativeOptions {
  const lifetime = request.keepsNothing === true ? 0 : request.lifetime;
  const pinned = lifetime === 'pinned';
  const seconds = pinned ? foreverSeconds : Math.max(0, lifetime);
  const smuggled = [
    'ro',
    request.suid ? 'suid' : 'nosuid',
    request.dev ? 'dev' : 'nodev',
    ...(request.noExec === true ? ['noexec'] : []),
    'use_ino',
    `entry_timeout=${seconds}`,
    `attr_timeout=${seconds}`,
    `negative_timeout=${seconds}`,
    ...(request.keepsNothing === true ? ['direct_io'] : []),
    ...(context.root ? ['nonempty'] : []),
  ];
  return {
    timeout: false,
    fsname: [sourceOption(request.source), ...smuggled].join(','),
    subtype: 'pinfs',
    defaultPermissions: true,
    allowOther: context.allowOther,
    // Without it each open drops the pages of the file, which is right where a head moves.
    kernelCache: pinned,
  };
}
