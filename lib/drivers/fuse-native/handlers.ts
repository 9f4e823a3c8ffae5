import { performance } from 'node:perf_hooks';
import { errno } from '../../format/errno.js';
import { fromText } from '../../format/bytes.js';
import type { Filesystem } from '../../filesystem/filesystem.js';
import { beginWait, type WaitLimits, type Wait } from '../../source/wait.js';
import { done, type Done, type Failure, type Outcome, failure } from '../../store/want.js';
import { nativeErrno, nativeStatfs, type NativeStat } from './convert.js';
import {
  getattr,
  answerGetxattr,
  answerListxattr,
  answerOpen,
  answerRead,
  answerReaddir,
  readlink,
  type NativeListing,
  type OpenFiles,
  type Request,
  type Run,
} from './requests.js';
import type { DriverCounters } from '../counters.js';

/** Runs an operation, fetching what it misses, until it is done, has failed, or the wait is over. */
export type RunWithin = <T>(operation: () => Outcome<T>, wait: Wait) => Promise<Done<T> | Failure>;

/** What fuse-native is answered: 0 or a number of bytes, or a negative errno; then the value. */
type Reply<T> = (result: number, value?: T) => void;

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
  /** Requests that begin from now on see this filesystem; an open file that is another there gives ESTALE. */
  readonly replace: (filesystem: Filesystem) => void;
}

/**
 * The handlers over a filesystem. None throws or rejects: what goes wrong is answered with an errno
 * and counted. The limits are those of each request.
 */
export function makeHandlers(
  first: Filesystem,
  runWithin: RunWithin,
  limits: WaitLimits,
  counters: DriverCounters,
  isKept: (name: string) => boolean = () => false,
): Handlers {
  let current = first;
  const files: OpenFiles = new Map();

  /** Counts a request, does its work with the filesystem of now, and answers exactly once. */
  function serve<T>(
    operation: string,
    path: string,
    work: (request: Request) => Promise<Outcome<T>>,
    reply: (result: Outcome<T>) => void,
  ): void {
    counters.count(operation);
    const wait = beginWait(limits, performance.now());
    const run: Run = (it) => runWithin(it, wait);
    attempt(counters, operation, path, () =>
      work({ filesystem: current, latest: () => current, path: fromText(path), run, counters }),
    )
      .then(reply)
      .catch((thrown: unknown) => counters.fault(operation, path, thrown));
  }

  return {
    getattr: (path, reply) => serve('getattr', path, getattr, withValue(reply)),
    readlink: (path, reply) => serve('readlink', path, readlink, withValue(reply)),
    readdir: (path, reply) => serve('readdir', path, answerReaddir, withValue(reply)),
    listxattr: (path, reply) => serve('listxattr', path, answerListxattr, withValue(reply)),
    getxattr: (path, name, reply) =>
      serve(
        'getxattr',
        path,
        (request) =>
          isKept(name) ? Promise.resolve(failure(errno.ENODATA)) : answerGetxattr(request, name),
        withValue(reply),
      ),
    statfs: (path, reply) => serve('statfs', path, statfs, withValue(reply)),
    open: (path, flags, reply) =>
      serve('open', path, (request) => answerOpen(request, files, flags), withValue(reply)),
    read(path, handle, buffer, length, position, reply) {
      const file = files.get(handle);
      const work = (request: Request) => answerRead(file, { position, length }, buffer, request);
      serve('read', path, work, (result) =>
        reply(result.kind === 'done' ? result.value : resultOf(result)),
      );
    },
    release(_path, handle, reply) {
      counters.count('release');
      files.delete(handle);
      reply(0);
    },
    replace(filesystem) {
      current = filesystem;
    },
  };
}

async function attempt<T>(
  counters: DriverCounters,
  operation: string,
  path: string,
  work: () => Promise<Outcome<T>>,
): Promise<Outcome<T>> {
  try {
    const result = await work();
    if (result.kind === 'failure') counters.failure(operation, path, result);
    return result;
  } catch (thrown) {
    counters.fault(operation, path, thrown);
    return failure(errno.EIO);
  }
}

/** Answers 0 and the value, or the errno alone. */
function withValue<T>(reply: Reply<T>): (result: Outcome<T>) => void {
  return (result) => (result.kind === 'done' ? reply(0, result.value) : reply(resultOf(result)));
}

/** A miss that is left here is one that nobody would fetch: EIO. */
function resultOf(result: Exclude<Outcome<unknown>, Done<unknown>>): number {
  return nativeErrno(result.kind === 'failure' ? result.errno : errno.EIO);
}

/** Never waits for anything. */
function statfs({ filesystem }: Request): Promise<Outcome<ReturnType<typeof nativeStatfs>>> {
  return Promise.resolve(done(nativeStatfs(filesystem.statfs())));
}
