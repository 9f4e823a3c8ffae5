import { digestBytes, accessOperations, type Access, type Trace } from '../trace.js';
import {
  foreignAccess,
  linesOf,
  namedObject,
  notSuchTrace,
  numberedObject,
  secondUs,
  type ImportedTrace,
} from './formats.js';

/* The formats of libCacheSim: CSV with a time (s), an object and a size, and oracleGeneral. */

const columnNames = {
  time: /^(time|timestamp|ts|clock_?time|real_?time)$/i,
  object: /^(obj(ect)?[-_ ]?(id)?|id|key)$/i,
  size: /^((obj(ect)?[-_ ]?)?size|bytes)$/i,
};

interface Columns {
  readonly time: number;
  readonly object: number;
  readonly size: number;
}

const usualColumns: Columns = { time: 0, object: 1, size: 2 };

/** Time, object and size, in this order or as a first line names them. @throws PinfsError NOT_A_TRACE */
export function importCsv(bytes: Buffer): ImportedTrace {
  return { startedAt: 0, accesses: csvAccesses(bytes) };
}

function* csvAccesses(bytes: Buffer): Generator<Access> {
  let columns: Columns | undefined;
  let first: number | undefined;
  for (const { text, where } of linesOf(bytes, 'libcachesim-csv')) {
    const fields = text.split(/[,\t;]/).map((field) => field.trim());
    if (columns === undefined) {
      const named = namedColumns(fields);
      columns = named ?? usualColumns;
      if (named !== undefined) continue;
    }
    const time = Number(fields[columns.time] ?? NaN);
    const size = Number(fields[columns.size] ?? NaN);
    const object = fields[columns.object] ?? '';
    const isSound = time >= 0 && Number.isSafeInteger(size) && size >= 0 && object !== '';
    if (!isSound || !Number.isFinite(time)) throw notSuchTrace('libcachesim-csv', where);
    first ??= time;
    const isNumber = /^\d{1,20}$/.test(object);
    const name = isNumber ? numberedObject(BigInt(object)) : namedObject(object);
    yield foreignAccess((time - first) * secondUs, name, size, '');
  }
}

/** Undefined: the line is no header. A header that names only some has the others in their usual places. */
function namedColumns(fields: readonly string[]): Columns | undefined {
  if (Number.isFinite(Number(fields[0] ?? '')) && fields[0] !== '') return undefined;
  const placeOf = (name: RegExp, usual: number): number => {
    const found = fields.findIndex((field) => name.test(field.replace(/^#\s*/, '')));
    return found === -1 ? usual : found;
  };
  return {
    time: placeOf(columnNames.time, usualColumns.time),
    object: placeOf(columnNames.object, usualColumns.object),
    size: placeOf(columnNames.size, usualColumns.size),
  };
}

const oracleBytes = 24;

/** Records of time (s), object, size and the next access. @throws PinfsError NOT_A_TRACE */
export function importOracleGeneral(bytes: Buffer): ImportedTrace {
  if (bytes.length === 0 || bytes.length % oracleBytes !== 0) {
    throw notSuchTrace('oracle-general', `its records have ${oracleBytes} bytes`);
  }
  return { startedAt: 0, accesses: oracleAccesses(bytes) };
}

function* oracleAccesses(bytes: Buffer): Generator<Access> {
  const first = bytes.readUInt32LE(0);
  for (let at = 0; at < bytes.length; at += oracleBytes) {
    const time = Math.max(0, bytes.readUInt32LE(at) - first) * secondUs;
    const object = numberedObject(bytes.readBigUInt64LE(at + 4));
    yield foreignAccess(time, object, bytes.readUInt32LE(at + 12), '');
  }
}

/** Reads and loads of catalogs; who opens a file reads nothing yet. */
function* requestsOf(trace: Trace): Generator<number> {
  const open = accessOperations.indexOf('open');
  for (let index = 0; index < trace.accessCount; index++) {
    if (trace.operations[index] !== open) yield index;
  }
}

/** The number by which others know an object: the begin of its hash. */
function numberOf({ objectTable }: Trace, object: number): bigint {
  const { digests } = objectTable;
  return Buffer.from(
    digests.buffer,
    digests.byteOffset + object * digestBytes,
    8,
  ).readBigUInt64BE();
}

const u32Max = 0xffffffff;

/** Plain bytes; 1 where nobody knows them, since others take no 0. */
function sizeOf({ objectTable }: Trace, object: number): number {
  const size = objectTable.plainSizes[object] ?? NaN;
  return Number.isNaN(size) ? 1 : Math.min(u32Max, Math.max(1, size));
}

function secondsOf(trace: Trace, index: number): number {
  return Math.min(u32Max, Math.floor((trace.times[index] ?? 0) / secondUs));
}

/** For `cachesim -t "time-col=1,obj-id-col=2,obj-size-col=3,has-header=true,obj-id-is-num=1"`. */
export function* exportCsv(trace: Trace): Generator<Buffer> {
  yield Buffer.from('time,obj_id,obj_size\n');
  for (const index of requestsOf(trace)) {
    const object = trace.objects[index] ?? 0;
    const fields = [secondsOf(trace, index), numberOf(trace, object), sizeOf(trace, object)];
    yield Buffer.from(`${fields.join(',')}\n`);
  }
}

/** Each record says which request (counted from 1) is the next for its object; -1: there is none. */
export function* exportOracleGeneral(trace: Trace): Generator<Buffer> {
  const requests = Uint32Array.from(requestsOf(trace));
  const next = new Float64Array(requests.length);
  const seen = new Map<number, number>();
  for (let at = requests.length - 1; at >= 0; at--) {
    const object = trace.objects[requests[at] ?? 0] ?? 0;
    next[at] = seen.get(object) ?? -1;
    seen.set(object, at + 1);
  }
  for (const [at, index] of requests.entries()) {
    const object = trace.objects[index] ?? 0;
    const record = Buffer.alloc(oracleBytes);
    record.writeUInt32LE(secondsOf(trace, index), 0);
    record.writeBigUInt64LE(numberOf(trace, object), 4);
    record.writeUInt32LE(sizeOf(trace, object), 12);
    record.writeBigInt64LE(BigInt(next[at] ?? -1), 16);
    yield record;
  }
}
