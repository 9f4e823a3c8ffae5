import { fromBytes, type ByteString } from '../../format/bytes.js';
import { PinfsError } from '../../format/errors.js';

/** One member of a tar archive as its headers say, with its extended headers applied. */
export interface TarMember {
  readonly name: ByteString;
  readonly type: 'file' | 'hard-link' | 'symlink' | 'character' | 'block' | 'directory' | 'fifo';
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly link: ByteString;
  readonly rdev: number;
  readonly xattrs: ReadonlyMap<ByteString, Buffer>;
}

export const tarBlockBytes = 512;

/** What a header block says, before extended headers change it. */
export interface TarHeader {
  /** The letter of its type. */
  readonly flag: string;
  readonly name: ByteString;
  readonly link: ByteString;
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: number;
  readonly major: number;
  readonly minor: number;
}

export function malformed(what: string): PinfsError {
  return new PinfsError('ARCHIVE_MALFORMED', `the archive ${what}`);
}

/** @throws PinfsError ARCHIVE_MALFORMED */
export function parseTarHeader(block: Buffer): TarHeader {
  const sum = block.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 32 : byte), 0);
  if (sum !== numberIn(block, 148, 8)) throw malformed('has a header whose checksum is wrong');
  const isUstar = block.toString('latin1', 257, 262) === 'ustar';
  // GNU tar has other things where POSIX has the beginning of a long name.
  const hasPrefix = isUstar && block[262] === 0;
  const prefix = hasPrefix ? textIn(block, 345, 155) : '';
  const name = textIn(block, 0, 100);
  return {
    flag: String.fromCharCode(block[156] ?? 0),
    name: prefix === '' ? name : `${prefix}/${name}`,
    link: textIn(block, 157, 100),
    size: natural(numberIn(block, 124, 12)),
    mode: natural(numberIn(block, 100, 8)) & 0o7777,
    uid: natural(numberIn(block, 108, 8)),
    gid: natural(numberIn(block, 116, 8)),
    mtime: numberIn(block, 136, 12),
    major: isUstar ? natural(numberIn(block, 329, 8)) : 0,
    minor: isUstar ? natural(numberIn(block, 337, 8)) : 0,
  };
}

function textIn(block: Buffer, at: number, length: number): ByteString {
  const field = block.subarray(at, at + length);
  const end = field.indexOf(0);
  return fromBytes(end < 0 ? field : field.subarray(0, end));
}

/** Octal digits; or, where the first bit is set, a number in two's complement. */
function numberIn(block: Buffer, at: number, length: number): number {
  const field = block.subarray(at, at + length);
  const first = field[0] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = BigInt(first & 0x7f);
    for (const byte of field.subarray(1)) value = (value << 8n) | BigInt(byte);
    const bits = length * 8 - 1;
    return safe(Number((first & 0x40) === 0 ? value : BigInt.asIntN(bits, value)));
  }
  const text = field
    .toString('latin1')
    .replace(/\0[^]*$/, '')
    .trim();
  if (text === '') return 0;
  if (!/^[0-7]+$/.test(text)) throw malformed('has a header with a number that is none');
  return safe(Number.parseInt(text, 8));
}

function safe(value: number): number {
  if (!Number.isSafeInteger(value)) throw malformed('has a header with a number that is too large');
  return value;
}

function natural(value: number): number {
  if (value < 0) throw malformed('has a header with a number below zero');
  return value;
}

/** Records of an extended header: `LENGTH KEY=VALUE\n`. @throws PinfsError ARCHIVE_MALFORMED */
export function parsePax(bytes: Buffer): Map<ByteString, Buffer> {
  const records = new Map<ByteString, Buffer>();
  for (let at = 0; at < bytes.length;) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 ? '' : bytes.toString('latin1', at, space);
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, space);
    const isRecord = /^[1-9][0-9]{0,9}$/.test(digits) && end <= bytes.length;
    if (!isRecord || equals < 0 || equals >= end || bytes[end - 1] !== 0x0a)
      throw malformed('has an extended header that is none');
    records.set(fromBytes(bytes.subarray(space + 1, equals)), bytes.subarray(equals + 1, end - 1));
    at = end;
  }
  return records;
}

const typesByFlag: Readonly<Record<string, TarMember['type']>> = {
  '0': 'file',
  '\0': 'file',
  '7': 'file',
  '1': 'hard-link',
  '2': 'symlink',
  '3': 'character',
  '4': 'block',
  '5': 'directory',
  '6': 'fifo',
};

const xattrKey = 'SCHILY.xattr.';

/** A header with what came before it. @throws PinfsError ARCHIVE_MALFORMED */
export function memberOf(header: TarHeader, pax: ReadonlyMap<ByteString, Buffer>): TarMember {
  const text = (key: string): ByteString | undefined => {
    const value = pax.get(key);
    return value === undefined || value.length === 0 ? undefined : fromBytes(value);
  };
  const number = (key: string, otherwise: number): number => {
    const value = text(key);
    if (value === undefined) return otherwise;
    if (!/^[0-9]{1,15}$/.test(value)) throw malformed(`has an extended header with a wrong ${key}`);
    return Number(value);
  };
  if ([...pax.keys()].some((key) => key.startsWith('GNU.sparse.')))
    throw malformed('holds a sparse file as GNU tar --sparse writes it, which is not read');
  const name = text('path') ?? header.name;
  const type = typesByFlag[header.flag];
  if (type === undefined)
    throw malformed(`holds a member of the type ${JSON.stringify(header.flag)}`);
  const time = text('mtime');
  const xattrs = [...pax].flatMap(([key, value]) =>
    key.startsWith(xattrKey) ? [[key.slice(xattrKey.length), value] as const] : [],
  );
  const { major, minor } = header;
  const isDevice = type === 'character' || type === 'block';
  const isFile = type === 'file' && !name.endsWith('/');
  return {
    name,
    // Before there was a type for directories a slash said it.
    type: type === 'file' && !isFile ? 'directory' : type,
    mode: header.mode,
    uid: number('uid', header.uid),
    gid: number('gid', header.gid),
    size: isFile ? number('size', header.size) : 0,
    ...(time === undefined ? { mtime: header.mtime, mtimeNs: 0 } : timeOf(time)),
    link: text('linkpath') ?? header.link,
    rdev: isDevice ? deviceNumber(major, minor) : 0,
    xattrs: new Map(xattrs),
  };
}

/** Seconds with a fraction, which may be below zero. */
function timeOf(text: string): { mtime: number; mtimeNs: number } {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(text);
  if (match === null) throw malformed('has an extended header with a wrong mtime');
  const seconds = Number(match[2]);
  const ns = Number((match[3] ?? '').slice(0, 9).padEnd(9, '0'));
  if (match[1] === '') return { mtime: seconds, mtimeNs: ns };
  return ns === 0 ? { mtime: 0 - seconds, mtimeNs: 0 } : { mtime: -seconds - 1, mtimeNs: 1e9 - ns };
}

/** As glibc packs it; numbers of devices beyond 2^53 there are none. */
function deviceNumber(major: number, minor: number): number {
  if (major > 0xfffff || minor > 0xffffffff) throw malformed('holds a device with a wrong number');
  const high = BigInt(major & 0xfffff000) << 32n;
  const middle = BigInt(minor - (minor % 256)) << 12n;
  return Number(high | middle | BigInt((major & 0xfff) << 8) | BigInt(minor % 256));
}
