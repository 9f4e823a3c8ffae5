import { constants, realpathSync, statSync } from 'node:fs';
import { open, readlink, realpath, stat, type FileHandle } from 'node:fs/promises';
import { sep } from 'node:path';
import { errorCode, errorReason } from '../format/errno.js';
import { machineFault, PinfsError } from '../format/errors.js';
import { fromBytes, fromText, printable, toBytes, type ByteString } from '../format/bytes.js';
import { pathComponents } from './path.js';
import type { Sink } from './sink.js';
import type { Source, SourceRequest, Traffic } from './source.js';

/**
 * A repository that lies in a directory of this machine. Symbolic links are followed wherever they lead: parts
 * of it may lie on another disk, and what comes is verified like everything else.
 * @throws PinfsError SOURCE_UNREACHABLE if there is no such directory.
 */
export function directorySource(path: string): Source {
  const label = printable(fromText(path));
  const root = realRoot(path, label);
  const traffic: Traffic = { requests: 0, bytes: 0, failures: 0 };
  let closed = false;

  async function read(
    file: ByteString,
    limit: number,
    { range, sink }: SourceRequest,
  ): Promise<Buffer> {
    const shown = `${label}/${printable(file)}`;
    let handle: FileHandle | undefined;
    try {
      handle = await openBelow(root, file, shown, 'all');
      const status = await handle.stat();
      if (!status.isFile()) throw new PinfsError('OBJECT_MISSING', `${shown} is not a file`);
      if (range === undefined) {
        if (status.size > limit) throw tooLarge(shown, limit);
        if (sink !== undefined) {
          const size = await readInto(sink, handle, 0, status.size + 1);
          traffic.bytes += size;
          if (size > limit) throw tooLarge(shown, limit);
          return Buffer.alloc(0);
        }
        const bytes = await readUpTo(handle, 0, Math.min(status.size, limit) + 1);
        // It may have grown since.
        if (bytes.length > limit) throw tooLarge(shown, limit);
        return bytes;
      }
      if (range.length > limit) throw tooLarge(shown, limit);
      if (sink !== undefined) {
        const size = await readInto(sink, handle, range.offset, range.length);
        traffic.bytes += size;
        if (size === range.length) return Buffer.alloc(0);
      } else {
        const bytes = await readUpTo(handle, range.offset, range.length);
        if (bytes.length === range.length) return bytes;
      }
      const text = `${shown} ends before byte ${range.offset + range.length}`;
      throw new PinfsError('OBJECT_SIZE_MISMATCH', text);
    } catch (thrown) {
      throw await described(thrown, root, file, shown);
    } finally {
      await handle?.close();
    }
  }

  return {
    label,
    traffic,
    async get(file, limit, request = {}) {
      if (closed) throw new PinfsError('INTERRUPTED', 'the source was closed');
      pathComponents(file);
      traffic.requests++;
      try {
        const bytes = await unlessAborted(read(file, limit, request), request.signal, label);
        traffic.bytes += bytes.length;
        return bytes;
      } catch (thrown) {
        if (!(thrown instanceof PinfsError && thrown.code === 'OBJECT_MISSING')) traffic.failures++;
        throw thrown;
      }
    },
    close() {
      closed = true;
      return Promise.resolve();
    },
  };
}

// What is read of a file at once for a sink.
const pieceBytes = 256 * 1024;

function realRoot(path: string, label: string): Buffer {
  try {
    if (statSync(path).isDirectory()) return realpathSync(path, 'buffer');
  } catch {
    // Said below.
  }
  throw new PinfsError('SOURCE_UNREACHABLE', `${label}: there is no such directory`, {
    advice: 'A source is a URL that begins with http:// or https://, or a directory.',
  });
}

/** Which symbolic links are followed: those that stay inside of the directory, or all. */
export type Links = 'inside' | 'all';

/**
 * Opens a regular file below `root` (bytes: names need not be UTF-8). The caller looks at what it got: the
 * file may have become another one.
 */
export async function openBelow(
  root: Buffer,
  path: ByteString,
  shown: string,
  links: Links,
): Promise<FileHandle> {
  const wanted = Buffer.concat([root, toBytes(`/${pathComponents(path).join('/')}`)]);
  const real = links === 'all' ? wanted : await realInside(root, wanted, shown);
  // Opening a device may do something, and a socket can't be opened.
  if (!(await stat(real)).isFile())
    throw new PinfsError('OBJECT_MISSING', `${shown} is not a file`);
  // A fifo would otherwise wait for its writer.
  const { O_RDONLY, O_NONBLOCK, O_NOFOLLOW } = constants;
  return open(real, O_RDONLY | O_NONBLOCK | (links === 'all' ? 0 : O_NOFOLLOW));
}

/** Where a file really is. @throws PinfsError OBJECT_MISSING where that is not below `root`. */
async function realInside(root: Buffer, wanted: Buffer, shown: string): Promise<Buffer> {
  const real = await realpath(wanted, 'buffer');
  const inside = Buffer.concat([root, toBytes(sep)]);
  const within = root.equals(toBytes('/')) || real.subarray(0, inside.length).equals(inside);
  if (!within) throw new PinfsError('OBJECT_MISSING', `${shown} leads out of the directory`);
  return real;
}

/**
 * A link on the way to an object that leads nowhere, as to a disk that is not mounted; undefined: there is none.
 * Alternative paths (docs/format.md, 3.7) are links that may well be broken: there is another path then.
 */
async function brokenLink(root: Buffer, path: ByteString): Promise<string | undefined> {
  if (!path.startsWith('data/')) return undefined;
  let place: Buffer = root;
  for (const part of pathComponents(path)) {
    place = Buffer.concat([place, toBytes(`/${part}`)]);
    const target = await readlink(place, 'buffer').catch(() => undefined);
    if (target === undefined) continue;
    const isThere = await stat(place).then(
      () => true,
      (thrown: unknown) => errorCode(thrown) !== 'ENOENT',
    );
    if (!isThere) return `${printable(fromBytes(place))} leads to ${printable(fromBytes(target))}`;
  }
  return undefined;
}

async function readUpTo(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return bytes.subarray(0, filled);
}

/** @returns how many bytes there were. */
async function readInto(
  sink: Sink,
  handle: FileHandle,
  offset: number,
  length: number,
): Promise<number> {
  sink.begin();
  const piece = Buffer.allocUnsafe(Math.min(length, pieceBytes));
  let done = 0;
  while (done < length) {
    const most = Math.min(piece.length, length - done);
    const { bytesRead } = await handle.read(piece, 0, most, offset + done);
    if (bytesRead === 0) break;
    sink.write(piece.subarray(0, bytesRead));
    done += bytesRead;
  }
  return done;
}

function tooLarge(shown: string, limit: number): PinfsError {
  return new PinfsError('OBJECT_TOO_LARGE', `${shown} is larger than the ${limit} bytes expected`);
}

const missing = new Set(['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ELOOP']);

async function described(
  thrown: unknown,
  root: Buffer,
  path: ByteString,
  shown: string,
): Promise<PinfsError> {
  if (thrown instanceof PinfsError) return thrown;
  const fault = machineFault(thrown);
  if (fault !== undefined) return fault;
  const name = errorReason(thrown);
  if (missing.has(name)) {
    const rootIsThere = await stat(root).then(
      () => true,
      () => false,
    );
    const broken = rootIsThere ? await brokenLink(root, path) : undefined;
    if (broken !== undefined)
      return new PinfsError('SOURCE_UNREACHABLE', `${shown}: ${broken}, which is not there`, {
        advice: 'Is the disk that it leads to mounted?',
      });
    if (rootIsThere) return new PinfsError('OBJECT_MISSING', `${shown} is not there`);
    return new PinfsError('SOURCE_UNREACHABLE', `${shown}: the directory of the source is gone`);
  }
  return new PinfsError('SOURCE_UNREACHABLE', `${shown} can't be read: ${name}`, { cause: thrown });
}

/** A file system may hang (a dead NFS server): whoever waits is let go, the call is left behind. */
async function unlessAborted(
  reading: Promise<Buffer>,
  signal: AbortSignal | undefined,
  label: string,
): Promise<Buffer> {
  if (signal === undefined) return reading;
  reading.catch(() => undefined);
  let interrupt = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    interrupt = (): void => reject(new PinfsError('INTERRUPTED', `${label}: interrupted`));
  });
  signal.addEventListener('abort', interrupt);
  if (signal.aborted) interrupt();
  try {
    return await Promise.race([aborted, reading]);
  } finally {
    signal.removeEventListener('abort', interrupt);
  }
}
