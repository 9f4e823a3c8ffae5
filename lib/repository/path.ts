import { errno, errnoWords } from '../format/errno.js';
import { asPinfsError, PinfsError, type ErrorCode } from '../format/errors.js';
import { printable, type ByteString } from '../format/bytes.js';
import type { Attributes } from '../filesystem/filesystem.js';
import type { Failure, Outcome } from '../store/want.js';
import type { Repository } from './repository.js';

/** As many as Linux follows (path_resolution(7)). */
const symlinkLimit = 40;

/** The value of an operation, or an error that names the path. @throws PinfsError */
export async function valueOf<T>(
  repository: Repository,
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

/**
 * Walks a path as the kernel would on a mount: `.` and `..`, and symlinks as long as they stay inside
 * the repository (`/cvmfs/<fqrn>/…` counts as inside).
 * @throws PinfsError NOT_FOUND, NOT_DIRECTORY, LINK_LOOP, ACCESS_DENIED, or what the objects on the way are damaged by.
 */
export async function walk(
  repository: Repository,
  path: ByteString,
  followLast: boolean,
): Promise<Attributes> {
  const { filesystem } = repository;
  const walked = {
    stack: [await valueOf(repository, '', () => filesystem.getattr(filesystem.root))],
  };
  const rest = components(path);
  let links = 0;
  while (rest.length > 0) {
    const name = rest.shift() ?? '';
    const here = walked.stack.at(-1);
    if (here === undefined) throw new PinfsError('INTERNAL', 'the walk left the root');
    if (name === '..') {
      if (walked.stack.length > 1) walked.stack.pop();
      continue;
    }
    const entryPath = `${here.entry.path}/${name}`;
    const found = await valueOf(repository, entryPath, () => filesystem.lookup(here.node, name));
    if (found.entry.type !== 'symlink' || (rest.length === 0 && !followLast)) {
      walked.stack.push(found);
      continue;
    }
    links += 1;
    if (links > symlinkLimit) throw failureError({ kind: 'failure', errno: errno.ELOOP }, path);
    const target = await valueOf(repository, entryPath, () => filesystem.readlink(found.node));
    if (target.startsWith('/')) walked.stack.length = 1;
    rest.unshift(...components(insideTarget(repository.fqrn, entryPath, target)));
  }
  const last = walked.stack.at(-1);
  if (last === undefined) throw new PinfsError('INTERNAL', 'the walk left the root');
  return last;
}

function components(path: ByteString): ByteString[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function insideTarget(fqrn: string, from: ByteString, target: ByteString): ByteString {
  if (!target.startsWith('/')) return target;
  const prefix = `/cvmfs/${fqrn}`;
  if (target === prefix) return '';
  if (target.startsWith(`${prefix}/`)) return target.slice(prefix.length);
  throw new PinfsError(
    'NOT_FOUND',
    `${printable(from)} is a link to ${printable(target)}, which lies outside the repository`,
  );
}

/** Entries of a directory, page by page. */
export async function* list(
  repository: Repository,
  directory: Attributes,
): AsyncGenerator<Attributes> {
  let after = 2; // behind `.` and `..`
  for (;;) {
    const from = after;
    const page = await valueOf(repository, directory.entry.path, () =>
      repository.filesystem.readdir(directory.node, from, listPage),
    );
    yield* page.attributes;
    const last = page.cookies.at(-1);
    if (page.end || last === undefined) return;
    after = last;
  }
}

const listPage = 1000;

/** The bytes of a file from `offset`, at most `length` of them, in pieces. */
export async function* readRange(
  repository: Repository,
  file: Attributes,
  offset = 0,
  length = Number.MAX_SAFE_INTEGER,
): AsyncGenerator<Buffer> {
  await valueOf(repository, file.entry.path, () => repository.filesystem.open(file.node, 0));
  let position = offset;
  const end = Math.min(file.size, offset + length);
  while (position < end) {
    const piece = Buffer.allocUnsafe(Math.min(readPiece, end - position));
    const at = position;
    const count = await valueOf(repository, file.entry.path, () =>
      repository.filesystem.read(file.node, at, piece.length, piece, 0),
    );
    if (count === 0) return;
    yield piece.subarray(0, count);
    position += count;
  }
}

const readPiece = 1024 * 1024;
