import { closeSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorCode } from '../../format/errno.js';
import { PinfsError } from '../../format/errors.js';
import { withFiles } from '../../machine/file-budget.js';
import type { Sink } from '../../source/sink.js';
import type { Disk } from './disk.js';
import { DiskFull, limitReached, NoRoom } from './full.js';
import { diskFull, cacheUnusable } from './layout.js';
import { unlinkIfThere } from './object-files.js';
import { freeBytes, slackBytes } from './room.js';
import { pieceBytes, piecesOf, type Stored, type StoredFile } from './stored.js';

/** Takes what comes from a source: small answers in memory, large ones in a file among what is being written. */
export interface Staging {
  readonly sink: Sink;
  /** All that came; `rest` is what the source gave back itself. The file is there until `close`. */
  take(rest: Buffer): Stored;
  close(): void;
}

/** A place where a file can be written, as the cache or its spare. */
export type StagingPlace = Pick<
  Disk,
  'directory' | 'limit' | 'limitedByDisk' | 'temporary' | 'makeRoom'
>;

/** Answers that are no larger stay in memory (bytes). */
const inMemoryBytesMax = 256 * 1024;

/**
 * @param places in which a file may be tried, the best first; undefined: there is no further one.
 * @param trouble why the place that would be best is none of them.
 * @throws (by `sink.write`) PinfsError CACHE_FULL, CACHE_UNUSABLE: no place took it; INTERRUPTED: it was closed.
 */
export function openStaging(
  places: (index: number) => StagingPlace | undefined,
  trouble?: PinfsError,
): Staging {
  const file = new StagedFile(places, trouble);
  let chunks: Buffer[] = [];
  let inMemory = 0;
  let isClosed = false;
  const forget = (): void => {
    chunks = [];
    inMemory = 0;
  };
  const drop = (): void => {
    forget();
    file.drop();
  };
  return {
    sink: {
      begin: drop,
      write(chunk) {
        if (isClosed) throw new PinfsError('INTERRUPTED', 'nobody waits for it any more');
        inMemory += chunk.length;
        // Whoever gave it uses its memory again.
        if (file.stored === undefined && inMemory <= inMemoryBytesMax) {
          chunks.push(Buffer.from(chunk));
          return;
        }
        const before = Buffer.concat(chunks);
        forget();
        if (before.length > 0) file.append(before);
        file.append(chunk);
      },
    },
    take(rest) {
      if (file.stored === undefined) {
        return chunks.length === 0 ? rest : Buffer.concat([...chunks, rest]);
      }
      if (rest.length > 0) file.append(rest);
      return file.stored;
    },
    close() {
      isClosed = true;
      drop();
    },
  };
}

interface Staged {
  readonly place: StagingPlace;
  readonly fd: number;
  readonly path: string;
}

/** A file that is begun in another place, with all that came, where one takes no more. */
class StagedFile {
  readonly #places: (index: number) => StagingPlace | undefined;
  #trouble: PinfsError | undefined;
  #file: Staged | undefined;
  #size = 0;
  #index = 0;

  constructor(
    places: (index: number) => StagingPlace | undefined,
    trouble: PinfsError | undefined,
  ) {
    this.#places = places;
    this.#trouble = trouble;
  }

  get stored(): StoredFile | undefined {
    if (this.#file === undefined) return undefined;
    const { fd, path } = this.#file;
    return { fd, path, size: this.#size };
  }

  /** Writes at its end. */
  append(bytes: Buffer): void {
    for (let hasMadeRoom = false; ;) {
      this.#file ??= this.#openNext();
      const { place, fd, path } = this.#file;
      try {
        checkRoom(place, path, this.#size, bytes.length);
        writeAll(fd, bytes, this.#size);
        this.#size += bytes.length;
        return;
      } catch (thrown) {
        const full = noRoom(thrown, bytes.length);
        if (full === undefined) this.#moveOn(this.#file, cacheUnusable(place.directory, thrown));
        else if (!hasMadeRoom && place.makeRoom(Math.max(full.bytes, pieceBytes), full.unmeasured))
          hasMadeRoom = true;
        else this.#moveOn(this.#file, diskFull(place.directory));
      }
    }
  }

  drop(): void {
    if (this.#file !== undefined) remove(this.#file);
    this.#file = undefined;
    this.#size = 0;
  }

  #openNext(): Staged {
    for (; ; this.#index++) {
      const place = this.#places(this.#index);
      if (place === undefined)
        throw this.#trouble ?? new PinfsError('INTERNAL', 'there is no place to write to');
      try {
        const path = place.temporary();
        return { place, path, fd: withFiles(() => openSync(path, 'wx+', 0o444)) };
      } catch (thrown) {
        this.#trouble ??= cacheUnusable(place.directory, thrown);
      }
    }
  }

  /** Goes on in the next place, with what has come so far. */
  #moveOn(before: Staged, why: PinfsError): void {
    this.#trouble ??= why;
    // A limit that the user set is not gone round; that of the spare is none, and says nothing of why it is used.
    if (isLimitOfUser(why)) throw this.#trouble;
    const { fd, path } = before;
    const came = { fd, path, size: this.#size };
    this.#index++;
    this.#file = undefined;
    this.#size = 0;
    try {
      for (const piece of piecesOf(came)) this.append(piece);
    } finally {
      remove(before);
    }
  }
}

function checkRoom(place: StagingPlace, path: string, size: number, more: number): void {
  if (size + more > place.limit)
    throw limitReached(place.directory, place.limit, place.limitedByDisk);
  if (freeBytes(dirname(path)) < more + slackBytes) throw new NoRoom(more, false);
}

function isLimitOfUser(error: PinfsError): boolean {
  return error.code === 'CACHE_FULL' && !(error instanceof DiskFull);
}

function noRoom(thrown: unknown, bytes: number): NoRoom | undefined {
  if (thrown instanceof NoRoom) return thrown;
  const code = errorCode(thrown);
  return code === 'ENOSPC' || code === 'EDQUOT' ? new NoRoom(bytes, true) : undefined;
}

function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length;)
    done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

function remove({ fd, path }: Staged): void {
  closeSync(fd);
  try {
    unlinkIfThere(path);
  } catch {
    // Swept when this process has ended.
  }
}
