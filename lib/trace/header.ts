import { damagedTrace } from './byte-reader.js';
import { traceBounds } from './bounds.js';
import type { TraceHeader } from './trace.js';

/** The head of the file: a mark, a version, and what the trace says of itself (docs/trace-format.md, 1). */

export const traceMark = Buffer.from('pinfstrc', 'latin1');
export const traceVersion = 1;
/** Mark, version and length of the text. */
export const fixedHeadBytes = traceMark.length + 8;

export function encodeTraceHeader(header: TraceHeader): Buffer {
  const text = Buffer.from(JSON.stringify(header), 'utf8');
  const fixed = Buffer.alloc(fixedHeadBytes);
  traceMark.copy(fixed);
  fixed.writeUInt32LE(traceVersion, traceMark.length);
  fixed.writeUInt32LE(text.length, traceMark.length + 4);
  return Buffer.concat([fixed, text]);
}

/** @throws PinfsError TRACE_DAMAGED for a text that is no such header. */
export function decodeHeaderText(text: Buffer): TraceHeader {
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch {
    throw damagedTrace('its header is no JSON');
  }
  if (typeof value !== 'object' || value === null) throw damagedTrace('its header is no object');
  const fields = new Map(Object.entries(value));
  return {
    startedAt: numberOf(fields, 'startedAt'),
    repository: textOf(fields, 'repository'),
    rootHash: textOf(fields, 'rootHash'),
    source: textOf(fields, 'source'),
    isComplete: fields.get('isComplete') === true,
    cacheLimit: numberOf(fields, 'cacheLimit'),
    writer: textOf(fields, 'writer'),
  };
}

function numberOf(fields: ReadonlyMap<string, unknown>, name: string): number {
  const value = fields.get(name) ?? 0;
  // A time in milliseconds and a size in bytes alike.
  if (typeof value !== 'number' || !(value >= 0 && value <= Number.MAX_SAFE_INTEGER)) {
    throw damagedTrace(`${name} in its header is no number`);
  }
  return value;
}

function textOf(fields: ReadonlyMap<string, unknown>, name: string): string {
  const value = fields.get(name) ?? '';
  if (typeof value !== 'string' || value.length > traceBounds.onePathBytes) {
    throw damagedTrace(`${name} in its header is no text`);
  }
  return value;
}
