import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { errorCode } from '../../format/errno.js';
import { objectPath, type ContentHash, type ObjectKind } from '../../format/hash.js';

/* Objects that a thread puts into a directory itself: handed to the main thread they would cost it more than they cost here. */

/** Where an object goes. */
export interface ObjectPlace {
  readonly kind: ObjectKind;
  /** The directory of the storage. */
  readonly root: string;
}

/** An object that is in its place. */
export interface PlacedObject {
  /** It was not there before. */
  readonly isNew: boolean;
  /** As it is stored (bytes). */
  readonly size: number;
}

/** The object could not be put in its place. */
export class Unwritable extends Error {
  readonly code: string | undefined;
  constructor(thrown: unknown) {
    super(thrown instanceof Error ? thrown.message : String(thrown));
    this.code = errorCode(thrown);
  }
}

/**
 * Gives an object its name, whole or not at all; one that is there already stays.
 * @param temporary a path of its own on the same file system
 * @throws Unwritable
 */
export function placeObject(
  packed: Uint8Array | { readonly file: string; readonly size: number },
  hash: ContentHash,
  { kind, root }: ObjectPlace,
  temporary: string,
): PlacedObject {
  const target = join(root, objectPath({ hash, kind }));
  const size = packed instanceof Uint8Array ? packed.length : packed.size;
  const file = packed instanceof Uint8Array ? temporary : packed.file;
  try {
    if (statSync(target, { throwIfNoEntry: false })?.isFile() === true) {
      if (!(packed instanceof Uint8Array)) rmSync(file, { force: true });
      return { isNew: false, size };
    }
    if (packed instanceof Uint8Array) writeNew(file, packed);
    try {
      renameSync(file, target);
    } catch (thrown) {
      if (errorCode(thrown) !== 'ENOENT') throw thrown;
      mkdirSync(dirname(target), { recursive: true });
      renameSync(file, target);
    }
    return { isNew: true, size };
  } catch (thrown) {
    rmSync(file, { force: true });
    throw new Unwritable(thrown);
  }
}

function writeNew(file: string, bytes: Uint8Array): void {
  const fd = openSync(file, 'wx', 0o666);
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
  } finally {
    closeSync(fd);
  }
}
