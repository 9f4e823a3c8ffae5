import { createHash } from 'node:crypto';
import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { makeDirectory } from '../../files/make.js';
import { hasherOf } from '../../format/hash.js';
import { withFiles } from '../../machine/file-budget.js';
import { unlinkIfThere } from './object-files.js';
import { NoRoom } from './full.js';
import { checkHash, checkPlain, unpack, unpackPieces } from '../inflate.js';
import { compressions } from '../../format/compression.js';
import { isFull } from './room.js';
import { piecesOf, sizeOfStored, type Stored } from './stored.js';
import type { Want } from '../want.js';
import { errorCode } from '../../format/errno.js';

/** An object that was verified and written to a new file. */
export interface Plain {
  readonly size: number;
  readonly sha256: Buffer;
}

/**
 * Verifies stored bytes and writes the plain ones to a new file, unless that would fill the disk. No
 * fsync: see `stampOf`.
 * @throws PinfsError as unpack; NoRoom; errors of the file system as Node gives them. No file is left then.
 */
export function prepareObject(stored: Buffer, want: Want, temporary: string): Plain {
  const plain = unpack(stored, want);
  writeFile(temporary, plain.length, (write) => write(plain));
  return { size: plain.length, sha256: createHash('sha256').update(plain).digest() };
}

/** As `prepareObject`, in pieces, for what is too large to be held in memory. */
export async function prepareLarge(stored: Stored, want: Want, temporary: string): Promise<Plain> {
  const hasher = hasherOf(want.object.hash.algorithm);
  const plainHasher = createHash('sha256');
  const { codec } = compressions[want.compression];
  for (const piece of piecesOf(stored)) {
    hasher.update(piece);
    if (codec === undefined) plainHasher.update(piece);
  }
  const size = sizeOfStored(stored);
  checkHash(hasher.digest(), size, want);
  if (codec === undefined) {
    checkPlain(size, want);
    if (!takeOver(stored, temporary)) {
      writeFile(temporary, size, (write) => {
        for (const piece of piecesOf(stored)) write(piece);
      });
    }
    return { size, sha256: plainHasher.digest() };
  }
  checkPlain(undefined, want);
  const unpackTo = (take: (piece: Buffer) => void): Promise<number> =>
    unpackPieces(stored, codec, want, take);
  const { kind, bytes } = want.size;
  try {
    return await writeAsItComes(temporary, kind === 'exact' ? bytes : 0, unpackTo);
  } catch (thrown) {
    if (kind === 'exact' || !(thrown instanceof NoRoom)) throw thrown;
    // Room is made once: nobody said for how much, so it is counted.
    throw new NoRoom(await unpackTo(() => undefined), thrown.unmeasured);
  }
}

/** @param bytes that are expected, where that is known. */
async function writeAsItComes(
  path: string,
  bytes: number,
  unpackTo: (take: (piece: Buffer) => void) => Promise<number>,
): Promise<Plain> {
  const hasher = createHash('sha256');
  const file = newFile(path, bytes);
  try {
    const size = await unpackTo((piece) => {
      hasher.update(piece);
      file.write(piece);
    });
    return { size, sha256: hasher.digest() };
  } catch (thrown) {
    file.drop();
    throw thrown;
  } finally {
    file.close();
  }
}

/** What is stored as it is needs no copy where it lies on the same disk; it is still read by its descriptor. */
function takeOver(stored: Stored, temporary: string): boolean {
  if (Buffer.isBuffer(stored)) return false;
  try {
    renameSync(stored.path, temporary);
    return true;
  } catch {
    // On another disk, or taken over before.
    return false;
  }
}

function writeFile(
  path: string,
  bytes: number,
  work: (write: (piece: Buffer) => void) => void,
): void {
  const file = newFile(path, bytes);
  try {
    work(file.write);
  } catch (thrown) {
    file.drop();
    throw thrown;
  } finally {
    file.close();
  }
}

/** @param bytes that are expected, where that is known. */
function newFile(path: string, bytes: number) {
  const directory = dirname(path);
  // Found out before writing: a large object would take the last room from others until it fails.
  if (isFull(directory, bytes)) throw new NoRoom(bytes, false);
  const fd = asNoRoom(bytes, () => withFiles(() => openNew(path)));
  let written = 0;
  return {
    write: (piece: Buffer): void => {
      const isMore = written + piece.length > bytes;
      if (isMore && isFull(directory, piece.length))
        throw new NoRoom(written + piece.length, false);
      asNoRoom(Math.max(bytes, written + piece.length), () => {
        for (let done = 0; done < piece.length;) done += writeSync(fd, piece, done);
      });
      written += piece.length;
    },
    drop: (): void => void unlinkIfThere(path),
    close: (): void => closeSync(fd),
  };
}

function asNoRoom<T>(bytes: number, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    const code = errorCode(thrown);
    throw code === 'ENOSPC' || code === 'EDQUOT' ? new NoRoom(bytes, true) : thrown;
  }
}

function openNew(file: string): number {
  try {
    return openSync(file, 'wx', 0o444);
  } catch (thrown) {
    if (errorCode(thrown) !== 'ENOENT') throw thrown;
    // Someone emptied the cache below us.
    makeDirectory(dirname(file));
    return openSync(file, 'wx', 0o444);
  }
}
