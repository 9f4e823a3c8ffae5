import { closeSync, fdatasyncSync, fstatSync, futimesSync, readSync, writeSync } from 'node:fs';
import type { InodePlace } from '../../filesystem/snapshot-descriptor.js';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import {
  createInodeTable,
  inodeWords,
  isRootInode,
  type GivenNumber,
  type InodeCounts,
  type InodeNumbers,
  type InodeTable,
} from '../../tree/inode-table.js';
import { fileBytesMax, inodeFile, openInodeFile } from './inode-files.js';
import { decodeBatches, encodeBatches, headerBytes, padding } from './inode-records.js';

/**
 * The inode numbers of 32 bits of one snapshot: what was given to a name stays its own, over remounts. Each
 * number is written down within a moment, one that is not the lower word at once, before anybody hears of it.
 * Mounts that run at the same time take in what the others gave. Nothing is read before the first question
 * for another number than the root's. What can't be read or written is reported, and does not end a mount: the
 * numbers are then good for its own life.
 */
export interface InodeState extends InodeNumbers {
  /** Writes down what is not yet written; never throws. */
  flush(): void;
  close(): void;
  readonly status: InodeStatus;
}

export interface InodeStatus extends InodeCounts {
  /** Whether they are written down. */
  readonly kept: boolean;
}

export interface InodeOptions {
  readonly report: (error: PinfsError) => void;
  /** Told when something waits to be flushed, where nobody flushes whenever there is time. */
  readonly onPending?: () => void;
}

const pendingMax = 256;
const windowBytes = 1024 * 1024;
/** Each open says that the file is in use, and so does a mount that lasts. */
const touchIntervalMs = 3_600_000;

export function openInodeState(place: InodePlace, options: InodeOptions): InodeState {
  let loaded: Loaded | undefined;
  const load = (): Loaded => (loaded ??= loadState(place, options));
  return {
    shown(ino) {
      const [low, high] = inodeWords(ino);
      if (isRootInode(low, high)) return BigInt(low);
      const { table, pending, flush } = load();
      const number = table.numberOf(low, high);
      if (pending.length > 0 && (number !== low || pending.length >= pendingMax)) flush();
      return BigInt(number);
    },
    flush: () => loaded?.flush(),
    close: () => loaded?.close(),
    get status() {
      return loaded === undefined
        ? { seen: 0, moved: 0, kept: true }
        : { ...loaded.table.counts, kept: loaded.isKept() };
    },
  };
}

interface Loaded {
  readonly table: InodeTable;
  readonly pending: readonly GivenNumber[];
  readonly isKept: () => boolean;
  readonly flush: () => void;
  readonly close: () => void;
}

function loadState(place: InodePlace, { report, onPending }: InodeOptions): Loaded {
  const pending: GivenNumber[] = [];
  let file: OpenFile | undefined;
  const table = createInodeTable({
    onGiven: (given) => {
      if (file === undefined) return;
      pending.push(given);
      if (pending.length === 1) onPending?.();
    },
  });
  const giveUp = (thrown: unknown): void => {
    if (file !== undefined) closeSync(file.descriptor);
    file = undefined;
    pending.length = 0;
    const { message } = asPinfsError(thrown);
    report(
      new PinfsError('STATE_UNUSABLE', `inode numbers are not kept: ${message}`, {
        advice: 'Until this is mended, a remount may give other numbers to names that collide.',
        cause: thrown,
      }),
    );
  };
  try {
    file = openFile(place, table, report);
  } catch (thrown) {
    giveUp(thrown);
  }
  const flush = (): void => {
    if (file === undefined) return;
    try {
      if (pending.length > 0) append(file, table, pending.splice(0));
      touch(file);
    } catch (thrown) {
      giveUp(thrown);
    }
  };
  return {
    table,
    pending,
    isKept: () => file !== undefined,
    flush,
    close() {
      flush();
      if (file === undefined) return;
      closeDurably(file.descriptor);
      file = undefined;
    },
  };
}

function closeDurably(descriptor: number): void {
  try {
    fdatasyncSync(descriptor);
  } catch {
    // What a power cut takes then are whole batches.
  }
  closeSync(descriptor);
}

interface OpenFile {
  readonly descriptor: number;
  readonly path: string;
  /** Up to where it was read or written. */
  known: number;
  touched: number;
}

/** Opens the file of a snapshot and takes in what it says. @throws PinfsError STATE_UNUSABLE, or what the file system throws. */
function openFile(
  place: InodePlace,
  table: InodeTable,
  report: (error: PinfsError) => void,
): OpenFile {
  const { descriptor, size, isNewer } = openInodeFile(place, report);
  const path = inodeFile(place);
  try {
    const file: OpenFile = { descriptor, path, known: headerBytes, touched: 0 };
    const lost = readNumbers(file, size, table);
    // Its batches are ours, or have another head and are passed over.
    if (isNewer) {
      const text = 'was written by a later version of pinfs: it is read, and nothing is added';
      throw new PinfsError('STATE_UNUSABLE', `${path} ${text}`);
    }
    if (lost > 0) {
      const text = `the file of inode numbers ${path} has ${lost} damaged bytes, which are left out`;
      report(new PinfsError('STATE_UNUSABLE', text));
    }
    touch(file);
    return file;
  } catch (thrown) {
    closeSync(descriptor);
    throw thrown;
  }
}

/** Takes in what stands from where the file is known up to `size`. @returns the damaged bytes. */
function readNumbers(file: OpenFile, size: number, table: InodeTable): number {
  const window = Buffer.alloc(Math.min(windowBytes, Math.max(0, size - file.known)));
  let lost = 0;
  while (file.known < size) {
    const wanted = Math.min(window.length, size - file.known);
    const length = readSync(file.descriptor, window, 0, wanted, file.known);
    if (length === 0) break;
    const last = file.known + length >= size;
    const { read, damaged } = decodeBatches(window.subarray(0, length), last, (given) => {
      table.restore(given);
    });
    lost += damaged;
    file.known += read;
  }
  return lost;
}

/** Takes in first what other mounts wrote since. @throws PinfsError STATE_UNUSABLE, or what the file system throws. */
function append(file: OpenFile, table: InodeTable, given: readonly GivenNumber[]): void {
  const { size } = fstatSync(file.descriptor);
  readNumbers(file, size, table);
  const bytes = Buffer.concat([padding(size), encodeBatches(given)]);
  if (size + bytes.length > fileBytesMax)
    throw new PinfsError('STATE_UNUSABLE', `${file.path} has as much as it may hold`);
  if (writeSync(file.descriptor, bytes) < bytes.length)
    throw new PinfsError('STATE_UNUSABLE', `there is no room for ${file.path}`);
  // Where another mount wrote in between, its numbers are read the next time, and ours once more.
  if (fstatSync(file.descriptor).size === size + bytes.length) file.known = size + bytes.length;
}

function touch(file: OpenFile): void {
  const now = Date.now();
  if (now - file.touched < touchIntervalMs) return;
  file.touched = now;
  futimesSync(file.descriptor, now / 1000, now / 1000);
}
