import { lstatSync, readdirSync, readlinkSync, realpathSync, type BigIntStats } from 'node:fs';
import { fromBytes, fromText, printable, toBytes, type ByteString } from '../../format/bytes.js';
import { fileFault } from '../../format/file-fault.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { readXattrs } from '../../machine/xattrs.js';
import type { ObjectWriter, StoredContent } from '../objects/content.js';
import { identityOf } from '../objects/job.js';
import { fittingXattrs, type InputEntry } from './entry.js';
import type { InputState, KnownRows, TakeEntry } from './state.js';

export interface InputOptions {
  readonly writer: ObjectWriter;
  /** Entries that can't be read are given with their `problem`, in place of an end. */
  readonly keepGoing?: boolean;
  /** Extended attributes are taken along. */
  readonly xattrs?: boolean;
  /** What was seen before, of a directory: content that is as it was is not read. */
  readonly state?: InputState;
  /** Root hash of the revision that is there now. What the state knows from another one is looked for in the storage. */
  readonly revision?: string;
  /** A directory that began a catalog, and is as it was, comes as one entry (`unchanged`). */
  readonly skipsCatalogs?: boolean;
}

// Entries whose content is stored ahead of the one that is asked for.
const aheadMax = 256;
const triesMax = 3;

/** An entry before its content is stored. */
interface Found {
  readonly entry: InputEntry;
  /** Where it lies. */
  readonly place: ByteString;
  readonly stats?: BigIntStats;
  /** What the state knows of all at and below it. */
  readonly rows?: KnownRows;
}

interface Reading {
  readonly options: InputOptions;
  /** Content of files with several names, by `linkKey`. */
  readonly links: Map<string, Promise<StoredContent>>;
}

/** The entries of a directory of this machine, as `readInput` gives them. */
export async function* directoryEntries(
  from: string,
  options: InputOptions,
): AsyncGenerator<InputEntry> {
  const reading: Reading = { options, links: new Map() };
  let ahead: (Found | Promise<Found>)[] = [];
  const next = async (waiting: Found | Promise<Found>): Promise<InputEntry> => {
    const found = await waiting;
    keep(found, options.state);
    return found.entry;
  };
  // A link to a directory is taken as that directory; below it links are links.
  for (const found of walk(fromText(realpathSync(from)), '', options)) {
    const completed = complete(found, reading);
    // It is waited for in its turn.
    if (completed instanceof Promise) completed.catch(() => undefined);
    ahead.push(completed);
    if (ahead.length < 2 * aheadMax) continue;
    for (const waiting of ahead.slice(0, aheadMax)) yield await next(waiting);
    ahead = ahead.slice(aheadMax);
  }
  for (const waiting of ahead) yield await next(waiting);
}

/** Keeps what was seen for the next time, but not what people have to be told of again then. */
function keep({ entry, stats, rows }: Found, state: InputState | undefined): void {
  const { problem, leftOut, type, stored } = entry;
  if (rows !== undefined) state?.keepRows(rows);
  else if (problem !== undefined || leftOut !== undefined || stats === undefined) return;
  else if (type !== 'file' || stored !== undefined) state?.keep(entry.path, stats, stored);
}

function* walk(place: ByteString, path: ByteString, options: InputOptions): Generator<Found> {
  const rows = unchangedRows(place, path, options);
  if (rows !== undefined) {
    const { entries, bytes } = rows;
    const unchanged = { entries, bytes };
    yield { place, rows, entry: { ...nothing, type: 'directory', path, unchanged } };
    return;
  }
  const found = lookAt(place, path, options);
  yield found;
  if (found.entry.type !== 'directory' || found.entry.problem !== undefined) return;
  let names: ByteString[];
  try {
    names = namesIn(place);
  } catch (thrown) {
    const problem = problemOf(unreadable(place, thrown), options);
    yield { place, entry: { ...found.entry, problem } };
    return;
  }
  for (const name of names) yield* walk(`${place}/${name}`, `${path}/${name}`, options);
}

// A Buffer for each entry would cost a quarter of the walk.
const ascii = /^[\x01-\x7f]*$/;

function pathOf(place: ByteString): string | Buffer {
  return ascii.test(place) ? place : toBytes(place);
}

function namesIn(place: ByteString): ByteString[] {
  return readdirSync(pathOf(place), { encoding: 'latin1' }).sort();
}

/** Of a directory that began a catalog and is as it was, with all below it. */
function unchangedRows(
  place: ByteString,
  path: ByteString,
  { state, revision, skipsCatalogs = false }: InputOptions,
): KnownRows | undefined {
  if (!skipsCatalogs || state?.catalogs.has(path) !== true || state.revision !== revision)
    return undefined;
  return state.unchanged(path, (take) => {
    try {
      lookBelow(place, path, take);
    } catch {
      // It will be met again, and told.
      take('', '', 0);
    }
  });
}

/** @returns whether more is wanted */
function lookBelow(place: ByteString, path: ByteString, take: TakeEntry): boolean {
  const stats = lstatSync(pathOf(place), { bigint: true });
  if (!take(path, identityOf(stats), stats.isFile() ? Number(stats.size) : 0)) return false;
  return (
    !stats.isDirectory() ||
    namesIn(place).every((name) => lookBelow(`${place}/${name}`, `${path}/${name}`, take))
  );
}

function unreadable(place: ByteString, thrown: unknown): PinfsError {
  if (thrown instanceof PinfsError) return thrown;
  const { why, mend } = fileFault(thrown, 'read');
  return new PinfsError('INPUT_UNREADABLE', `${printable(place)}: ${why}`, { advice: mend });
}

/** @throws the error where one ends it all */
function problemOf(error: PinfsError, options: InputOptions): PinfsError {
  const isOfInput = error.code === 'INPUT_UNREADABLE' || error.code === 'INPUT_CHANGED';
  if (options.keepGoing !== true || !isOfInput) throw error;
  return error;
}

const nothing = {
  type: 'file',
  mode: 0,
  uid: 0,
  gid: 0,
  mtime: 0,
  mtimeNs: 0,
  size: 0,
  rdev: 0,
} as const;

function lookAt(place: ByteString, path: ByteString, options: InputOptions): Found {
  try {
    const bytes = toBytes(place);
    const stats = lstatSync(bytes, { bigint: true });
    const entry = entryOf(stats, path);
    const target = entry.type === 'symlink' ? fromBytes(readlinkSync(bytes, 'buffer')) : undefined;
    const xattrs = options.xattrs === true ? readXattrs(bytes) : undefined;
    return {
      place,
      stats,
      entry: {
        ...entry,
        ...(target === undefined ? {} : { target, size: target.length }),
        ...(xattrs === undefined ? {} : fittingXattrs(xattrs)),
      },
    };
  } catch (thrown) {
    return {
      place,
      entry: { ...nothing, path, problem: problemOf(unreadable(place, thrown), options) },
    };
  }
}

const typesByBits: Readonly<Record<number, InputEntry['type']>> = {
  0o100000: 'file',
  0o040000: 'directory',
  0o120000: 'symlink',
  0o020000: 'character',
  0o060000: 'block',
  0o010000: 'fifo',
  0o140000: 'socket',
};

const nsInSecond = 1_000_000_000n;

function entryOf(stats: BigIntStats, path: ByteString): InputEntry {
  const mode = Number(stats.mode);
  const type = typesByBits[mode & 0o170000];
  if (type === undefined)
    throw new PinfsError('INPUT_UNREADABLE', `${printable(path)}: no known type`);
  const ns = ((stats.mtimeNs % nsInSecond) + nsInSecond) % nsInSecond;
  return {
    path,
    type,
    mode: mode & 0o7777,
    uid: Number(stats.uid),
    gid: Number(stats.gid),
    mtime: Number((stats.mtimeNs - ns) / nsInSecond),
    mtimeNs: Number(ns),
    size: type === 'file' || type === 'directory' ? Number(stats.size) : 0,
    rdev: type === 'character' || type === 'block' ? Number(stats.rdev) : 0,
    ...(type !== 'directory' && stats.nlink > 1n ? { linkKey: `${stats.dev}:${stats.ino}` } : {}),
  };
}

/** The entry with its content, which is there at once where it is known. */
function complete(found: Found, reading: Reading): Found | Promise<Found> {
  const { entry, stats } = found;
  const { options } = reading;
  if (entry.type !== 'file' || stats === undefined || entry.problem !== undefined) return found;
  const known = options.state?.find(entry.path, identityOf(stats));
  if (known === undefined) return withContent(found, reading);
  const as = (): Found => ({ ...found, entry: { ...entry, stored: known, isKnown: true } });
  if (options.state?.revision === options.revision) return as();
  // Another revision may have left objects of this one to be collected.
  return options.writer
    .holds(known)
    .then((isThere) => (isThere ? as() : withContent(found, reading)));
}

async function withContent(first: Found, { options, links }: Reading): Promise<Found> {
  let found = first;
  for (let tries = 1; ; tries++) {
    const { entry, place, stats } = found;
    if (stats === undefined || entry.type !== 'file') return found;
    const identity = identityOf(stats);
    try {
      const key = entry.linkKey && `${entry.linkKey} ${identity}`;
      const shared = key === undefined ? undefined : links.get(key);
      const storing = shared ?? options.writer.store({ file: place, size: entry.size, identity });
      if (key !== undefined) links.set(key, storing);
      return { ...found, entry: { ...entry, stored: await storing } };
    } catch (thrown) {
      const error = asPinfsError(thrown);
      if (error.code !== 'INPUT_CHANGED' || tries >= triesMax)
        return { ...found, entry: { ...entry, problem: problemOf(error, options) } };
      found = lookAt(place, entry.path, options);
    }
  }
}
