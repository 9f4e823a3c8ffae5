import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import { toBytes, type ByteString } from '../../format/bytes.js';
import { parseHash } from '../../format/hash.js';
import type { ContentOptions, StoredContent } from '../objects/content.js';
import { identityOf } from '../objects/job.js';

/**
 * What was seen of a directory when it was last published: for each entry its identity (size, times, inode), and the
 * objects of files. It is read and written in the order in which directories are walked. Losing it costs time only.
 */
export interface InputState {
  /** Root hash of the revision for which it was kept. */
  readonly revision: string | undefined;
  /** Directories that began a catalog in that revision because something asked for it. */
  readonly catalogs: ReadonlySet<ByteString>;
  /** What decided then where catalogs begin. */
  readonly rules: string;
  /** Paths have to be asked for in the order of the walk. */
  find(path: ByteString, identity: string): StoredContent | undefined;
  /**
   * Whether all at and below a directory is as it was; `walk` gives its entries in order until it is told no.
   * @returns what is known of them, to be kept; undefined: something is different, or new, or gone.
   */
  unchanged(path: ByteString, walk: (take: TakeEntry) => void): KnownRows | undefined;
  /**
   * Keeps one for the next time, unless it is so young that it may have changed since within the same tick of its
   * clock. Entries come in the order of the walk.
   */
  keep(path: ByteString, stats: BigIntStats, stored: StoredContent | undefined): void;
  keepRows(rows: KnownRows): void;
  /** Puts what was kept in place of what was known. */
  commit(revision: string, nesting?: Nesting): void;
  /** Leaves what was known as it is. */
  drop(): void;
}

/** Where catalogs begin, and what decided it. */
export interface Nesting {
  readonly catalogs: readonly ByteString[];
  readonly rules: string;
}

/** @returns whether it is as it was, and more can be asked for. */
export type TakeEntry = (path: ByteString, identity: string, bytes: number) => boolean;

/** All that is known at and below a directory. */
export interface KnownRows {
  readonly path: ByteString;
  readonly text: string;
  readonly entries: number;
  /** Of content. */
  readonly bytes: number;
}

export interface StateOptions {
  /** Nothing is known, and everything is kept: all files are read. */
  readonly isBlind?: boolean;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const version = 2;
// Clocks of file systems tick coarsely, and those of others differ a little.
const youngNs = 2_000_000_000n;
const blockBytes = 64 * 1024;

/**
 * @param settings of what is stored: where they are others than they were, nothing is known.
 * @param place what else has to be the same: which directory, which repository.
 */
export function openInputState(
  file: string,
  settings: ContentOptions,
  place: string,
  { isBlind = false, now = Date.now }: StateOptions = {},
): InputState {
  const begunNs = BigInt(now()) * 1_000_000n;
  const head = JSON.stringify({ version, place, settings });
  const known = isBlind ? undefined : readKnown(file, head, settings);
  const output = openOutput(`${file}.${process.pid}.new`);
  const keptCatalogs: ByteString[] = [];
  output.add(`${head}\0`);
  return {
    revision: known?.revision,
    catalogs: known?.catalogs ?? new Set(),
    rules: known?.rules ?? '',
    find: (path, identity) => known?.find(path, identity),
    unchanged: (path, walk) => known?.unchanged(path, walk),
    keep(path, stats, stored) {
      const isYoung = stats.ctimeNs > begunNs - youngNs || stats.mtimeNs > begunNs - youngNs;
      const content = stored === undefined ? '' : JSON.stringify(pack(stored));
      if (!isYoung) output.add(`${path}\0${identityOf(stats)}\0${content}\0`);
    },
    keepRows({ path, text }) {
      output.add(text);
      for (const one of known?.catalogs ?? [])
        if (one === path || one.startsWith(`${path}/`)) keptCatalogs.push(one);
    },
    commit(revision, { catalogs, rules } = { catalogs: [], rules: '' }) {
      output.add(JSON.stringify({ revision, rules, catalogs: [...catalogs, ...keptCatalogs] }));
      output.end();
      renameSync(output.file, file);
    },
    drop() {
      output.end();
      rmSync(output.file, { force: true });
    },
  };
}

function openOutput(file: string) {
  let fd: number | undefined;
  let parts: string[] = [];
  let waiting = 0;
  const flush = (): void => {
    fd ??= openSync(file, 'w', 0o600);
    const bytes = toBytes(parts.join(''));
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    parts = [];
    waiting = 0;
  };
  return {
    file,
    add(text: string): void {
      parts.push(text);
      waiting += text.length;
      if (waiting >= blockBytes) flush();
    },
    end(): void {
      if (parts.length > 0) flush();
      if (fd !== undefined) closeSync(fd);
      fd = undefined;
    },
  };
}

type Content = readonly [
  size: number,
  hash: string,
  ...chunks: readonly (readonly [size: number, hash: string])[],
];

function pack({ size, hash, chunks }: StoredContent): readonly unknown[] {
  return [size, hash?.text ?? '', ...chunks.map((chunk) => [chunk.size, chunk.hash.text])];
}

function unpack(text: string, settings: ContentOptions): StoredContent | undefined {
  if (!text.startsWith('[')) return undefined;
  // Written by `pack`; what counts is looked at here.
  const [size, hashText, ...parts] = JSON.parse(text) as Content;
  const hash = parseHash(hashText);
  const chunks: StoredContent['chunks'][number][] = [];
  let offset = 0;
  for (const [length, chunkText] of parts) {
    const chunkHash = parseHash(chunkText);
    if (chunkHash === undefined) return undefined;
    chunks.push({ offset, size: length, hash: chunkHash });
    offset += length;
  }
  if (hash === undefined && (chunks.length === 0 || offset !== size)) return undefined;
  const { algorithm, external = false } = settings;
  const compression = external ? 'none' : settings.compression;
  return { size, hash, chunks, algorithm, compression, external };
}

interface Known extends Pick<InputState, 'catalogs' | 'rules' | 'find' | 'unchanged'> {
  readonly revision: string;
}

/**
 * A head, three texts for each entry (its path, its identity, what is stored of it), and an end, with zeros between
 * them: no name has one.
 * @returns undefined where there is none that fits
 */
function readKnown(file: string, head: string, settings: ContentOptions): Known | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
  const last = text.lastIndexOf('\0') + 1;
  // Without the end the file was cut off.
  const end = endOf(text.slice(last));
  let at = text.indexOf('\0') + 1;
  if (end === undefined || text.slice(0, at - 1) !== head) return undefined;
  const zero = (from: number): number => text.indexOf('\0', from);
  /** Goes on to the first entry that is not before a path. */
  const skipTo = (path: ByteString): void => {
    const key = walkKey(path);
    while (at < last) {
      const there = text.slice(at, zero(at));
      if (there === path || walkKey(there) >= key) return;
      at = zero(zero(zero(at) + 1) + 1) + 1;
    }
  };
  return {
    ...end,
    find(path, identity) {
      skipTo(path);
      const row = `${path}\0${identity}\0`;
      if (!text.startsWith(row, at)) return undefined;
      return unpack(text.slice(at + row.length, zero(at + row.length)), settings);
    },
    unchanged(path, walk) {
      skipTo(path);
      let to = at;
      let [entries, bytes] = [0, 0];
      const seen = { isSame: true };
      walk((one, identity, size) => {
        const row = `${one}\0${identity}\0`;
        seen.isSame &&= to < last && text.startsWith(row, to);
        if (!seen.isSame) return false;
        to = zero(to + row.length) + 1;
        entries++;
        bytes += size;
        return true;
      });
      // What comes next may be gone.
      if (!seen.isSame || entries === 0 || text.startsWith(`${path}/`, to)) return undefined;
      const rows = { path, text: text.slice(at, to), entries, bytes };
      at = to;
      return rows;
    },
  };
}

function endOf(text: string): Pick<Known, 'revision' | 'catalogs' | 'rules'> | undefined {
  try {
    const { revision, catalogs, rules } = JSON.parse(text) as Record<string, unknown>;
    if (typeof revision !== 'string' || typeof rules !== 'string' || !Array.isArray(catalogs))
      return undefined;
    return { revision, rules, catalogs: new Set(catalogs as ByteString[]) };
  } catch {
    return undefined;
  }
}

/** Sorts paths as a walk meets them: what is in a directory before its neighbours. */
function walkKey(path: ByteString): string {
  return path.replaceAll('/', '\0');
}
