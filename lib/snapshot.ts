import { fromText, printable, toBytes, type ByteString } from './format/bytes.js';
import type { EntryType } from './format/catalog-row.js';
import { PinfsError } from './format/errors.js';
import { namedSource } from './repository/configured/named-source.js';
import { openRepository } from './repository/open.js';
import { processEnvironment } from './repository/open/environment.js';
import type { OpenOptions } from './repository/open/options.js';
import type { Repository } from './repository/repository.js';
import type { CheckReport } from './repository/use/check.js';
import type { Difference } from './repository/use/diff.js';
import { list, readRange, valueOf, walk } from './repository/use/path.js';
import type { Entry } from './tree/entry.js';
import type { Verdict } from './trust/verdict/verdict.js';

/* An opened snapshot, as a program reads it. */

/** A path in the repository: text is taken as UTF-8, a Buffer as the bytes it is. */
export type Path = string | Buffer;

/** One entry as `lstat` and `readdir` show it. */
export interface FileEntry {
  readonly name: Buffer;
  readonly path: Buffer;
  readonly type: EntryType;
  /** Permission bits and setuid, setgid, sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  /** 63 bits; the same for the same path in every mount of this snapshot. */
  readonly ino: bigint;
  /** Seconds since 1970, may be negative; and the nanoseconds beside them. */
  readonly mtime: number;
  readonly mtimeNs: number;
  /** Device number as glibc packs it; 0 for what is no device. */
  readonly rdev: number;
  /** Of a symlink: the target with its variables expanded. */
  readonly target: Buffer | undefined;
  readonly xattrs: ReadonlyMap<string, Buffer>;
  /** Why this entry can't be used: the publisher's record of it makes no sense. The others are whole. */
  readonly damaged: PinfsError | undefined;
}

/**
 * An opened snapshot. Every method throws PinfsError: NOT_FOUND, IS_DIRECTORY, NOT_DIRECTORY, LINK_LOOP,
 * ACCESS_DENIED, OBJECT_*, CATALOG_*, SOURCE_*, USAGE (a range that is none), INTERRUPTED (it was closed).
 */
export interface Snapshot {
  readonly repository: string;
  readonly rootHash: string;
  readonly revision: number;
  readonly tag: string | undefined;
  readonly verdict: Verdict;
  /** The entry at a path; the last component is followed unless `follow` is false. */
  stat(path: Path, options?: { follow?: boolean }): Promise<FileEntry>;
  /** The entries of a directory, without `.` and `..`. */
  list(path: Path): Promise<FileEntry[]>;
  /** A file, or `length` bytes of it from `offset`; less where it ends before. */
  read(path: Path, range?: { offset?: number; length?: number }): Promise<Buffer>;
  /** The same in pieces of at most 1 MiB, for files larger than memory. */
  stream(path: Path, range?: { offset?: number; length?: number }): AsyncGenerator<Buffer>;
  /** Of a symlink, with its variables expanded. @throws PinfsError USAGE for anything else. */
  readlink(path: Path): Promise<Buffer>;
  /** The entry at a path and all that is below it: a directory before what is in it. No symlink is followed. */
  walk(path: Path, limits?: CallLimits): AsyncGenerator<FileEntry>;
  /** Those of `walk` that a function wants. */
  find(
    path: Path,
    wanted: (entry: FileEntry) => boolean,
    limits?: CallLimits,
  ): AsyncGenerator<FileEntry>;
  /**
   * Fetches and verifies all that is at or below a path, as far as it is not in the cache; what is missing or damaged
   * is listed in the report, and ends nothing.
   */
  check(path: Path, options?: SnapshotCheck): Promise<CheckReport>;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface CallLimits {
  /** Ends this one call, which then throws INTERRUPTED; the snapshot stays open. */
  readonly signal?: AbortSignal;
}

export interface SnapshotCheck extends CallLimits {
  /** Only catalogs, no content. */
  readonly catalogsOnly?: boolean;
  /** Told of the report as it grows. */
  readonly progress?: (report: Readonly<CheckReport>) => void;
}

/** One path at which two snapshots differ: one of the entries is lacking where it was added or removed. */
export interface PathDifference {
  readonly path: Buffer;
  readonly before: FileEntry | undefined;
  readonly after: FileEntry | undefined;
  /** In what two entries differ; empty where one is lacking. */
  readonly differences: readonly Difference[];
}

/** What is behind the snapshots that were opened. */
const repositories = new WeakMap<Snapshot, Repository>();

/**
 * Opens SOURCE[@PIN] for reading, verified as the options ask.
 * @param limits a signal that ends the opening, and later closes the snapshot with all that waits in it.
 * @throws PinfsError with the code of what was refused, missing, damaged or not reachable; INTERRUPTED by the signal.
 */
export async function open(
  options: OpenOptions,
  limits: { readonly signal?: AbortSignal } = {},
): Promise<Snapshot> {
  const opening = namedSource(options, processEnvironment).then(openRepository);
  const repository = await unlessAborted(opening, limits.signal);
  const snapshot = snapshotOf(repository);
  repositories.set(snapshot, repository);
  limits.signal?.addEventListener('abort', () => void snapshot.close(), { once: true });
  return snapshot;
}

/** What comes too late is closed. @throws PinfsError INTERRUPTED */
async function unlessAborted(
  opening: Promise<Repository>,
  signal: AbortSignal | undefined,
): Promise<Repository> {
  if (signal === undefined) return await opening;
  let abort = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      reject(new PinfsError('INTERRUPTED', 'opening was ended by its signal'));
    };
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([aborted, opening]);
  } catch (thrown) {
    void opening.then(
      (repository) => repository.close(),
      () => undefined,
    );
    throw thrown;
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** The same repository for one call, which ends by its own signal as well. */
function limitedBy(repository: Repository, signal: AbortSignal | undefined): Repository {
  if (signal === undefined) return repository;
  const { opening } = repository;
  const both = AbortSignal.any([opening.signal, signal]);
  const run: Repository['run'] = (operation, own = both) => repository.run(operation, own);
  // What it tells of itself is asked for when it is read.
  const properties = { opening: { value: { ...opening, signal: both } }, run: { value: run } };
  return Object.create(repository, properties) as Repository;
}

/** @throws PinfsError INTERRUPTED */
function refuseAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw new PinfsError('INTERRUPTED', 'it was ended by its signal');
}

async function* entriesBelow(repository: Repository, start: Entry): AsyncGenerator<Entry> {
  const pending = [start];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    yield next;
    if (next.type !== 'directory') continue;
    const entries: Entry[] = [];
    for await (const entry of list(repository, next)) entries.push(entry);
    pending.push(...entries.reverse());
  }
}

async function checkBelow(
  repository: Repository,
  { path }: Entry,
  { catalogsOnly = false, progress = () => undefined, signal }: SnapshotCheck,
): Promise<CheckReport> {
  const { check } = await import('./repository/use/check.js');
  const external = repository.opening.options.external !== undefined;
  const report = await check(repository, { path, catalogsOnly, external, progress });
  refuseAborted(signal);
  return report;
}

function snapshotOf(repository: Repository): Snapshot {
  const { identity } = repository.descriptor;
  let closing: Promise<void> | undefined;
  const find = async (path: Path, follow: boolean, by = repository): Promise<Entry> => {
    if (closing !== undefined) throw new PinfsError('INTERRUPTED', 'the snapshot was closed');
    return await walk(by, bytesOf(path), follow);
  };
  const stream: Snapshot['stream'] = async function* (path, { offset, length } = {}) {
    checkRange(offset, length);
    const file = await find(path, true);
    yield* readRange(repository, file, offset, length);
  };
  const close: Snapshot['close'] = async () => {
    await (closing ??= repository.close());
  };
  const walkBelow: Snapshot['walk'] = async function* (path, { signal } = {}) {
    const own = limitedBy(repository, signal);
    refuseAborted(signal);
    for await (const entry of entriesBelow(own, await find(path, false, own))) {
      yield fileEntry(entry);
      refuseAborted(signal);
    }
  };
  return {
    repository: repository.fqrn,
    rootHash: identity.rootHash,
    revision: identity.revision,
    tag: identity.tag,
    verdict: repository.verdict,
    async stat(path, { follow = true } = {}) {
      return fileEntry(await find(path, follow));
    },
    async list(path) {
      const directory = await find(path, true);
      const entries: FileEntry[] = [];
      for await (const attributes of list(repository, directory))
        entries.push(fileEntry(attributes));
      return entries;
    },
    async read(path, range) {
      const pieces: Buffer[] = [];
      for await (const piece of stream(path, range)) pieces.push(piece);
      return Buffer.concat(pieces);
    },
    stream,
    async readlink(path) {
      const entry = await find(path, false);
      const { node } = entry;
      if (entry.type !== 'symlink') {
        throw new PinfsError('USAGE', `${printable(entry.path) || '/'} is no symlink`);
      }
      const { filesystem } = repository;
      return toBytes(await valueOf(repository, entry.path, () => filesystem.readlink(node)));
    },
    walk: walkBelow,
    async *find(path, wanted, limits) {
      for await (const entry of walkBelow(path, limits)) if (wanted(entry)) yield entry;
    },
    async check(path, options = {}) {
      const own = limitedBy(repository, options.signal);
      refuseAborted(options.signal);
      return checkBelow(own, await find(path, false, own), options);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/**
 * Where two opened snapshots differ at or below a path, in the order of a walk, from their catalogs alone: what has the
 * same catalog in both is not looked at. Times alone are no difference.
 * @throws PinfsError NOT_FOUND: neither has the path; USAGE: they are not snapshots of one repository.
 */
export async function* diff(
  before: Snapshot,
  after: Snapshot,
  path: Path = '/',
): AsyncGenerator<PathDifference> {
  const [one, other] = [repositories.get(before), repositories.get(after)];
  if (one === undefined || other === undefined || one.fqrn !== other.fqrn)
    throw new PinfsError('USAGE', 'a difference is between two snapshots of one repository');
  const { diffTrees, isOfTimeAlone } = await import('./repository/use/diff.js');
  const problem = (_path: ByteString, thrown: unknown): never => {
    throw thrown;
  };
  const { path: start } = await walk(one, bytesOf(path), false).catch(() =>
    walk(other, bytesOf(path), false),
  );
  for await (const change of diffTrees(one, other, { path: start, problem })) {
    if (isOfTimeAlone(change)) continue;
    yield {
      path: toBytes(change.path === '' ? '/' : change.path),
      before: change.before && fileEntry(change.before),
      after: change.after && fileEntry(change.after),
      differences: change.differences,
    };
  }
}

/** @throws PinfsError USAGE */
function checkRange(...numbers: (number | undefined)[]): void {
  for (const number of numbers) {
    if (number === undefined || (Number.isSafeInteger(number) && number >= 0)) continue;
    throw new PinfsError('USAGE', `${number} is no place or length in a file`, {
      advice: 'Give whole numbers of bytes, 0 or more.',
    });
  }
}

function bytesOf(path: Path): ByteString {
  return typeof path === 'string' ? fromText(path) : path.toString('latin1');
}

function fileEntry(attributes: Entry): FileEntry {
  const entry = attributes;
  return {
    name: toBytes(entry.name),
    path: toBytes(entry.path === '' ? '/' : entry.path),
    type: entry.type,
    mode: attributes.mode & 0o7777,
    uid: attributes.uid,
    gid: attributes.gid,
    size: attributes.size,
    nlink: attributes.nlink,
    ino: attributes.ino,
    mtime: attributes.mtime,
    mtimeNs: attributes.mtimeNs,
    rdev: attributes.rdev,
    target: entry.type === 'symlink' ? toBytes(entry.target) : undefined,
    xattrs: new Map(entry.xattrs ?? []),
    damaged: entry.broken,
  };
}
