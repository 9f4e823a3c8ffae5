import { closeSync, readSync } from 'node:fs';
import { openGiven } from '../files/given.js';
import { openTraceDecoder } from './decoder.js';
import type { Trace } from './trace.js';

const pieceBytes = 256 * 1024;

export interface TraceReading {
  /** `requests`: of each access only time, object, operation, level and offset; the other columns are empty. */
  readonly columns?: 'all' | 'requests';
  /** Reads no further once it has so many accesses; there may be some more. */
  readonly accessesMax?: number | undefined;
  /** Told now and then how many bytes of the file were read, of how many. */
  readonly progress?: (done: number, total: number) => void;
}

/**
 * Reads the trace in a file that somebody named.
 * @throws PinfsError NOT_A_TRACE, TRACE_VERSION, TRACE_DAMAGED; Error of what is no regular file; errors of the
 *   file system.
 */
export function readTraceFile(
  path: string,
  { columns, accessesMax = Infinity, progress }: TraceReading = {},
): Trace {
  const { fd, status } = openGiven(path);
  try {
    const decoder = openTraceDecoder(columns);
    let done = 0;
    for (;;) {
      // Of its own each time: what is left of a piece stays with the decoder.
      const piece = Buffer.allocUnsafeSlow(pieceBytes);
      const count = readSync(fd, piece, 0, pieceBytes, done);
      if (count === 0 || decoder.accessCount >= accessesMax) return decoder.finish();
      decoder.push(piece.subarray(0, count));
      done += count;
      progress?.(done, status.size);
    }
  } finally {
    closeSync(fd);
  }
}
