import { performance } from 'node:perf_hooks';
import { errno } from '../../format/errno.js';
import { fromText, type ByteString } from '../../format/bytes.js';
import type { DirectoryPage, Filesystem } from '../../filesystem/filesystem.js';
import { done, type Done, type Failure, type Outcome, andThen, failure } from '../../store/want.js';
import type { Entry, NodeId } from '../../tree/entry.js';
import { carriesTime, foldInode, nativeStat, nativeText, type NativeStat } from './convert.js';
import type { DriverCounters } from '../counters.js';

/** What each request of fuse-native does, before it is answered. */

/** Runs an operation, fetching what it misses, within what is left to one request. */
export type Run = <T>(operation: () => Outcome<T>) => Promise<Done<T> | Failure>;

/** One request while it is being served. */
export interface Request {
  readonly filesystem: Filesystem;
  /** The filesystem of now, which a request that waits may see change. */
  readonly latest: () => Filesystem;
  readonly path: ByteString;
  readonly run: Run;
  readonly counters: DriverCounters;
}

/** What the kernel shows of a directory: names, and as much of a stat as a listing has. */
export interface NativeListing {
  readonly names: string[];
  readonly stats: { readonly mode: number; readonly ino: number }[];
}

/** How many entries of a directory one run of an operation gives. */
const pageEntriesMax = 1024;
/** Linux' limit on a link's target: a page, with its NUL. */
const targetBytesMax = 4095;

function at<T>(request: Request, operation: (node: NodeId) => Outcome<T>): Outcome<T> {
  return andThen(request.filesystem.resolve(request.path), ({ node }) => operation(node));
}

export async function getattr({
  filesystem,
  path,
  run,
  counters,
}: Request): Promise<Outcome<NativeStat>> {
  return andThen(await run(() => filesystem.resolve(path)), (attributes) => {
    if (!carriesTime(attributes)) counters.notCarried();
    return done(nativeStat(attributes));
  });
}

export async function readlink(request: Request): Promise<Outcome<string>> {
  const { filesystem, run, counters } = request;
  const target = await run(() => at(request, (node) => filesystem.readlink(node)));
  return andThen(target, (bytes) => {
    if (bytes.length > targetBytesMax) return failure(errno.ENAMETOOLONG);
    const text = nativeText(bytes);
    if (text !== undefined) return done(text);
    counters.notCarried();
    return failure(errno.EIO);
  });
}

/** libfuse wants a whole directory at once; between its pages other requests get their turn. */
export async function answerReaddir({
  filesystem,
  path,
  run,
  counters,
}: Request): Promise<Outcome<NativeListing>> {
  const found = await run(() => filesystem.resolve(path));
  if (found.kind === 'failure') return found;
  const { node } = found.value;
  const listing: NativeListing = { names: [], stats: [] };
  for (let after = 0; ;) {
    const page = await run(() => filesystem.readdir(node, after, pageEntriesMax));
    if (page.kind === 'failure') return page;
    append(listing, page.value, counters);
    const next = page.value.cookies.at(-1);
    if (page.value.end || next === undefined || next <= after) return done(listing);
    after = next;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function append(listing: NativeListing, page: DirectoryPage, counters: DriverCounters): void {
  for (const [index, name] of page.names.entries()) {
    const text = nativeText(name);
    const attributes = page.attributes[index];
    if (text === undefined || attributes === undefined) counters.notCarried();
    else {
      listing.names.push(text);
      listing.stats.push({ mode: attributes.mode, ino: foldInode(attributes.ino) });
    }
  }
}

export function answerGetxattr(request: Request, name: string): Promise<Outcome<Buffer>> {
  const { filesystem, run } = request;
  return run(() => at(request, (node) => filesystem.getxattr(node, fromText(name))));
}

/** Names as listxattr(2) gives them: each with a NUL behind it. */
export async function answerListxattr(request: Request): Promise<Outcome<Buffer>> {
  const { filesystem, run } = request;
  const names = await run(() => at(request, (node) => filesystem.listxattr(node)));
  return andThen(names, (list) =>
    done(Buffer.from(list.map((name) => `${name}\0`).join(''), 'latin1')),
  );
}

export interface NativeOpenFile {
  filesystem: Filesystem;
  attributes: Entry;
  /** The last read that nobody could wait for any longer, and until when it counts. */
  late: (Range & { readonly since: number; until: number; readonly failure: Failure }) | undefined;
}

interface Range {
  readonly position: number;
  readonly length: number;
}

/** Open files by the numbers that the kernel knows them by. */
export type OpenFiles = Map<number, NativeOpenFile>;

/** Checks that a file may be read, and gives it a handle: a signed int that is not 0 is all that fuse-native carries. */
export async function answerOpen(
  request: Request,
  files: OpenFiles,
  flags: number,
): Promise<Outcome<number>> {
  const { filesystem, run } = request;
  const opened = await run(() => at(request, (node) => filesystem.open(node, flags)));
  return andThen(opened, (attributes: Entry) => {
    let handle = files.size + 1;
    while (files.has(handle)) handle = handle >= handleMax ? 1 : handle + 1;
    files.set(handle, { filesystem, attributes, late: undefined });
    return done(handle);
  });
}

const handleMax = 0x7fffffff;

/**
 * A read that was too late stands for this long (ms) behind each that it answers, and no longer than that:
 * the kernel asks for the same bytes again at once, in pieces. Who comes later waits for himself.
 */
const repetitionMs = 200;
const repetitionMsMax = 1000;

export async function answerRead(
  file: NativeOpenFile | undefined,
  range: Range,
  buffer: Buffer,
  { run, latest }: Pick<Request, 'run' | 'latest'>,
): Promise<Outcome<number>> {
  if (file === undefined) return failure(errno.EBADF);
  const { filesystem, late } = file;
  const { node } = file.attributes;
  const now = performance.now();
  if (late !== undefined && now < late.until && overlap(late, range)) {
    late.until = Math.min(now + repetitionMs, late.since + repetitionMsMax);
    return late.failure;
  }
  let answered = false;
  const result = await run(() =>
    // The buffer is libfuse's, and gone once this has been answered.
    answered ? failure(errno.EIO) : filesystem.read(node, range.position, range.length, buffer, 0),
  );
  answered = true;
  if (result.kind === 'failure' && result.error?.passing === true) {
    const since = performance.now();
    file.late = { ...range, since, until: since + repetitionMs, failure: result };
  }
  if (result.kind === 'failure') return result;
  const bytes = buffer.subarray(0, result.value);
  for (let seen = file.filesystem; seen !== latest();) {
    seen = latest();
    const still = await stillThere(file, seen, range.position, bytes, run);
    if (still.kind === 'failure') return still;
  }
  return result;
}

/**
 * Whether a file that was opened before a head moved has these bytes in the newest tree. libfuse
 * knows files by path alone: to the kernel the old file and the new one are one, with the same pages,
 * and what is read for whoever has the old one open is shown to those who open the new one.
 * ESTALE where they differ. Where the whole content is the same, the file goes over to the new tree.
 */
async function stillThere(
  file: NativeOpenFile,
  newest: Filesystem,
  position: number,
  bytes: Buffer,
  run: Run,
): Promise<Done<undefined> | Failure> {
  const entry = file.attributes;
  const found = await run(() => newest.resolve(entry.path));
  if (found.kind === 'failure') return isAbsence(found.errno) ? stale : found;
  const now = found.value;
  const { node } = now;
  if (now.type !== 'file' || now.size !== entry.size) return stale;
  if (now.content?.hash !== undefined && now.content.hash.text === entry.content?.hash?.text) {
    file.filesystem = newest;
    file.attributes = found.value;
    return done(undefined);
  }
  const there = Buffer.alloc(bytes.length);
  const again = await run(() => newest.read(node, position, there.length, there, 0));
  if (again.kind === 'failure') return again;
  return there.equals(bytes) ? done(undefined) : stale;
}

const stale = failure(errno.ESTALE);

function isAbsence(code: number): boolean {
  return code === errno.ENOENT || code === errno.ENOTDIR;
}

function overlap(one: Range, other: Range): boolean {
  return one.position < other.position + other.length && other.position < one.position + one.length;
}
