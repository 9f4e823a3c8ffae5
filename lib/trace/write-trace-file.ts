import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  readSync,
  write,
  writeSync,
} from 'node:fs';
import { promisify } from 'node:util';
import { deflate } from 'node:zlib';
import { PinfsError } from '../format/errors.js';
import { isTrusted } from '../files/owners.js';
import { linkProblem } from '../files/way.js';
import { blockDeflation, blockKinds, encodeBlockHead, encodeEndBlock } from './blocks.js';
import { encodeTraceHeader, traceMark } from './header.js';
import type { TraceHeader } from './trace.js';

/** A trace that is being written. */
export interface TraceFile {
  /** Adds records of an encoder, in the background. After a fault it does nothing. */
  add(records: Uint8Array, accesses: number): void;
  /** Writes what is left and the end. Never rejects. */
  end(): Promise<void>;
  readonly accesses: number;
  /** Bytes of the file. */
  readonly bytes: number;
}

// More waits for a disk only if it is much too slow (bytes of records).
const pendingBytesMax = 16 * 1024 * 1024;

const deflateAsync = promisify<Uint8Array, object, Buffer>(deflate);
const writeAsync = promisify(write);

/**
 * Begins a trace in a file: a new one, or in the place of another trace of ours; what is none is left alone.
 * @param failed told once, when nothing more can be written (a full disk); what was written is a whole trace.
 * @throws PinfsError USAGE for another file, or one that others could have put there; errors of the file system.
 */
export function openTraceFile(
  path: string,
  header: TraceHeader,
  failed: (reason: unknown) => void,
): TraceFile {
  const file = beginFile(path, header);
  let accesses = 0;
  let pending = 0;
  let isOver = false;
  let turn: Promise<void> = Promise.resolve();

  function giveUp(reason: unknown): void {
    if (isOver) return;
    isOver = true;
    failed(reason);
  }

  async function addNow(records: Uint8Array, count: number): Promise<void> {
    pending -= records.length;
    if (isOver) return;
    try {
      const stored = await deflateAsync(records, blockDeflation);
      const head = encodeBlockHead(blockKinds.accesses, stored.length, records.length);
      await append(file, Buffer.concat([head, stored]));
      accesses += count;
    } catch (thrown) {
      giveUp(thrown);
    }
  }

  return {
    get accesses() {
      return accesses;
    },
    get bytes() {
      return file.bytes;
    },
    add(records, count) {
      if (isOver) return;
      pending += records.length;
      if (pending > pendingBytesMax) {
        giveUp(new Error(`more than ${pendingBytesMax} bytes wait for its disk`));
        return;
      }
      turn = turn.then(() => addNow(records, count));
    },
    async end() {
      await turn;
      if (!isOver) await append(file, encodeEndBlock()).catch(giveUp);
      isOver = true;
      closeSync(file.fd);
    },
  };
}

/** What is written of a file: whole pieces alone. */
interface BegunFile {
  readonly fd: number;
  bytes: number;
}

function beginFile(path: string, header: TraceHeader): BegunFile {
  const fd = openForTrace(path);
  const head = encodeTraceHeader(header);
  try {
    writeSync(fd, head, 0, head.length, 0);
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
  return { fd, bytes: head.length };
}

async function append(file: BegunFile, piece: Buffer): Promise<void> {
  try {
    for (let done = 0; done < piece.length;) {
      const rest = piece.length - done;
      const { bytesWritten } = await writeAsync(file.fd, piece, done, rest, file.bytes + done);
      done += bytesWritten;
    }
  } catch (thrown) {
    cutTo(file.fd, file.bytes);
    throw thrown;
  }
  file.bytes += piece.length;
}

function cutTo(fd: number, bytes: number): void {
  try {
    ftruncateSync(fd, bytes);
  } catch {
    return;
  }
}

/** @throws PinfsError USAGE, errors of the file system. */
function openForTrace(path: string): number {
  const refused = (why: string): PinfsError =>
    new PinfsError('USAGE', `no trace can be written to ${path}: ${why}`);
  const link = linkProblem(path);
  if (link !== undefined) throw refused(link);
  const { O_RDWR, O_CREAT, O_NONBLOCK, O_NOCTTY, O_NOFOLLOW } = constants;
  const fd = openSync(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW, 0o600);
  try {
    const status = fstatSync(fd);
    if (!status.isFile()) throw refused('it is no file');
    if (!isTrusted(status)) throw refused(`it belongs to another user (uid ${status.uid})`);
    if (status.nlink > 1) throw refused('it has another name as well');
    const mark = Buffer.alloc(traceMark.length);
    readSync(fd, mark, 0, mark.length, 0);
    if (status.size > 0 && !mark.equals(traceMark)) throw refused('it is there, and is no trace');
    ftruncateSync(fd);
    return fd;
  } catch (thrown) {
    closeSync(fd);
    throw thrown;
  }
}
