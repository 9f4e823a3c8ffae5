import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { fromText, type ByteString } from '../format/bytes.js';
import type { Attributes, DirectoryPage, Filesystem } from '../filesystem/filesystem.js';
import { done, type Done, type Failure, type Outcome, andThen, failure } from '../store/want.js';
import type { NodeId } from '../tree/entry.js';
import {
  carriesTime,
  foldInode,
  nativeStat,
  nativeText,
  type NativeStat,
} from './fuse-native-convert.js';
import type { Ledger } from './ledger.js';

/** What each request of fuse-native does, before it is answered. */

const { errno } = constants;

/** Runs an operation, fetching what it misses, within what is left to one request. */
export type Run = <T>(operation: () => Outcome<T>) => Promise<Done<T> | Failure>;

/** One request while it is being served. */
export interface Request {
  readonly filesystem: Filesystem;
  readonly path: ByteString;
  readonly run: Run;
  readonly ledger: Ledger;
}

/** What the kernel shows of a directory: names, and as much of a stat as a listing has. */
export interface NativeListing {
  readonly names: string[];
  readonly stats: { readonly mode: number; readonly ino: number }[];
}

/** How many entries of a directory one run of an operation gives. */
const pageSize = 1024;
/** Linux' limit on a link's target: a page, with its NUL. */
const longestTarget = 4095;

function at<T>(request: Request, operation: (node: NodeId) => Outcome<T>): Outcome<T> {
  return andThen(request.filesystem.resolve(request.path), ({ node }) => operation(node));
}

export async function getattr({
  filesystem,
  path,
  run,
  ledger,
}: Request): Promise<Outcome<NativeStat>> {
  return andThen(await run(() => filesystem.resolve(path)), (attributes) => {
    if (!carriesTime(attributes)) ledger.notCarried();
    return done(nativeStat(attributes));
  });
}

export async function readlink(request: Request): Promise<Outcome<string>> {
  const { filesystem, run, ledger } = request;
  const target = await run(() => at(request, (node) => filesystem.readlink(node)));
  return andThen(target, (bytes) => {
    if (bytes.length > longestTarget) return failure(errno.ENAMETOOLONG);
    const text = nativeText(bytes);
    if (text !== undefined) return done(text);
    ledger.notCarried();
    return failure(errno.EIO);
  });
}

/** libfuse wants a whole directory at once; between its pages other requests get their turn. */
export async function readdir({
  filesystem,
  path,
  run,
  ledger,
}: Request): Promise<Outcome<NativeListing>> {
  const found = await run(() => filesystem.resolve(path));
  if (found.kind === 'failure') return found;
  const { node } = found.value;
  const listing: NativeListing = { names: [], stats: [] };
  for (let after = 0; ;) {
    const page = await run(() => filesystem.readdir(node, after, pageSize));
    if (page.kind === 'failure') return page;
    append(listing, page.value, ledger);
    const next = page.value.cookies.at(-1);
    if (page.value.end || next === undefined || next <= after) return done(listing);
    after = next;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function append(listing: NativeListing, page: DirectoryPage, ledger: Ledger): void {
  for (const [index, name] of page.names.entries()) {
    const text = nativeText(name);
    const attributes = page.attributes[index];
    if (text === undefined || attributes === undefined) ledger.notCarried();
    else {
      listing.names.push(text);
      listing.stats.push({ mode: attributes.mode, ino: foldInode(attributes.ino) });
    }
  }
}

export function getxattr(request: Request, name: string): Promise<Outcome<Buffer>> {
  const { filesystem, run } = request;
  return run(() => at(request, (node) => filesystem.getxattr(node, fromText(name))));
}

/** Names as listxattr(2) gives them: each with a NUL behind it. */
export async function listxattr(request: Request): Promise<Outcome<Buffer>> {
  const { filesystem, run } = request;
  const names = await run(() => at(request, (node) => filesystem.listxattr(node)));
  return andThen(names, (list) =>
    done(Buffer.from(list.map((name) => `${name}\0`).join(''), 'latin1')),
  );
}

export interface OpenFile {
  readonly filesystem: Filesystem;
  readonly node: NodeId;
  /** The last read that nobody had time to wait for, and until when it counts. */
  late: (Range & { readonly until: number; readonly failure: Failure }) | undefined;
}

interface Range {
  readonly position: number;
  readonly length: number;
}

/** Open files by the numbers that the kernel knows them by. */
export type OpenFiles = Map<number, OpenFile>;

/** Checks that a file may be read, and gives it a handle: a signed int that is not 0 is all that fuse-native carries. */
export async function open(
  request: Request,
  files: OpenFiles,
  flags: number,
): Promise<Outcome<number>> {
  const { filesystem, run } = request;
  const opened = await run(() => at(request, (node) => filesystem.open(node, flags)));
  return andThen(opened, ({ node }: Attributes) => {
    let handle = files.size + 1;
    while (files.has(handle)) handle = handle >= largestHandle ? 1 : handle + 1;
    files.set(handle, { filesystem, node, late: undefined });
    return done(handle);
  });
}

const largestHandle = 0x7fffffff;

/** A read that was too late stands for this long (ms): the kernel asks for the same bytes again, in pieces. */
const lateMemory = 1000;

export async function read(
  file: OpenFile | undefined,
  range: Range,
  buffer: Buffer,
  run: Run,
): Promise<Outcome<number>> {
  if (file === undefined) return failure(errno.EBADF);
  const { filesystem, node, late } = file;
  if (late !== undefined && performance.now() < late.until && overlap(late, range)) {
    return late.failure;
  }
  let answered = false;
  const result = await run(() =>
    // The buffer is libfuse's, and gone once this has been answered.
    answered ? failure(errno.EIO) : filesystem.read(node, range.position, range.length, buffer, 0),
  );
  answered = true;
  if (result.kind === 'failure' && result.error?.code === 'SOURCE_TIMEOUT') {
    file.late = { ...range, until: performance.now() + lateMemory, failure: result };
  }
  return result;
}

function overlap(one: Range, other: Range): boolean {
  return one.position < other.position + other.length && other.position < one.position + one.length;
}
