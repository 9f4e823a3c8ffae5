import { createHash } from 'node:crypto';
import type { ByteString } from '../lib/format/bytes.js';
import type { DirectorySpec, EntrySpec } from '../lib/publish/write-repository.js';
import type { Operation, PathOperation } from './random-client.js';
import { allPlaces } from './random-model.js';

/** What operations on a mount must give, by the tree from which the repository was made. */

/** The operation can't be told, or must not be made, here: it leads out of the mount, or would block. */
export const unknown = Symbol('unknown');

interface Found {
  readonly entry: EntrySpec;
  readonly parent: DirectorySpec;
}

interface Walk {
  /** The entry, or the name of the error. */
  readonly found: Found | string | typeof unknown;
  /** A symbolic link was followed. */
  readonly crossed: boolean;
}

const mostLinks = 40;
const longestName = 255;

/** Walks a path from the root as the kernel does. */
export function walk(root: DirectorySpec, path: ByteString, follow: boolean): Walk {
  const trail: DirectorySpec[] = [root];
  const pending = path.split('/').filter((name) => name !== '');
  let current: Found = { entry: root, parent: root };
  let links = 0;
  const end = (found: Walk['found']): Walk => ({ found, crossed: links > 0 });
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    const here = current.entry;
    if (here.type !== 'directory') return end('ENOTDIR');
    if (name === '.') continue;
    if (name === '..') {
      trail.pop();
      const above = trail.at(-1);
      if (above === undefined) return end(unknown);
      current = { entry: above, parent: trail.at(-2) ?? above };
      continue;
    }
    if (name.length > longestName) return end('ENAMETOOLONG');
    const entry = here.entries[name];
    if (entry === undefined) return end('ENOENT');
    if (entry.type === 'symlink' && (follow || pending.length > 0)) {
      links += 1;
      if (links > mostLinks) return end('ELOOP');
      pending.unshift(...entry.target.split('/').filter((part) => part !== ''));
      continue;
    }
    current = { entry, parent: here };
    if (entry.type === 'directory') trail.push(entry);
  }
  return end(current);
}

/** Both in the same words, so that long contents need not be sent about. */
export function digest(bytes: Buffer): string {
  return `${bytes.length}:${createHash('sha1').update(bytes).digest('hex')}`;
}

function contentOf(entry: EntrySpec): Buffer {
  return entry.type === 'file' ? Buffer.from(entry.content) : Buffer.alloc(0);
}

const typeBits: Readonly<Record<EntrySpec['type'], number>> = {
  file: 0o100000,
  directory: 0o040000,
  bind: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  character: 0o020000,
  block: 0o060000,
};

const defaultMode: Partial<Record<EntrySpec['type'], number>> = {
  directory: 0o755,
  symlink: 0o777,
};

/** What a driver can't carry of a time. */
export interface Carried {
  readonly milliseconds: boolean;
}

/** As `random-client.ts` shows a stat. */
export function statOf({ entry, parent }: Found, { milliseconds }: Carried): string {
  const size =
    entry.type === 'file'
      ? contentOf(entry).length
      : entry.type === 'directory'
        ? 4096
        : entry.type === 'symlink'
          ? entry.target.length
          : 0;
  const mode = typeBits[entry.type] | (entry.mode ?? defaultMode[entry.type] ?? 0o644);
  const ns = entry.mtimeNs ?? 0;
  const rdev = entry.type === 'character' || entry.type === 'block' ? (entry.rdev ?? 0) : 0;
  const words = {
    mode: mode.toString(8),
    nlink: linksOf(entry, parent),
    owner: `${entry.uid ?? 0}:${entry.gid ?? 0}`,
    size,
    mtime: `${entry.mtime ?? 0}.${milliseconds ? ns - (ns % 1_000_000) : ns}`,
    rdev,
  };
  return Object.entries(words).flat().join(' ');
}

function linksOf(entry: EntrySpec, parent: DirectorySpec): number {
  const all = (of: DirectorySpec) => Object.values(of.entries);
  if (entry.type === 'directory') return 2 + all(entry).filter(isDirectory).length;
  if (entry.linkGroup === undefined) return 1;
  return all(parent).filter(({ linkGroup }) => linkGroup === entry.linkGroup).length;
}

function isDirectory({ type }: EntrySpec): boolean {
  return type === 'directory';
}

/** Names and types of a directory, sorted, as the client shows them. */
function listingOf(entry: DirectorySpec): string[] {
  const shown = Object.entries(entry.entries).filter(([, child]) => child.hidden !== true);
  const lines = shown.map(([name, child]) => `${name} ${typeBits[child.type] >> 12}`);
  return ['. 4', '.. 4', ...lines].sort();
}

/** What opening for reading gives where it fails; undefined: it can be read. */
function openError(entry: EntrySpec, directories: boolean): string | typeof unknown | undefined {
  switch (entry.type) {
    case 'file':
      return directories ? 'ENOTDIR' : undefined;
    case 'directory':
      return directories ? undefined : 'EISDIR';
    case 'socket':
      return directories ? 'ENOTDIR' : 'ENXIO';
    case 'character':
    case 'block':
      return directories ? 'ENOTDIR' : 'EACCES';
    case 'fifo':
    case 'symlink':
    case 'bind':
      return directories ? 'ENOTDIR' : unknown;
  }
}

export interface Expected {
  readonly value: unknown;
  /** A link was followed: while the tree changes, its ends may be of two trees. */
  readonly crossed: boolean;
}

/** Programs say only that they failed. */
const programs: ReadonlySet<Operation['op']> = new Set<Operation['op']>([
  'dd',
  'compare',
  'dropPages',
]);

/** What an operation that names a path gives. */
export function expected(root: DirectorySpec, operation: Operation, carried: Carried): Expected {
  if (operation.op === 'tree') return { value: treeOf(root, carried), crossed: false };
  if (!('path' in operation)) throw new Error(`${operation.op} names no path`);
  const follow =
    operation.op !== 'lstat' && operation.op !== 'readlink' && operation.op !== 'xattrs';
  const { found, crossed } = walk(root, operation.path, follow);
  if (typeof found === 'string') {
    return { value: programs.has(operation.op) ? 'failed' : found, crossed };
  }
  if (found === unknown) return { value: unknown, crossed };
  return { value: outcome(root, operation, found, carried), crossed };
}

function outcome(
  root: DirectorySpec,
  operation: PathOperation,
  found: Found,
  carried: Carried,
): unknown {
  const { entry } = found;
  switch (operation.op) {
    case 'lstat':
    case 'stat':
      return statOf(found, carried);
    case 'readlink':
      return entry.type === 'symlink' ? entry.target : 'EINVAL';
    case 'list':
    case 'seek':
      return entry.type === 'directory' ? listingOf(entry) : 'ENOTDIR';
    case 'openDirectory':
      return openError(entry, true) ?? 'open';
    case 'open':
      return openError(entry, false) ?? 'open';
    case 'read':
    case 'direct':
    case 'map':
    case 'dd': {
      const { position, length } = operation;
      const error = openError(entry, false);
      // What O_DIRECT makes of a directory is the kernel's affair.
      const plain = operation.op === 'read' || operation.op === 'map';
      if (error !== undefined) return plain ? error : unknown;
      return digest(contentOf(entry).subarray(position, position + length));
    }
    case 'whole':
      return openError(entry, false) ?? digest(contentOf(entry));
    case 'compare': {
      const other = walk(root, operation.other, true).found;
      if (typeof other !== 'object' || other.entry.type !== 'file') return unknown;
      if (entry.type !== 'file') return unknown;
      return contentOf(entry).equals(contentOf(other.entry)) ? 'same' : 'different';
    }
    case 'dropPages':
      return entry.type === 'file' ? 'done' : unknown;
    case 'xattrs':
      // On the root the magic ones are listed as well; links can have none of the user's.
      return entry === root || entry.type === 'symlink' ? unknown : xattrsOf(entry);
  }
}

function xattrsOf(entry: EntrySpec): string[] {
  return Object.entries(entry.xattrs ?? {})
    .map(([name, value]) => `${name}=${Buffer.from(value).toString('base64')}`)
    .sort();
}

/** Every path with its stat, and what is behind it; hidden entries are not found by listing. */
function treeOf(root: DirectorySpec, carried: Carried): string[] {
  const hidden: string[] = [];
  const lines: string[] = [];
  for (const { path, entry } of allPlaces(root)) {
    if (hidden.some((above) => path.startsWith(above))) continue;
    if (entry.hidden === true) {
      hidden.push(`${path}/`);
      continue;
    }
    const { found } = walk(root, path, false);
    if (typeof found !== 'object') throw new Error(`the oracle loses its way at ${path}`);
    const behind =
      entry.type === 'file'
        ? digest(contentOf(entry))
        : entry.type === 'symlink'
          ? entry.target
          : '';
    lines.push(`${path} ${statOf(found, carried)} ${behind}`);
  }
  return lines.sort();
}
