import { printable, toBytes, type ByteString } from '../../lib/format/bytes.js';
import { withOldNames } from '../../lib/format/renamed.js';
import { isoTime } from '../../lib/format/time.js';
import type { Entry } from '../../lib/tree/entry.js';
import { formatSize } from './sizes.js';

const typeLetters = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  character: 'c',
  block: 'b',
  fifo: 'p',
  socket: 's',
} as const;

/** `drwxr-xr-x`, with setuid, setgid and sticky as ls(1) shows them. */
function modeText(attributes: Entry): string {
  const { mode } = attributes;
  const letters = ['r', 'w', 'x', 'r', 'w', 'x', 'r', 'w', 'x'];
  const permissions = letters.map((letter, index) => ((mode >> (8 - index)) & 1 ? letter : '-'));
  const special: [bit: number, index: number, set: string, unset: string][] = [
    [0o4000, 2, 's', 'S'],
    [0o2000, 5, 's', 'S'],
    [0o1000, 8, 't', 'T'],
  ];
  for (const [bit, index, set, unset] of special) {
    if (mode & bit) permissions[index] = permissions[index] === 'x' ? set : unset;
  }
  return typeLetters[attributes.type] + permissions.join('');
}

/** Major and minor number out of glibc's packing (docs/format.md, 5.6). */
export function deviceNumbers(rdev: number): { major: number; minor: number } {
  const packed = BigInt(rdev);
  const major = ((packed >> 32n) & 0xfffff000n) | ((packed >> 8n) & 0xfffn);
  const minor = ((packed >> 12n) & 0xffffff00n) | (packed & 0xffn);
  return { major: Number(major), minor: Number(minor) };
}

function timeText(attributes: Entry): string {
  const date = new Date(attributes.mtime * 1000);
  if (Number.isNaN(date.getTime())) return `@${attributes.mtime}`;
  return date.toISOString().slice(0, 19).replace('T', ' ');
}

/** How long lines look. */
export interface LongLook {
  /** Sizes with units. */
  readonly human?: boolean;
  /** Widths of links, owner, group and size; what is wider is not cut. */
  readonly widths?: readonly number[];
}

const usualWidths = [3, 5, 5, 10];

/** Links, owner, group and size of an entry. */
function columnsOf(entry: Entry, { human }: LongLook): string[] {
  const isDevice = entry.type === 'character' || entry.type === 'block';
  const { major, minor } = deviceNumbers(entry.rdev);
  const size = human === true ? formatSize(entry.size) : String(entry.size);
  const columns = [entry.nlink, entry.uid, entry.gid].map(String);
  return [...columns, isDevice ? `${major}, ${minor}` : size];
}

/** Widths in which the columns of all these entries stand below each other. */
export function widthsOf(entries: readonly Entry[], look: LongLook): number[] {
  const widths = [...usualWidths];
  for (const entry of entries)
    for (const [index, column] of columnsOf(entry, look).entries())
      widths[index] = Math.max(widths[index] ?? 0, column.length);
  return widths;
}

/** One line as of `ls -l`; times are UTC. */
export function longLine(entry: Entry, name: ByteString, look: LongLook = {}): string {
  const { widths = usualWidths } = look;
  const arrow = entry.type === 'symlink' ? ` -> ${printable(entry.target)}` : '';
  return [
    modeText(entry),
    ...columnsOf(entry, look).map((column, index) => column.padStart(widths[index] ?? 0)),
    timeText(entry),
    printable(name) + arrow,
  ].join(' ');
}

/** A name or path in JSON: text where it is UTF-8, base64 otherwise (as in `pathBase64`). */
export function bytesJson(field: string, bytes: ByteString): Record<string, string> {
  const buffer = toBytes(bytes);
  const text = buffer.toString('utf8');
  return Buffer.from(text, 'utf8').equals(buffer)
    ? { [field]: text }
    : { [`${field}Base64`]: buffer.toString('base64') };
}

/** An entry in JSON, the same for ls, stat and find. */
export function entryJson(attributes: Entry): Record<string, unknown> {
  const entry = attributes;
  const device = deviceNumbers(attributes.rdev);
  const record = {
    ...bytesJson('path', entry.path === '' ? '/' : entry.path),
    type: entry.type,
    mode: `0${(attributes.mode & 0o7777).toString(8)}`,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    nlink: attributes.nlink,
    mtime: attributes.mtime,
    modified: isoTimeOf(attributes),
    ...(attributes.mtimeNs === 0 ? {} : { mtimeNs: attributes.mtimeNs }),
    inode: attributes.ino.toString(),
    ...(entry.type === 'symlink' ? bytesJson('target', entry.target) : {}),
    ...(entry.type === 'symlink' && entry.rawTarget !== entry.target
      ? bytesJson('rawTarget', entry.rawTarget)
      : {}),
    ...(entry.type === 'character' || entry.type === 'block'
      ? { rdev: [device.major, device.minor] }
      : {}),
    ...(entry.content?.hash === undefined ? {} : { hash: entry.content.hash.text }),
    ...(entry.xattrs === undefined
      ? {}
      : {
          xattrs: Object.fromEntries(
            [...entry.xattrs].map(([name, value]) => [printable(name), value.toString('base64')]),
          ),
        }),
    ...(entry.hidden ? { hidden: true } : {}),
    ...(entry.nestedMountpoint ? { nestedCatalog: true } : {}),
    ...(entry.bindMountpoint ? { bindMountpoint: true } : {}),
    ...(entry.content?.external === true ? { external: true } : {}),
    ...(entry.content?.chunked === true ? { chunked: true } : {}),
    ...(entry.broken === undefined ? {} : { broken: entry.broken.message }),
  };
  return withOldNames(record, oldNames);
}

// As they were called in 0.1.
const oldNames = {
  path_b64: 'pathBase64',
  target_b64: 'targetBase64',
  raw_target: 'rawTarget',
  raw_target_b64: 'rawTargetBase64',
  mtime_ns: 'mtimeNs',
  nested_catalog: 'nestedCatalog',
  bind_mountpoint: 'bindMountpoint',
};

/** ISO 8601, with nanoseconds where there are any; a time beyond all dates as its seconds. */
function isoTimeOf({ mtime, mtimeNs }: Entry): string {
  const whole = isoTime(mtime);
  if (mtimeNs === 0) return whole;
  return whole.replace(/Z$/, `.${String(mtimeNs).padStart(9, '0')}Z`);
}
