import { toBytes } from '../../format/bytes.js';
import { accessesOf } from '../accesses.js';
import type { Access, Trace } from '../trace.js';
import {
  foreignAccess,
  linesOf,
  namedObject,
  notSuchTrace,
  type ImportedTrace,
} from './formats.js';

/*
 * What the reference's client writes to CVMFS_TRACEFILE: in quotes, with commas between them, the time
 * (milliseconds since 1970, a point, three digits of microseconds), the number of an event, a path, a text.
 */

const events = { open: 1, start: -1, stop: -2 };
const line = /^"(\d{1,16})\.(\d{3})","(-?\d{1,3})","((?:[^"]|"")*)","((?:[^"]|"")*)"$/;

interface TracerLine {
  /** Microseconds since 1970. */
  readonly time: number;
  readonly event: number;
  readonly path: string;
}

function* tracerLines(bytes: Buffer): Generator<TracerLine> {
  for (const { text, where } of linesOf(bytes, 'cvmfs-tracer')) {
    const match = line.exec(text);
    if (match === null) throw notSuchTrace('cvmfs-tracer', where);
    const [, milliseconds = '', microseconds = '', event = '', path = ''] = match;
    const time = Number(milliseconds) * 1000 + Number(microseconds);
    yield { time, event: Number(event), path: path.replaceAll('""', '"') };
  }
}

/**
 * Each open of a file as one access: nothing else that it tells reads content, and it tells neither sizes nor hashes.
 * @throws PinfsError NOT_A_TRACE
 */
export function importTracer(bytes: Buffer): ImportedTrace {
  const first = tracerLines(bytes).next();
  const start = first.done === true ? 0 : first.value.time;
  return { startedAt: Math.floor(start / 1000), accesses: openedFiles(bytes, start) };
}

function* openedFiles(bytes: Buffer, start: number): Generator<Access> {
  for (const { time, event, path } of tracerLines(bytes)) {
    if (event !== events.open) continue;
    yield foreignAccess(Math.max(0, time - start), namedObject(path), NaN, path);
  }
}

/** Each open of a file; of one of which the kernel told none, each read of its begin behind that of another file. */
export function* exportTracer(trace: Trace): Generator<Buffer> {
  yield tracerLine(trace, 0, events.start, 'Tracer', 'Trace buffer created');
  let last: string | undefined;
  for (const { operation, offset, path, time } of accessesOf(trace)) {
    const begins = operation === 'read' && offset === 0 && path !== last;
    if (operation !== 'open' && !begins) continue;
    last = path;
    yield tracerLine(trace, time, events.open, path, 'open()');
  }
  const end = trace.times[trace.accessCount - 1] ?? 0;
  yield tracerLine(trace, end, events.stop, 'Tracer', 'Destroying trace buffer...');
}

function tracerLine({ header }: Trace, time: number, event: number, path: string, text: string) {
  const milliseconds = header.startedAt + Math.floor(time / 1000);
  const microseconds = String(Math.floor(time % 1000)).padStart(3, '0');
  const fields = [`${milliseconds}.${microseconds}`, String(event), path, text];
  const quoted = fields.map((field) => `"${field.replaceAll('"', '""')}"`);
  return toBytes(`${quoted.join(',')}\r\n`);
}
