import {
  existsSync,
  mkdtempSync,
  openSync,
  closeSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compressions } from '../../format/compression.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { hashBytes, objectPath, parseHash, type ContentHash } from '../../format/hash.js';
import type { Shelf } from '../../store/shelf.js';
import { wantKey, type Done, type Failure, type Outcome, type Want } from '../../store/want.js';

/** A shelf over a directory for the time of a test, filled straight from a repository's files. */
export interface TestShelf extends Shelf {
  /** Puts an object on the shelf. @throws PinfsError OBJECT_MISSING, OBJECT_HASH_MISMATCH, OBJECT_NOT_ZLIB, OBJECT_SIZE_MISMATCH */
  provide(want: Want): void;
  /** Runs an operation, providing what it misses, until it is done or has failed. */
  run<T>(operation: () => Outcome<T>): Done<T> | Failure;
  /** The value of an operation that has to succeed. */
  must<T>(operation: () => Outcome<T>): T;
  /** Keys of what was provided, in order. */
  readonly provided: string[];
}

/** Gives the stored bytes of a file of the repository, by path below its URL; undefined: it isn't there. */
export type ReadStored = (path: string) => Buffer | undefined;

/** Reads from directories, the first that has the file; `removed` paths are nowhere. */
export function storedIn(
  directories: readonly string[],
  removed: readonly string[] = [],
): ReadStored {
  return (path) => {
    const found = directories
      .map((directory) => join(directory, path))
      .find((it) => existsSync(it));
    return found === undefined || removed.includes(path) ? undefined : readFileSync(found);
  };
}

const runsLimit = 300;

export function testShelf(read: ReadStored, external?: ReadStored): TestShelf {
  const directory = mkdtempSync(join(tmpdir(), 'pinfs-shelf-'));
  const files = new Map<string, string>();
  const provided: string[] = [];
  let lent: number | undefined;
  const giveBack = (): void => {
    if (lent !== undefined) closeSync(lent);
    lent = undefined;
  };
  const descriptor = (want: Want): number | undefined => {
    giveBack();
    const file = files.get(wantKey(want));
    return file === undefined ? undefined : (lent = openSync(file, 'r'));
  };
  const provide = (want: Want): void => {
    const plain = plainBytes(want, read, external);
    const file = join(directory, wantKey(want));
    writeFileSync(file, plain);
    files.set(wantKey(want), file);
    provided.push(wantKey(want));
  };
  const run = <T>(operation: () => Outcome<T>): Done<T> | Failure => {
    for (let turn = 0; turn < runsLimit; turn++) {
      const outcome = operation();
      if (outcome.kind !== 'miss') return outcome;
      try {
        provide(outcome.want);
      } catch (error) {
        return { kind: 'failure', errno: 5, error: asPinfsError(error) };
      }
    }
    throw new Error('an operation that never ends');
  };
  return {
    provided,
    provide,
    run,
    must: (operation) => {
      const outcome = run(operation);
      if (outcome.kind === 'done') return outcome.value;
      throw outcome.error ?? new Error(`errno ${outcome.errno}`);
    },
    has: (want) => files.has(wantKey(want)),
    path: (want) => files.get(wantKey(want)),
    descriptor,
    read: (want, position, length, target, targetOffset) => {
      const open = descriptor(want);
      return open === undefined
        ? undefined
        : readSync(open, target, targetOffset, length, position);
    },
    beginRun: () => undefined,
    close: () => {
      giveBack();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function plainBytes(want: Want, read: ReadStored, external: ReadStored | undefined): Buffer {
  const stored = storedBytes(want, read, external);
  const { hash } = want.object;
  if (hashBytes(hash.algorithm, stored).text !== hash.text)
    throw new PinfsError('OBJECT_HASH_MISMATCH', `${hash.text} does not match`);
  const plain = unpacked(stored, want);
  const fits =
    want.size.kind === 'exact' ? plain.length === want.size.bytes : plain.length <= want.size.bytes;
  if (!fits) throw new PinfsError('OBJECT_SIZE_MISMATCH', `${hash.text} has ${plain.length} bytes`);
  return plain;
}

function storedBytes(want: Want, read: ReadStored, external: ReadStored | undefined): Buffer {
  if (want.external === undefined) {
    const stored = read(objectPath(want.object));
    if (stored === undefined)
      throw new PinfsError('OBJECT_MISSING', `${want.object.hash.text} is not there`);
    return stored;
  }
  const whole = external?.(Buffer.from(want.external.path, 'latin1').toString('utf8'));
  if (whole === undefined) throw new PinfsError('OBJECT_MISSING', 'no external file');
  const { range } = want.external;
  return range === undefined ? whole : whole.subarray(range.offset, range.offset + range.length);
}

function unpacked(stored: Buffer, want: Want): Buffer {
  const found = compressions[want.compression].codec?.unpack(stored, want.size.bytes, false);
  if (found === undefined) return stored;
  if (found.kind === 'done') return found.plain;
  const code = found.kind === 'too-large' ? 'OBJECT_SIZE_MISMATCH' : 'OBJECT_NOT_ZLIB';
  throw new PinfsError(code, 'can not be inflated');
}

/** A want for a root catalog of which no size is known. */
export function rootWant(hash: ContentHash | string, bytes?: number): Want {
  const parsed = typeof hash === 'string' ? parseHash(hash) : hash;
  if (parsed === undefined) throw new Error('no hash');
  return {
    object: { hash: parsed, kind: 'catalog' },
    compression: 'zlib',
    size:
      bytes === undefined ? { kind: 'limit', bytes: 256 * 1024 * 1024 } : { kind: 'exact', bytes },
    path: '',
  };
}

/** A line of a manifest, found without checking anything. */
export function manifestLine(manifest: Buffer | undefined, letter: string): string | undefined {
  const lines = (manifest ?? Buffer.alloc(0)).toString('latin1').split('\n');
  return lines.find((line) => line.startsWith(letter))?.slice(1);
}
