import { printable, type ByteString } from '../../format/bytes.js';
import { errorCode } from '../../format/errno.js';
import { fileFault } from '../../format/file-fault.js';
import { PinfsError, worseExit } from '../../format/errors.js';
import type { Entry } from '../../tree/entry.js';
import type { Repository } from '../repository.js';
import type { Arrivals } from './arrivals.js';
import type { CatalogsAhead } from './catalogs-ahead.js';
import type { Temporaries } from './copy-target.js';
import type { Places } from './places.js';
import type { WalkFailures } from './walk-failures.js';

/* A copy that is under way: what it knows, and what it tells. */

export interface CopyReport {
  /** All that was come to. */
  entries: number;
  /** What is no directory and is there now, whether it was copied now or before. */
  files: number;
  /** Of those: what was there already. */
  before: number;
  /** Bytes of content that were written. */
  bytes: number;
  /** Paths that could not be made here (devices, sockets, damaged files), with the reason. */
  skipped: string[];
  /** Exit code of a command that ends with this: 0, or that of the worst reason. */
  exit: number;
}

export interface CopyOptions {
  /** Told often of what is done so far. */
  readonly changed?: (report: CopyReport) => void;
  /** Its name in the destination, where that is a directory and this is not its own: that of a link which led to it. */
  readonly name?: ByteString;
  /** The content of a directory goes into the destination itself, though that is one. */
  readonly contents?: boolean;
  /** What is there and differs in size or time is replaced. */
  readonly update?: boolean;
  /** Owners and groups as they were published. */
  readonly owners?: boolean;
  /** Told once how to clean up where the process is to end before the copy does. */
  readonly began?: (abandon: () => void) => void;
}

export interface Copy {
  readonly options: CopyOptions;
  /** All is copied but for mode and times of the first directory. */
  readonly ended: () => void;
  readonly temporaries: Temporaries;
  readonly repository: Repository;
  readonly report: CopyReport;
  /** Where a name of each hard-linked file was written, by inode number; undefined: nowhere. */
  readonly links: Map<bigint, Promise<Buffer | undefined>>;
  readonly failures: WalkFailures;
  /** For files: they are copied several at once, while the walk goes on. */
  readonly places: Places;
  /** For small ones. */
  readonly arrivals: Arrivals<FileToCopy>;
  /** Small files pass through it. */
  readonly scratch: Buffer;
  /** Lets others have a turn of the event loop, from time to time. */
  readonly breath: () => Promise<void> | undefined;
  readonly ahead: CatalogsAhead;
}

/** A directory of the copy as long as something is put into it. */
export interface OpenDirectory {
  /** What is not done: the list of its entries, and those of them that are files and directories. */
  left: number;
  /** Gives it its own mode and times. */
  readonly finish: () => void;
  /** Made by this copy: nothing stands in it but what it put there. */
  readonly isNew: boolean;
  readonly above: OpenDirectory | undefined;
}

/** A regular file that the walk has come to. */
export interface FileToCopy {
  readonly source: Entry;
  readonly target: Buffer;
  /** undefined: it is what the copy began with. */
  readonly above: OpenDirectory | undefined;
}

export function skip(copy: Copy, path: ByteString, reason: PinfsError | string): void {
  const [text, exit] = typeof reason === 'string' ? [reason, 1] : [reason.message, reason.exit];
  const shown = `${printable(path) || '/'}: `;
  // Errors of reading begin with the path.
  copy.report.skipped.push(text.startsWith(shown) ? text : shown + text);
  copy.report.exit = worseExit(copy.report.exit, exit);
}

export const itDiffers = 'it exists, and differs (--update replaces it)';

// What a local file system says of an entry that it can't hold; anything else is a fault of its own.
const notHere = new Set(['EEXIST', 'EILSEQ', 'EINVAL', 'ENAMETOOLONG', 'ENOENT']);

/** Whether this machine has no place for an entry: the others may have. */
export function isNotHere(error: unknown): boolean {
  return !(error instanceof PinfsError) && notHere.has(errorCode(error) ?? '');
}

export function skipNotHere(copy: Copy, { path }: Entry, error: unknown): void {
  if (!isNotHere(error)) throw error;
  skip(copy, path, `it can't be made here: ${fileFault(error, 'write').why}`);
}

/** Something in a directory is done: a directory is finished when all in it is, and those above it after it. */
export function oneDone(directory: OpenDirectory | undefined): void {
  for (let one = directory; one !== undefined; one = one.above) {
    one.left -= 1;
    if (one.left > 0) return;
    one.finish();
  }
}
