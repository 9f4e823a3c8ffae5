import { printable } from '../format/bytes.js';
import type { Access, Trace } from './trace.js';
import { accessOperations, hitLevels } from './trace.js';

/** Accesses for people and for other programs. */

const csvColumns = [
  'time_us',
  'duration_us',
  'operation',
  'level',
  'object',
  'plain_size',
  'offset',
  'length',
  'path',
  'pid',
  'process',
] as const;

export const traceCsvHeader = csvColumns.join(',');

/** A line of CSV (RFC 4180), without its end; a size that nobody knows is empty. */
export function accessCsv(access: Access): string {
  const fields = [
    access.time,
    access.duration,
    access.operation,
    access.level,
    access.object,
    known(access.plainSize) ?? '',
    access.offset,
    access.length,
    printable(access.path),
    access.pid,
    printable(access.processName),
  ];
  return fields.map(csvField).join(',');
}

/** A field as RFC 4180 has it. */
function csvField(value: string | number): string {
  const text = String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function known(size: number): number | null {
  return Number.isNaN(size) ? null : size;
}

/** One value for each access. */
export function accessJson(access: Access): object {
  return {
    timeMicroseconds: access.time,
    durationMicroseconds: access.duration,
    operation: access.operation,
    level: access.level,
    object: access.object,
    plainSize: known(access.plainSize),
    offset: access.offset,
    length: access.length,
    path: printable(access.path),
    pid: access.pid,
    process: printable(access.processName),
  };
}

/** A line for people: when, who, what, where it was found and how long that took. */
export function accessText(access: Access): string {
  const { operation, level, offset, length } = access;
  const what = operation === 'read' ? `${offset}+${length}` : '';
  const who = access.pid === 0 ? '-' : `${printable(access.processName)}[${access.pid}]`;
  const where = level === 'none' ? '' : `${level} ${(access.duration / 1000).toFixed(3)} ms`;
  const path = printable(access.path) || '/';
  const seconds = (access.time / 1e6).toFixed(6).padStart(12);
  return `${seconds}  ${operation.padEnd(7)} ${where.padEnd(20)} ${path} ${what} ${who}`.trimEnd();
}

/** What is in a trace, in numbers. */
export interface TraceSummary {
  readonly accesses: number;
  readonly seconds: number;
  readonly operations: Readonly<Record<string, number>>;
  readonly levels: Readonly<Record<string, number>>;
  /** Different objects, and their plain bytes as far as known. */
  readonly objects: number;
  readonly objectBytes: number;
  /** Bytes that came over the network while it was recorded, as far as known. */
  readonly storedBytes: number;
  /** Plain bytes that were read, each time that they were. */
  readonly readBytes: number;
  readonly paths: number;
  /** Accesses by the name of the process. */
  readonly processes: Readonly<Record<string, number>>;
  readonly end: Trace['end'];
}

export function summaryOf(trace: Trace): TraceSummary {
  const { objectTable, accessCount } = trace;
  const operations = counted(trace.operations, accessOperations);
  const levels = counted(trace.levels, hitLevels);
  let readBytes = 0;
  for (const length of trace.lengths) readBytes += length;
  const names = trace.processes.map(({ name }) => printable(name));
  return {
    accesses: accessCount,
    seconds: (trace.times[accessCount - 1] ?? 0) / 1e6,
    operations,
    levels,
    objects: objectTable.count,
    objectBytes: sumOfKnown(objectTable.plainSizes),
    storedBytes: sumOfKnown(objectTable.storedSizes),
    readBytes,
    paths: trace.paths.length - 1,
    processes: counted(trace.processNumbers, names),
    end: trace.end,
  };
}

function counted(
  column: Uint8Array | Uint32Array,
  names: readonly string[],
): Record<string, number> {
  const counts = new Map<string, number>();
  for (const index of column) {
    const name = names[index] ?? '';
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].sort((one, other) => other[1] - one[1]));
}

function sumOfKnown(sizes: Float64Array): number {
  let sum = 0;
  for (const size of sizes) if (!Number.isNaN(size)) sum += size;
  return sum;
}
