import { encodeBlock, encodeEndBlock } from './blocks.js';
import { openTraceEncoder } from './encoder.js';
import { encodeTraceHeader } from './header.js';
import type { Access, TraceHeader } from './trace.js';

/** Bytes of records after which a block is made of them. */
export const blockBytesWanted = 64 * 1024;

/** What is known of an object beside its accesses. */
export interface StoredSizes {
  /** Bytes as they travel, by the object's text; undefined: not known. */
  readonly get: (object: string) => number | undefined;
}

/** The pieces of a trace's file, from accesses in the order of their times. */
export function* encodeTrace(
  header: TraceHeader,
  accesses: Iterable<Access>,
  storedSizes: StoredSizes = new Map(),
): Generator<Buffer> {
  yield encodeTraceHeader(header);
  const encoder = openTraceEncoder();
  for (const access of accesses) {
    const stored = storedSizes.get(access.object);
    if (stored !== undefined) encoder.storedSize(access.object, stored);
    encoder.access(access);
    if (encoder.pendingBytes >= blockBytesWanted) yield encodeBlock(encoder.take());
  }
  if (encoder.pendingBytes > 0) yield encodeBlock(encoder.take());
  yield encodeEndBlock();
}
