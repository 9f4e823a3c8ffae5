import { lstatSync, readdirSync, readlinkSync, realpathSync, type BigIntStats } from 'node:fs';
import { fromBytes, fromText, printable, toBytes, type ByteString } from '../../format/bytes.js';
import { errorReason } from '../../format/errno.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { readXattrs } from '../../machine/xattrs.js';
import type { ObjectWriter, StoredContent } from '../objects/content.js';
import { identityOf } from '../objects/job.js';
import { fittingXattrs, type InputEntry } from './entry.js';
import type { InputState } from './state.js';

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
  let ahead: (InputEntry | Promise<InputEntry>)[] = [];
  // A link to a directory is taken as that directory; below it links are links.
  for (const found of walk(fromText(realpathSync(from)), '', options)) {
    const entry = complete(found, reading);
    // It is waited for in its turn.
    if (entry instanceof Promise) entry.catch(() => undefined);
    ahead.push(entry);
    if (ahead.length < 2 * aheadMax) continue;
    for (const next of ahead.slice(0, aheadMax)) yield await next;
    ahead = ahead.slice(aheadMax);
  }
  for (const entry of ahead) yield await entry;
}

function* walk(place: ByteString, path: ByteString, options: InputOptions): Generator<Found> {
  const found = lookAt(place, path, options);
  yield found;
  if (found.entry.type !== 'directory' || found.entry.problem !== undefined) return;
  let names: Buffer[];
  try {
    names = readdirSync(toBytes(place), { encoding: 'buffer' });
  } catch (thrown) {
    const problem = problemOf(unreadable(place, thrown), options);
    yield { place, entry: { ...found.entry, problem } };
    return;
  }
  for (const name of names.sort((one, other) => Buffer.compare(one, other)))
    yield* walk(`${place}/${fromBytes(name)}`, `${path}/${fromBytes(name)}`, options);
}

function unreadable(place: ByteString, thrown: unknown): PinfsError {
  if (thrown instanceof PinfsError) return thrown;
  return new PinfsError('INPUT_UNREADABLE', `${printable(place)}: ${errorReason(thrown)}`);
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
function complete(found: Found, reading: Reading): InputEntry | Promise<InputEntry> {
  const { entry, stats } = found;
  const { options } = reading;
  if (entry.type !== 'file' || stats === undefined || entry.problem !== undefined) return entry;
  const known = options.state?.find(entry.path, identityOf(stats));
  if (known === undefined) return withContent(found, reading);
  const kept = (): InputEntry => {
    options.state?.keep(entry.path, stats, known);
    return { ...entry, stored: known, isKnown: true };
  };
  if (options.state?.revision === options.revision) return kept();
  // Another revision may have left objects of this one to be collected.
  return options.writer
    .holds(known)
    .then((isThere) => (isThere ? kept() : withContent(found, reading)));
}

async function withContent(first: Found, { options, links }: Reading): Promise<InputEntry> {
  let found = first;
  for (let tries = 1; ; tries++) {
    const { entry, place, stats } = found;
    if (stats === undefined || entry.type !== 'file') return entry;
    const identity = identityOf(stats);
    try {
      const key = entry.linkKey && `${entry.linkKey} ${identity}`;
      const shared = key === undefined ? undefined : links.get(key);
      const storing = shared ?? options.writer.store({ file: place, size: entry.size, identity });
      if (key !== undefined) links.set(key, storing);
      const stored = await storing;
      options.state?.keep(entry.path, stats, stored);
      return { ...entry, stored };
    } catch (thrown) {
      const error = asPinfsError(thrown);
      if (error.code !== 'INPUT_CHANGED' || tries >= triesMax)
        return { ...entry, problem: problemOf(error, options) };
      found = lookAt(place, entry.path, options);
    }
  }
}
