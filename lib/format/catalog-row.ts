import type { ByteString } from './bytes.js';
import { compressionOfFlags, type Compression } from './compression.js';
import type { ContentHash } from './hash.js';
import type { PathWords } from './path-hash.js';
import { parseXattrs } from './xattr.js';

/** Bits of the column `flags` that drive behaviour (docs/format.md, 5.5). */
export const flagBits = {
  nestedMountpoint: 2,
  chunked: 64,
  external: 128,
  bindMountpoint: 0x4000,
  hidden: 0x8000,
  directIo: 0x10000,
} as const;

/** One row of the table `catalog` as read, nothing checked. NaN: no integer stands in the column. */
export interface RawRow {
  readonly rowid: number;
  /** `md5path_1` and `md5path_2` as four little-endian 32-bit words. */
  readonly key: PathWords;
  readonly name: ByteString;
  readonly flags: number;
  readonly mode: number;
  readonly size: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly uid: number;
  readonly gid: number;
  /** High and low half of the column `hardlinks` (docs/format.md, 5.7). */
  readonly linkGroup: number;
  readonly linkCount: number;
  /** Hex digits of the column `hash`, empty for NULL, anything else for what can't be a hash. */
  readonly hash: string;
  /** Undefined: longer than any link target can be. */
  readonly symlink: ByteString | undefined;
  readonly xattr: Uint8Array | undefined;
}

export type EntryType =
  'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

/** How the content of a regular file is stored. */
export interface Content {
  readonly algorithm: ContentHash['algorithm'];
  readonly compression: Compression;
  readonly external: boolean;
  readonly chunked: boolean;
  /** The whole file as one object; a chunked file may have it as well (legacy bulk object). */
  readonly hash: ContentHash | undefined;
  /** Of external files: the path inside their own snapshot, which is where the external source has them; the tree adds it. */
  readonly externalPath?: ByteString;
}

/** A row decoded and checked. */
export interface CheckedRow {
  readonly type: EntryType;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Of directories and files; 0 for devices; of links 0, since the expanded target decides. */
  readonly size: number;
  readonly mtime: number;
  readonly mtimeNs: number;
  readonly nlink: number;
  readonly rdev: number;
  readonly linkGroup: number;
  readonly rawTarget: ByteString;
  readonly xattrs: ReadonlyMap<ByteString, Buffer> | undefined;
  readonly content: Content | undefined;
  readonly hidden: boolean;
  readonly nestedMountpoint: boolean;
  readonly bindMountpoint: boolean;
  readonly directIo: boolean;
  /** What is wrong with the row; undefined: nothing. */
  readonly fault: string | undefined;
}

const typesByBits: Readonly<Record<number, EntryType>> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'symlink',
  0o020000: 'character',
  0o060000: 'block',
  0o010000: 'fifo',
  0o140000: 'socket',
};

const algorithms = ['sha1', 'rmd160', 'shake128'] as const;
const hashTails = { sha1: '', rmd160: '-rmd160', shake128: '-shake128' } as const;
const directoryBytes = 4096;

/** Names that may stand in a directory: 1 to 255 bytes, no `/`, no NUL, not `.` or `..`. */
export function isName(name: ByteString): boolean {
  return (
    name.length > 0 &&
    name.length <= 255 &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0')
  );
}

/**
 * Decodes and checks a row (docs/format.md, 5.5 to 5.9). The type comes from `mode`.
 * @param legacy the catalog is of schema 1.x: no owners, links, chunks; of the flags only those of mount points count.
 * @param owner shown where the schema has none.
 * @returns undefined if no type can be told; otherwise the row, with `fault` where something else is wrong.
 */
export function checkRow(
  row: RawRow,
  legacy: boolean,
  owner: { readonly uid: number; readonly gid: number },
): CheckedRow | undefined {
  const type = inRange(row.mode, 0, 0xffff) ? typesByBits[row.mode & 0o170000] : undefined;
  if (type === undefined) return undefined;
  const flagsKnown = inRange(row.flags, 0, 0x7fff_ffff);
  const flags = flagsKnown ? (legacy ? row.flags & flagBits.nestedMountpoint : row.flags) : 0;
  const isDirectory = type === 'directory';
  const isDevice = type === 'character' || type === 'block';
  const content = type === 'file' ? checkContent(row, flags) : undefined;
  const sizeKnown = inRange(row.size, 0, Number.MAX_SAFE_INTEGER);
  const ownerKnown =
    legacy || (inRange(row.uid, 0, 0xffff_ffff) && inRange(row.gid, 0, 0xffff_ffff));

  let fault: string | undefined;
  if (!flagsKnown) fault = 'its flags are not a number that can be';
  else if (typeof content === 'string') fault = content;
  else if (!sizeKnown && (type === 'file' || isDevice)) fault = 'its size is out of range';
  else if (!ownerKnown) fault = 'its owner is not a number that can be';
  else if (Number.isNaN(row.mtime)) fault = 'its time is not a number';
  else if (row.symlink === undefined) fault = 'its link target is too long';

  return {
    type,
    mode: row.mode,
    uid: legacy || !ownerKnown ? owner.uid : row.uid,
    gid: legacy || !ownerKnown ? owner.gid : row.gid,
    // What a publisher's file system said of a directory has no meaning (docs/format.md, 11).
    size:
      type === 'file' ? (sizeKnown ? row.size : 0) : isDirectory ? sizeOfDirectory(row.size) : 0,
    mtime: clamp(row.mtime),
    mtimeNs: inRange(row.mtimeNs, 0, 999_999_999) ? row.mtimeNs : 0,
    nlink: legacy || !inRange(row.linkCount, 1, 0xffff_ffff) ? 1 : row.linkCount,
    rdev: isDevice && sizeKnown ? row.size : 0,
    linkGroup: linkGroupOf(row, legacy),
    rawTarget: type === 'symlink' ? untilNul(row.symlink ?? '') : '',
    xattrs: row.xattr === undefined || row.xattr.length === 0 ? undefined : parseXattrs(row.xattr),
    content: typeof content === 'string' ? undefined : content,
    hidden: (flags & flagBits.hidden) !== 0,
    nestedMountpoint: isDirectory && (flags & flagBits.nestedMountpoint) !== 0,
    bindMountpoint: isDirectory && (flags & flagBits.bindMountpoint) !== 0,
    directIo: type === 'file' && (flags & flagBits.directIo) !== 0,
    fault,
  };
}

/** The hard-link group of a row that is no directory; 0: it has none. */
export function linkGroupOf(row: RawRow, legacy: boolean): number {
  const isDirectory = (row.mode & 0o170000) === 0o040000;
  return !legacy && !isDirectory && isLinked(row) ? row.linkGroup : 0;
}

/** Whether a row has a hard-link group (docs/format.md, 5.7); groups that can't be count as none. */
export function isLinked(row: RawRow): boolean {
  return inRange(row.linkGroup, 1, 0x7fff_ffff);
}

/** The content of a regular file, or what is wrong with it. */
function checkContent(row: RawRow, flags: number): Content | string {
  const algorithm = algorithms[(flags >> 8) & 7];
  const compression = compressionOfFlags(flags);
  const chunked = (flags & flagBits.chunked) !== 0;
  if (algorithm === undefined) return 'its hash algorithm is unknown';
  if (compression === undefined) return 'its compression is unknown';
  if (row.hash === '' && !chunked) return 'it has no content hash';
  const hash = row.hash === '' ? undefined : hashOfDigits(algorithm, row.hash);
  if (hash === undefined && row.hash !== '') return 'its content hash is malformed';
  return { algorithm, compression, external: (flags & flagBits.external) !== 0, chunked, hash };
}

const hashDigits = 40;
const hexDigits = new Set(Buffer.from('0123456789abcdefABCDEF'));
const isNoHexDigit = Uint8Array.from({ length: 256 }, (_, code) => (hexDigits.has(code) ? 0 : 1));

/** A hash from the hex digits (of either case) of a binary column. */
export function hashOfDigits(
  algorithm: ContentHash['algorithm'],
  digits: string,
): ContentHash | undefined {
  if (digits.length !== hashDigits) return undefined;
  // Half the time of a regular expression: which digits are letters nobody can guess, a processor neither.
  let wrong = 0;
  for (let at = 0; at < hashDigits; at++) wrong |= isNoHexDigit[digits.charCodeAt(at)] ?? 1;
  if (wrong !== 0) return undefined;
  return { algorithm, text: digits.toLowerCase() + hashTails[algorithm] };
}

function inRange(value: number, low: number, high: number): boolean {
  return value >= low && value <= high;
}

function sizeOfDirectory(size: number): number {
  return inRange(size, 0, Number.MAX_SAFE_INTEGER) ? size : directoryBytes;
}

// Times may be negative or huge (docs/format.md, 11); beyond what a number holds, the nearest is good enough.
function clamp(time: number): number {
  if (Number.isNaN(time)) return 0;
  return Math.min(Math.max(time, Number.MIN_SAFE_INTEGER), Number.MAX_SAFE_INTEGER);
}

function untilNul(text: ByteString): ByteString {
  const end = text.indexOf('\0');
  return end === -1 ? text : text.slice(0, end);
}

/** Counters of a catalog, each for itself and for what is below it (docs/format.md, 5.14), without the prefixes `self_` and `subtree_`. */
export const counterNames = [
  'regular',
  'symlink',
  'special',
  'dir',
  'nested',
  'chunked',
  'chunks',
  'file_size',
  'chunked_size',
  'xattr',
  'external',
  'external_file_size',
] as const;
