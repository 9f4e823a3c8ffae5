import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { printableJson } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';

/* Standard output, which can end before we do: a reader such as head(1) leaves, a disk is full. */

let failure: NodeJS.ErrnoException | undefined;
/** It was thrown to somebody who tells. */
let told = false;

/** To be called once, before anything is printed: from now on a failed write ends no process. */
export function guardOutput(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    failure ??= error;
  });
  // There is nobody left to tell.
  process.stderr.on('error', () => undefined);
}

/** The reader of standard output has left: nothing to report, and nothing more to do. */
export class ReaderLeft extends Error {}

/** Lines after which the loop gets a turn, in which a failed write shows. */
const linesAtOnceMax = 256;
let lines = 0;

/**
 * Writes to standard output, and waits while its reader is behind.
 * @throws ReaderLeft; PinfsError OUTPUT_FAILED
 */
export async function print(piece: string | Buffer): Promise<void> {
  const flushed = process.stdout.write(piece);
  if (!flushed && !process.stdout.destroyed) {
    await once(process.stdout, 'drain').catch(() => undefined);
  }
  lines += 1;
  if (lines % linesAtOnceMax === 0) await turn();
  throwFailure();
}

/** Waits until everything is written; a failure that was thrown already is not told again. @throws ReaderLeft; PinfsError OUTPUT_FAILED */
export async function flushOutput(): Promise<void> {
  // A write of nothing would fail where the reader has left, though everything was read.
  if (process.stdout.writableLength > 0 && !process.stdout.destroyed) {
    await once(process.stdout, 'drain').catch(() => undefined);
  }
  await turn();
  if (!told) throwFailure();
}

function throwFailure(): void {
  if (failure === undefined) return;
  told = true;
  if (failure.code === 'EPIPE') throw new ReaderLeft();
  throw new PinfsError('OUTPUT_FAILED', `can't write the output: ${failure.message}`, {
    cause: failure,
  });
}

/** With `lines`: one value on each line. */
export function printJson(value: unknown, lines = false): void {
  process.stdout.write(`${printableJson(value, lines ? undefined : 2)}\n`);
}
