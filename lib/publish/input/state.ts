import { closeSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import type { BigIntStats } from 'node:fs';
import type { ByteString } from '../../format/bytes.js';
import { parseHash } from '../../format/hash.js';
import type { ContentOptions, StoredContent } from '../objects/content.js';
import { identityOf } from '../objects/job.js';

/**
 * What was seen of a directory when it was last published: for each file its identity (size, times, inode) and its
 * objects. It is read and written in the order in which directories are walked, so that neither is held in memory as
 * a whole. Losing it costs time only.
 */
export interface InputState {
  /** Root hash of the revision for which it was kept. */
  readonly revision: string | undefined;
  /** Paths have to be asked for in the order of the walk. */
  find(path: ByteString, identity: string): StoredContent | undefined;
  /** Keeps one for the next time, unless it is so young that it may have changed since within the same tick of its clock. */
  keep(path: ByteString, stats: BigIntStats, stored: StoredContent): void;
  /** Puts what was kept in place of what was known. */
  commit(revision: string): void;
  /** Leaves what was known as it is. */
  drop(): void;
}

export interface StateOptions {
  /** Nothing is known, and everything is kept: all files are read. */
  readonly isBlind?: boolean;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

const version = 1;
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
  const temporary = `${file}.${process.pid}.new`;
  let fd: number | undefined;
  let lines: string[] = [];
  let waiting = 0;
  const flush = (): void => {
    fd ??= openSync(temporary, 'w', 0o600);
    const bytes = Buffer.from(lines.join(''));
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
    lines = [];
    waiting = 0;
  };
  const add = (line: string): void => {
    lines.push(`${line}\n`);
    waiting += line.length;
    if (waiting >= blockBytes) flush();
  };
  add(head);
  const close = (): void => {
    if (fd !== undefined) closeSync(fd);
    fd = undefined;
  };
  return {
    revision: known?.revision,
    find: (path, identity) => known?.find(path, identity),
    keep(path, stats, stored) {
      const isYoung = stats.ctimeNs > begunNs - youngNs || stats.mtimeNs > begunNs - youngNs;
      if (!isYoung) add(JSON.stringify([path, identityOf(stats), ...pack(stored)]));
    },
    commit(revision) {
      add(JSON.stringify([revision]));
      flush();
      close();
      renameSync(temporary, file);
    },
    drop() {
      close();
      rmSync(temporary, { force: true });
    },
  };
}

type Row = readonly [
  path: ByteString,
  identity: string,
  size: number,
  hash: string,
  ...chunks: readonly (readonly [size: number, hash: string])[],
];

function pack({ size, hash, chunks }: StoredContent): readonly unknown[] {
  return [size, hash?.text ?? '', ...chunks.map((chunk) => [chunk.size, chunk.hash.text])];
}

function unpack(row: Row, settings: ContentOptions): StoredContent | undefined {
  const [, , size, text, ...parts] = row;
  const hash = parseHash(text);
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

interface Known {
  readonly revision: string;
  find(path: ByteString, identity: string): StoredContent | undefined;
}

/** @returns undefined where there is none that fits. What is damaged in it is not known. */
function readKnown(file: string, head: string, settings: ContentOptions): Known | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch {
    return undefined;
  }
  let at = bytes.indexOf('\n') + 1;
  if (at === 0 || bytes.subarray(0, at - 1).toString() !== head) return undefined;
  const last = bytes.lastIndexOf('\n', bytes.length - 2) + 1;
  const end = parsed(bytes.subarray(last).toString());
  // Without it the file was cut off.
  if (end?.length !== 1 || typeof end[0] !== 'string') return undefined;
  const next = (): Row | undefined => {
    while (at < last) {
      const lineEnd = bytes.indexOf('\n', at);
      const row = parsed(bytes.subarray(at, lineEnd).toString());
      at = lineEnd + 1;
      // Written by `pack`; `unpack` looks at what counts.
      if (row !== undefined && row.length >= 4 && typeof row[0] === 'string')
        return row as unknown as Row;
    }
    return undefined;
  };
  let row = next();
  return {
    revision: end[0],
    find(path, identity) {
      const key = walkKey(path);
      while (row !== undefined && walkKey(row[0]) < key) row = next();
      return row?.[0] === path && row[1] === identity ? unpack(row, settings) : undefined;
    },
  };
}

function parsed(line: string): unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Sorts paths as a walk meets them: what is in a directory before its neighbours. */
function walkKey(path: ByteString): string {
  return path.replaceAll('/', '\0');
}
