import { constants } from 'node:os';
import { performance } from 'node:perf_hooks';
import { fromText, type ByteString } from '../format/bytes.js';
import { andThen, failure } from '../filesystem/outcome.js';
import type { Attributes, DirectoryPage, Filesystem } from '../filesystem/filesystem.js';
import { done, type Done, type Failure, type Outcome } from '../store/want.js';
import type { NodeId } from '../tree/entry.js';
import {
  carriesTime,
  foldInode,
  nativeErrno,
  nativeStat,
  nativeStatfs,
  nativeText,
  type NativeStat,
} from './fuse-native-convert.js';
import type { Ledger } from './ledger.js';

const { errno } = constants;

/** Runs an operation, fetching what it misses, until it is done, has failed, or so many milliseconds are over. */
export type RunWithin = <T>(
  operation: () => Outcome<T>,
  deadline: number,
) => Promise<Done<T> | Failure>;

/** The same, within what is left to one request. */
type Run = <T>(operation: () => Outcome<T>) => Promise<Done<T> | Failure>;

/** What fuse-native is answered: 0 or a number of bytes, or a negative errno; then the value. */
type Reply<T> = (result: number, value?: T) => void;

/** What the kernel shows of a directory: names, and as much of a stat as a listing has. */
export interface NativeListing {
  readonly names: string[];
  readonly stats: { readonly mode: number; readonly ino: number }[];
}

/** The operations that are answered from the tree, in terms of fuse-native: paths, and results by call-back. */
export interface Handlers {
  readonly getattr: (path: string, reply: Reply<NativeStat>) => void;
  readonly readlink: (path: string, reply: Reply<string>) => void;
  readonly readdir: (path: string, reply: Reply<NativeListing>) => void;
  readonly open: (path: string, flags: number, reply: Reply<number>) => void;
  /** The result is the number of bytes read. */
  readonly read: (
    path: string,
    handle: number,
    buffer: Buffer,
    length: number,
    position: number,
    reply: Reply<never>,
  ) => void;
  readonly release: (path: string, handle: number, reply: Reply<never>) => void;
  readonly statfs: (path: string, reply: Reply<ReturnType<typeof nativeStatfs>>) => void;
  readonly getxattr: (path: string, name: string, reply: Reply<Buffer>) => void;
  readonly listxattr: (path: string, reply: Reply<Buffer>) => void;
  /** Requests that begin from now on see this filesystem; open files keep the one they have. */
  readonly replace: (filesystem: Filesystem) => void;
}

/** How many entries of a directory one run of an operation gives. */
const pageSize = 1024;
/** Linux' limit on a link's target: a page, with its NUL. */
const longestTarget = 4095;
/** A failed read stands for this long (ms): the kernel asks for the same bytes again, in pieces. */
const failureMemory = 1000;

/**
 * The handlers over a filesystem. None throws or rejects: what goes wrong is answered with an errno
 * and written down in the ledger.
 */
export function makeHandlers(
  first: Filesystem,
  runWithin: RunWithin,
  deadline: number,
  ledger: Ledger,
): Handlers {
  let current = first;
  const files = new Map<number, OpenFile>();
  let lastHandle = 0;

  /** Counts a request, does its work with the filesystem of now, and answers exactly once. */
  function serve<T>(
    operation: string,
    path: string,
    work: (request: Request) => Promise<Outcome<T>>,
    reply: (result: Outcome<T>) => void,
  ): void {
    ledger.count(operation);
    const ends = performance.now() + deadline;
    const run: Run = (it) => runWithin(it, Math.max(1, ends - performance.now()));
    attempt(ledger, operation, path, () =>
      work({ filesystem: current, path: fromText(path), run, ledger }),
    )
      .then(reply)
      .catch((thrown: unknown) => ledger.fault(operation, path, thrown));
  }

  const plain =
    <T>(reply: Reply<T>) =>
    (result: Outcome<T>): void =>
      result.kind === 'done' ? reply(0, result.value) : reply(resultOf(result));

  function keep(filesystem: Filesystem, attributes: Attributes): number {
    // A signed int that is not 0 is all that fuse-native carries as a handle.
    do lastHandle = lastHandle >= 0x7fffffff ? 1 : lastHandle + 1;
    while (files.has(lastHandle));
    files.set(lastHandle, { filesystem, node: attributes.node, failed: undefined });
    return lastHandle;
  }

  return {
    getattr(path, reply) {
      serve('getattr', path, getattr, plain(reply));
    },
    readlink(path, reply) {
      serve('readlink', path, readlink, plain(reply));
    },
    readdir(path, reply) {
      serve('readdir', path, readdir, plain(reply));
    },
    open(path, flags, reply) {
      const work = async (it: Request): Promise<Outcome<number>> => {
        const opened = await it.run(() => at(it, (node) => it.filesystem.open(node, flags)));
        return andThen(opened, (attributes) => done(keep(it.filesystem, attributes)));
      };
      serve('open', path, work, plain(reply));
    },
    read(path, handle, buffer, length, position, reply) {
      const file = files.get(handle);
      const work = ({ run }: Request): Promise<Outcome<number>> =>
        file === undefined
          ? Promise.resolve(failure(errno.EBADF))
          : read(file, { buffer, length, position }, run);
      serve('read', path, work, (result) =>
        reply(result.kind === 'done' ? result.value : resultOf(result)),
      );
    },
    release(_path, handle, reply) {
      ledger.count('release');
      files.delete(handle);
      reply(0);
    },
    statfs(path, reply) {
      const work = ({ filesystem }: Request) =>
        Promise.resolve(done(nativeStatfs(filesystem.statfs())));
      serve('statfs', path, work, plain(reply));
    },
    getxattr(path, name, reply) {
      const work = (it: Request): Promise<Outcome<Buffer>> =>
        it.run(() => at(it, (node) => it.filesystem.getxattr(node, fromText(name))));
      serve('getxattr', path, work, plain(reply));
    },
    listxattr(path, reply) {
      serve('listxattr', path, listxattr, plain(reply));
    },
    replace(filesystem) {
      current = filesystem;
    },
  };
}

/** One request while it is being served. */
interface Request {
  readonly filesystem: Filesystem;
  readonly path: ByteString;
  readonly run: Run;
  readonly ledger: Ledger;
}

interface OpenFile {
  readonly filesystem: Filesystem;
  readonly node: NodeId;
  /** The last read that failed because of its data, until when that stands. */
  failed: { readonly until: number; readonly failure: Failure } | undefined;
}

async function attempt<T>(
  ledger: Ledger,
  operation: string,
  path: string,
  work: () => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  try {
    const result = await work();
    if (result.kind === 'failure') ledger.failure(operation, path, result);
    return result;
  } catch (thrown) {
    ledger.fault(operation, path, thrown);
    return failure(errno.EIO);
  }
}

/** A miss that is left here is one that nobody would fetch: EIO. */
function resultOf(result: Exclude<Outcome<unknown>, Done<unknown>>): number {
  return nativeErrno(result.kind === 'failure' ? result.errno : errno.EIO);
}

function at<T>(request: Request, operation: (node: NodeId) => Outcome<T>): Outcome<T> {
  return andThen(request.filesystem.resolve(request.path), ({ node }) => operation(node));
}

async function getattr({ filesystem, path, run, ledger }: Request): Promise<Outcome<NativeStat>> {
  return andThen(await run(() => filesystem.resolve(path)), (attributes) => {
    if (!carriesTime(attributes)) ledger.notCarried();
    return done(nativeStat(attributes));
  });
}

async function readlink(request: Request): Promise<Outcome<string>> {
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
async function readdir({
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

interface ReadRequest {
  readonly buffer: Buffer;
  readonly length: number;
  readonly position: number;
}

async function read(
  file: OpenFile,
  { buffer, length, position }: ReadRequest,
  run: Run,
): Promise<Outcome<number>> {
  const { failed, filesystem, node } = file;
  if (failed !== undefined && performance.now() < failed.until) return failed.failure;
  let answered = false;
  const result = await run(() =>
    // The buffer is libfuse's, and gone once this has been answered.
    answered ? failure(errno.EIO) : filesystem.read(node, position, length, buffer, 0),
  );
  answered = true;
  if (result.kind === 'failure' && result.error !== undefined) {
    file.failed = { until: performance.now() + failureMemory, failure: { ...result } };
  }
  return result;
}

/** Names as listxattr(2) gives them: each with a NUL behind it. */
async function listxattr(request: Request): Promise<Outcome<Buffer>> {
  const { filesystem, run } = request;
  const names = await run(() => at(request, (node) => filesystem.listxattr(node)));
  return andThen(names, (list) =>
    done(Buffer.from(list.map((name) => `${name}\0`).join(''), 'latin1')),
  );
}
