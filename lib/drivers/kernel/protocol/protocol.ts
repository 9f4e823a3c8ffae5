import { blocksOf } from '../../../filesystem/attributes.js';
import { endianness } from 'node:os';
import type { StatFs } from '../../../filesystem/filesystem.js';
import type { Entry } from '../../../tree/entry.js';
import { headerSize } from './constants.js';

/**
 * The structures of the FUSE protocol (linux/fuse.h; all little endian here), as functions over one
 * input and one output buffer. Offsets are those of the header; `bytes` and `view` show one memory.
 */
export interface Frame {
  readonly bytes: Buffer;
  readonly view: DataView;
  /** Bytes of the request in it. */
  length: number;
}

export interface Output {
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** A buffer with its view. `length` of the frame is set by whoever fills it. */
export function makeFrame(size: number): Frame {
  const bytes = Buffer.allocUnsafeSlow(size);
  return { bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length), length: 0 };
}

/** A frame of its own with the same request, for a request that has to wait. */
export function copyFrame(frame: Frame): Frame {
  const copy = makeFrame(frame.length);
  frame.bytes.copy(copy.bytes, 0, 0, frame.length);
  copy.length = frame.length;
  return copy;
}

/** Whether this machine stores numbers as the functions here write them. */
export const isLittleEndian = endianness() === 'LE';

const two32 = 2 ** 32;

/** A 64-bit field as a number; above 2^53 it is not exact. */
function readLong(view: DataView, offset: number): number {
  return view.getUint32(offset + 4, true) * two32 + view.getUint32(offset, true);
}

/** Writes a whole number (also a negative one) as a 64-bit field. */
export function writeLong(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value, true);
  view.setUint32(offset + 4, Math.floor(value / two32), true);
}

// Requests. The body begins behind the header.

export const inHeader = {
  length: (frame: Frame) => frame.view.getUint32(0, true),
  opcode: (frame: Frame) => frame.view.getUint32(4, true),
  unique: (frame: Frame) => readLong(frame.view, 8),
  nodeLow: (frame: Frame) => frame.view.getUint32(16, true),
  nodeHigh: (frame: Frame) => frame.view.getUint32(20, true),
  /** Primary group of the caller, as this daemon's user namespace counts. */
  gid: (frame: Frame) => frame.view.getUint32(28, true),
  pid: (frame: Frame) => frame.view.getUint32(32, true),
  /** Bytes of extensions at the request's end. */
  extensions: (frame: Frame) => frame.view.getUint16(36, true) * 8,
} as const;

const body = headerSize.request;

/** End of the body proper: what comes behind it are extensions. */
function bodyEnd(frame: Frame): number {
  return frame.length - inHeader.extensions(frame);
}

function has(frame: Frame, size: number): boolean {
  return bodyEnd(frame) >= body + size;
}

export function decodeNothing(): true {
  return true;
}

/** A name that ends with NUL, behind `skip` bytes of the body. Undefined: empty or without its end. */
export function decodeName(frame: Frame, skip = 0): string | undefined {
  const start = body + skip;
  const end = frame.bytes.indexOf(0, start);
  if (end <= start || end >= bodyEnd(frame)) return undefined;
  return frame.bytes.toString('latin1', start, end);
}

export interface InitIn {
  readonly major: number;
  readonly minor: number;
  readonly maxReadahead: number;
  readonly flags: number;
  readonly flags2: number;
}

export function decodeInit(frame: Frame): InitIn | undefined {
  if (!has(frame, 16)) return undefined;
  const { view } = frame;
  return {
    major: view.getUint32(body, true),
    minor: view.getUint32(body + 4, true),
    maxReadahead: view.getUint32(body + 8, true),
    flags: view.getUint32(body + 12, true),
    // Before 7.36 the structure ended here.
    flags2: has(frame, 20) ? view.getUint32(body + 16, true) : 0,
  };
}

/** Flags of open(2) in OPEN and OPENDIR. */
export function decodeOpen(frame: Frame): number | undefined {
  return has(frame, 8) ? frame.view.getUint32(body, true) : undefined;
}

/** The handle, first field of RELEASE and RELEASEDIR. */
export function decodeRelease(frame: Frame): number | undefined {
  return has(frame, 24) ? readLong(frame.view, body) : undefined;
}

export interface ReadIn {
  readonly handle: number;
  readonly offset: number;
  readonly size: number;
}

/** READ, READDIR and READDIRPLUS; undefined also for offsets that no file has. */
export function decodeRead(frame: Frame): ReadIn | undefined {
  if (!has(frame, 40)) return undefined;
  const offset = readLong(frame.view, body + 8);
  if (!Number.isSafeInteger(offset)) return undefined;
  return {
    handle: readLong(frame.view, body),
    offset,
    size: frame.view.getUint32(body + 16, true),
  };
}

export interface GetxattrIn {
  readonly size: number;
  readonly name: string;
}

export function decodeGetxattr(frame: Frame): GetxattrIn | undefined {
  if (!has(frame, 8)) return undefined;
  const name = decodeName(frame, 8);
  return name === undefined ? undefined : { size: frame.view.getUint32(body, true), name };
}

/** The size of the caller's buffer in LISTXATTR. */
export function decodeListxattr(frame: Frame): number | undefined {
  return has(frame, 8) ? frame.view.getUint32(body, true) : undefined;
}

/** The unique of the request that is meant. */
export function decodeInterrupt(frame: Frame): number | undefined {
  return has(frame, 8) ? readLong(frame.view, body) : undefined;
}

/** Calls `each` with the node id's upper word and the count of what the kernel forgets; false if it is malformed. */
export function decodeForgets(
  frame: Frame,
  batch: boolean,
  each: (nodeHigh: number, count: number) => void,
): boolean {
  const { view } = frame;
  if (!has(frame, 8)) return false;
  if (!batch) {
    each(inHeader.nodeHigh(frame), readLong(view, body));
    return true;
  }
  const count = view.getUint32(body, true);
  if (!has(frame, 8 + count * 16)) return false;
  for (let index = 0, at = body + 8; index < count; index += 1, at += 16) {
    each(view.getUint32(at + 4, true), readLong(view, at + 8));
  }
  return true;
}

// Replies. Each encoder writes at `at` and gives the number of bytes.

/** The header of a reply or, with unique 0, of a notification (then `error` is its code). */
export function encodeReplyHeader(
  output: Output,
  length: number,
  error: number,
  uniqueLow: number,
  uniqueHigh: number,
): void {
  output.view.setUint32(0, length, true);
  output.view.setInt32(4, error, true);
  output.view.setUint32(8, uniqueLow, true);
  output.view.setUint32(12, uniqueHigh, true);
}

/** How long the kernel may keep what a reply says, in seconds and nanoseconds. */
export interface Lifetime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

const blockBytes = 4096;

function encodeAttributes(view: DataView, at: number, attributes: Entry): number {
  view.setBigUint64(at, attributes.ino, true);
  writeLong(view, at + 8, attributes.size);
  writeLong(view, at + 16, blocksOf(attributes));
  for (let time = 0; time < 3; time += 1) {
    writeLong(view, at + 24 + time * 8, attributes.mtime);
    view.setUint32(at + 48 + time * 4, attributes.mtimeNs, true);
  }
  view.setUint32(at + 60, attributes.mode, true);
  view.setUint32(at + 64, attributes.nlink, true);
  view.setUint32(at + 68, attributes.uid, true);
  view.setUint32(at + 72, attributes.gid, true);
  // The low 32 bits of glibc's st_rdev are the kernel's own form: 12 bits of major, 20 of minor.
  view.setUint32(at + 76, attributes.rdev, true);
  view.setUint32(at + 80, blockBytes, true);
  view.setUint32(at + 84, 0, true);
  return 88;
}

export function encodeEntry(
  view: DataView,
  at: number,
  nodeLow: number,
  nodeHigh: number,
  generation: number,
  attributes: Entry,
  names: Lifetime,
  values: Lifetime,
): number {
  view.setUint32(at, nodeLow, true);
  view.setUint32(at + 4, nodeHigh, true);
  writeLong(view, at + 8, generation);
  writeLong(view, at + 16, names.seconds);
  writeLong(view, at + 24, values.seconds);
  view.setUint32(at + 32, names.nanoseconds, true);
  view.setUint32(at + 36, values.nanoseconds, true);
  encodeAttributes(view, at + 40, attributes);
  return 128;
}

/** An entry with node id 0: in LOOKUP "there is no such name" (kept for `names`), in READDIRPLUS "ask yourself". */
export function encodeNoEntry(output: Output, at: number, names: Lifetime): number {
  output.bytes.fill(0, at, at + 128);
  writeLong(output.view, at + 16, names.seconds);
  output.view.setUint32(at + 32, names.nanoseconds, true);
  return 128;
}

export function encodeAttrOut(
  view: DataView,
  at: number,
  attributes: Entry,
  values: Lifetime,
): number {
  writeLong(view, at, values.seconds);
  view.setUint32(at + 8, values.nanoseconds, true);
  view.setUint32(at + 12, 0, true);
  return 16 + encodeAttributes(view, at + 16, attributes);
}

export function encodeOpen(
  view: DataView,
  at: number,
  handle: number,
  flags: number,
  backingId = 0,
): number {
  writeLong(view, at, handle);
  view.setUint32(at + 8, flags, true);
  view.setInt32(at + 12, backingId, true);
  return 16;
}

/** Bytes of a directory record with its padding. */
export function direntSize(nameLength: number): number {
  return (24 + nameLength + 7) & ~7;
}

/** `cookie` is where to go on behind this entry. */
export function encodeDirent(
  output: Output,
  at: number,
  name: string,
  attributes: Entry,
  cookie: number,
): number {
  const { view } = output;
  const size = direntSize(name.length);
  view.setBigUint64(at, attributes.ino, true);
  writeLong(view, at + 8, cookie);
  view.setUint32(at + 16, name.length, true);
  view.setUint32(at + 20, attributes.mode >>> 12, true);
  output.bytes.write(name, at + 24, 'latin1');
  output.bytes.fill(0, at + 24 + name.length, at + size);
  return size;
}

export function encodeStatfs(output: Output, at: number, statfs: StatFs): number {
  const { view } = output;
  output.bytes.fill(0, at, at + 80);
  writeLong(view, at, statfs.blocks);
  writeLong(view, at + 8, statfs.blocksFree);
  writeLong(view, at + 16, statfs.blocksFree);
  writeLong(view, at + 24, statfs.files);
  writeLong(view, at + 32, statfs.filesFree);
  view.setUint32(at + 40, statfs.blockSize, true);
  view.setUint32(at + 44, statfs.nameMax, true);
  view.setUint32(at + 48, statfs.blockSize, true);
  return 80;
}

export function encodeXattrSize(view: DataView, at: number, size: number): number {
  view.setUint32(at, size, true);
  view.setUint32(at + 4, 0, true);
  return 8;
}
