import { errno, errnoWords } from '../../format/errno.js';
import { asPinfsError, PinfsError, type ErrorCode } from '../../format/errors.js';
import { printable, type ByteString } from '../../format/bytes.js';
import type { Entry } from '../../tree/entry.js';
import type { Failure, Outcome } from '../../store/want.js';
import type { Repository } from '../repository.js';

/** As many as Linux follows (path_resolution(7)). */
const linksMax = 40;

/** The value of an operation, or an error that names the path. @throws PinfsError */
export async function valueOf<T>(
  repository: Pick<Repository, 'run'>,
  path: ByteString,
  operation: () => Outcome<T>,
  signal?: AbortSignal,
): Promise<T> {
  const outcome = await repository.run(operation, signal);
  if (outcome.kind === 'done') return outcome.value;
  throw failureError(outcome, path);
}

const codes: ReadonlyMap<number, ErrorCode> = new Map<number, ErrorCode>([
  [errno.EACCES, 'ACCESS_DENIED'],
  [errno.EISDIR, 'IS_DIRECTORY'],
  [errno.ENOTDIR, 'NOT_DIRECTORY'],
  [errno.ELOOP, 'LINK_LOOP'],
]);

export function failureError(failure: Failure, path: ByteString): PinfsError {
  const shown = path === '' ? '/' : printable(path);
  if (failure.error !== undefined) {
    const cause = asPinfsError(failure.error);
    const advice = cause.advice === undefined ? {} : { advice: cause.advice };
    return new PinfsError(cause.code, `${shown}: ${cause.message}`, { cause, ...advice });
  }
  const code = codes.get(failure.errno) ?? 'NOT_FOUND';
  return new PinfsError(code, `${shown}: ${errnoWords(failure.errno)}`);
}

/** A symlink on the way. */
interface Link {
  readonly path: ByteString;
  readonly target: ByteString;
}

/** A name of a path that is to be walked, and the link that it comes from; none: the user gave it. */
interface Step {
  readonly name: ByteString;
  readonly link: Link | undefined;
}

/**
 * Walks a path as the kernel would on a mount: `.` and `..`, and symlinks as long as they stay inside
 * the repository (`/cvmfs/<fqrn>/…` counts as inside). Above the root a `..` that was given stays at
 * the root, as everywhere; one of a link would leave the mount, and show something else there.
 * @throws PinfsError NOT_FOUND, NOT_DIRECTORY, LINK_LOOP, ACCESS_DENIED, or what the objects on the way are damaged by.
 */
export async function walk(
  repository: Repository,
  path: ByteString,
  followLast: boolean,
): Promise<Entry> {
  const { filesystem } = repository;
  const stack = [await valueOf(repository, '', () => filesystem.getattr(filesystem.root))];
  const rest = steps(path, undefined);
  let links = 0;
  for (let step = rest.shift(); step !== undefined; step = rest.shift()) {
    const { name, link } = step;
    if (name === '..') {
      if (stack.length > 1) stack.pop();
      else if (link !== undefined) throw outside(link);
      continue;
    }
    const here = last(stack);
    const entryPath = `${here.path}/${name}`;
    const found = await valueOf(repository, entryPath, () => filesystem.lookup(here.node, name));
    if (found.type !== 'symlink' || (rest.length === 0 && !followLast)) {
      stack.push(found);
      continue;
    }
    links += 1;
    if (links > linksMax) throw failureError({ kind: 'failure', errno: errno.ELOOP }, path);
    const target = await valueOf(repository, entryPath, () => filesystem.readlink(found.node));
    if (target.startsWith('/')) stack.length = 1;
    rest.unshift(...linkSteps(repository.fqrn, { path: entryPath, target }));
  }
  return last(stack);
}

function last(stack: readonly Entry[]): Entry {
  const top = stack.at(-1);
  if (top === undefined) throw new PinfsError('INTERNAL', 'the walk left the root');
  return top;
}

function steps(path: ByteString, link: Link | undefined): Step[] {
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  return names.map((name) => ({ name, link }));
}

/** @throws PinfsError NOT_FOUND */
function linkSteps(fqrn: string, link: Link): Step[] {
  const { target } = link;
  if (!target.startsWith('/')) return steps(target, link);
  const prefix = `/cvmfs/${fqrn}`;
  if (target !== prefix && !target.startsWith(`${prefix}/`)) throw outside(link);
  return steps(target.slice(prefix.length), link);
}

function outside({ path, target }: Link): PinfsError {
  return new PinfsError(
    'NOT_FOUND',
    `${printable(path)} is a link to ${printable(target)}, which lies outside the repository`,
  );
}

/** Entries of a directory, page by page. */
export async function* list(repository: Repository, directory: Entry): AsyncGenerator<Entry> {
  let after = 2; // behind `.` and `..`
  for (;;) {
    const from = after;
    const page = await valueOf(repository, directory.path, () =>
      repository.filesystem.readdir(directory.node, from, pageEntriesMax),
    );
    yield* page.attributes;
    const last = page.cookies.at(-1);
    if (page.end || last === undefined) return;
    after = last;
  }
}

const pageEntriesMax = 1000;

/** The bytes of a file from `offset`, at most `length` of them, in pieces. */
export async function* readRange(
  repository: Repository,
  file: Entry,
  offset = 0,
  length = Number.MAX_SAFE_INTEGER,
): AsyncGenerator<Buffer> {
  await valueOf(repository, file.path, () => repository.filesystem.open(file.node, 0));
  let position = offset;
  const end = Math.min(file.size, offset + length);
  while (position < end) {
    const piece = Buffer.allocUnsafe(Math.min(pieceBytes, end - position));
    const at = position;
    const count = await valueOf(repository, file.path, () =>
      repository.filesystem.read(file.node, at, piece.length, piece, 0),
    );
    if (count === 0) return;
    yield piece.subarray(0, count);
    position += count;
  }
}

const pieceBytes = 1024 * 1024;
