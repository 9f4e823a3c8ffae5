import { PinfsError } from '../format/errors.js';
import { traceBounds } from './bounds.js';
import { openByteWriter, type ByteWriter } from './byte-writer.js';
import { partsOfObjectText } from './object-text.js';
import { noOperation, noteKinds, recordBits, sharedPrefix, tableEntriesMax } from './records.js';
import { accessOperations, hitLevels, type Access } from './trace.js';

/** Makes the plain bytes of a trace's blocks of accesses (docs/trace-format.md, 3). */
export interface TraceEncoder {
  /** Notes one access. Times that fall count as those of the access before. */
  access(access: Access): void;
  /** Bytes that an object took on its way; also before it is accessed. */
  storedSize(object: string, bytes: number): void;
  /** Bytes that wait to be taken. */
  readonly pendingBytes: number;
  /** Whole records, to become one block. */
  take(): Uint8Array<ArrayBuffer>;
}

interface KnownObject {
  readonly number: number;
  readonly plainSize: number;
  storedSize: number;
  /** Where the next read is expected. */
  next: number;
  path: number;
}

interface Tables {
  readonly objects: Map<string, KnownObject>;
  readonly paths: Map<string, number>;
  readonly processes: Map<string, number>;
  lastObject: KnownObject | undefined;
  lastProcess: number;
  /** The path that was defined last. */
  lastPath: string;
}

// Sizes of what was fetched ahead, and of which nothing was accessed so far.
const sizesKeptMax = 1 << 16;
const blockBytesExpected = 80 * 1024;

/** @param entriesMax of a table before all begin anew: a bound on the memory of whoever writes. */
export function openTraceEncoder(entriesMax = tableEntriesMax): TraceEncoder {
  const out = openByteWriter(blockBytesExpected);
  const sizesToCome = new Map<string, number>();
  let tables = noTables();
  let lastTime = 0;

  function forgetAll(): void {
    tables = noTables();
    out.byte(noOperation | (noteKinds.forget << recordBits.levelShift));
  }

  return {
    get pendingBytes() {
      return out.length;
    },
    access(access) {
      if (isFull(tables, entriesMax)) forgetAll();
      const time = Math.max(lastTime, Math.round(access.time));
      writeAccess(out, tables, access, time - lastTime, sizesToCome);
      lastTime = time;
    },
    storedSize(object, bytes) {
      const known = tables.objects.get(object);
      if (known === undefined) {
        if (sizesToCome.size >= sizesKeptMax) sizesToCome.clear();
        sizesToCome.set(object, bytes);
        return;
      }
      if (known.storedSize === bytes) return;
      known.storedSize = bytes;
      out.byte(noOperation | (noteKinds.storedSize << recordBits.levelShift));
      out.varint(tables.objects.size - known.number);
      out.varint(bytes);
    },
    take: () => out.take(),
  };
}

function noTables(): Tables {
  return {
    objects: new Map(),
    paths: new Map([['', 0]]),
    processes: new Map([['0 ', 0]]),
    lastObject: undefined,
    lastProcess: 0,
    lastPath: '',
  };
}

function isFull({ objects, paths, processes }: Tables, entriesMax: number): boolean {
  return Math.max(objects.size, paths.size, processes.size) >= entriesMax;
}

function writeAccess(
  out: ByteWriter,
  tables: Tables,
  access: Access,
  delta: number,
  sizesToCome: Map<string, number>,
): void {
  const known = tables.objects.get(access.object);
  const path = pathNumber(tables, access.path);
  const process = tables.processes.get(processKey(access));
  const from = known?.next ?? 0;
  const isRest = access.offset === from && access.length === restOf(access, known, from);
  let first = accessOperations.indexOf(access.operation);
  first |= hitLevels.indexOf(access.level) << recordBits.levelShift;
  if (known === undefined || known !== tables.lastObject) first |= recordBits.object;
  if (path === undefined || path !== (known?.path ?? 0)) first |= recordBits.path;
  if (process === undefined || process !== tables.lastProcess) first |= recordBits.process;
  if (!isRest) first |= recordBits.range;
  out.byte(first);
  out.varint(delta);
  out.varint(Math.min(0xffffffff, Math.max(0, Math.round(access.duration))));
  const object = known ?? defineObject(out, tables, access, sizesToCome);
  if (known !== undefined && known !== tables.lastObject) {
    out.varint(tables.objects.size - known.number);
  }
  tables.lastObject = object;
  if ((first & recordBits.path) !== 0) object.path = writePath(out, tables, access.path, path);
  if ((first & recordBits.process) !== 0) writeProcess(out, tables, access, process);
  if (!isRest) {
    out.varint(access.offset);
    out.varint(access.length);
  }
  const end = access.offset + access.length;
  object.next = end >= object.plainSize ? 0 : end;
}

function restOf(access: Access, known: KnownObject | undefined, from: number): number {
  if (access.operation === 'open') return 0;
  const size = known?.plainSize ?? access.plainSize;
  return Number.isNaN(size) ? 0 : Math.max(0, size - from);
}

function defineObject(
  out: ByteWriter,
  tables: Tables,
  { object, plainSize }: Access,
  sizesToCome: Map<string, number>,
): KnownObject {
  const parts = partsOfObjectText(object);
  if (parts === undefined) throw new PinfsError('INTERNAL', 'an object of a trace has no name');
  const storedSize = sizesToCome.get(object) ?? NaN;
  sizesToCome.delete(object);
  out.varint(0);
  out.byte(parts.shape);
  out.bytes(parts.digest);
  out.varint(Number.isNaN(plainSize) ? 0 : plainSize + 1);
  out.varint(Number.isNaN(storedSize) ? 0 : storedSize + 1);
  const defined = { number: tables.objects.size, plainSize, storedSize, next: 0, path: 0 };
  tables.objects.set(object, defined);
  return defined;
}

function pathNumber(tables: Tables, path: string): number | undefined {
  return tables.paths.get(path.length > traceBounds.onePathBytes ? '' : path);
}

function writePath(
  out: ByteWriter,
  tables: Tables,
  path: string,
  known: number | undefined,
): number {
  const count = tables.paths.size;
  if (known !== undefined) {
    out.varint(count - known);
    return known;
  }
  const shared = sharedPrefix(tables.lastPath, path, traceBounds.onePathBytes);
  out.varint(0);
  out.varint(shared);
  out.varint(path.length - shared);
  out.latin1(path.slice(shared));
  tables.lastPath = path;
  tables.paths.set(path, count);
  return count;
}

function processKey({ pid, processName }: Access): string {
  return `${pid} ${processName}`;
}

function writeProcess(
  out: ByteWriter,
  tables: Tables,
  access: Access,
  known: number | undefined,
): void {
  const count = tables.processes.size;
  tables.lastProcess = known ?? count;
  if (known !== undefined) {
    out.varint(count - known);
    return;
  }
  const name = access.processName.slice(0, traceBounds.processNameBytes);
  out.varint(0);
  out.varint(access.pid);
  out.varint(name.length);
  out.latin1(name);
  tables.processes.set(processKey(access), count);
}
