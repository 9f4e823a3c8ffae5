import { PinfsError } from '../format/errors.js';
import { traceBounds } from './bounds.js';
import { openByteWriter, type ByteWriter } from './byte-writer.js';
import { partsOfObjectText } from './object-text.js';
import { noOperation, noteKinds, recordBits, sharedPrefix, tableEntriesMax } from './records.js';
import type { Access, AccessOperation, HitLevel } from './trace.js';

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
  /** The path under which it was accessed last. */
  path: number;
  pathText: string;
}

interface Tables {
  readonly objects: Map<string, KnownObject>;
  /** Paths of objects that have several; that of an object which has one stands beside it. */
  readonly paths: Map<string, number>;
  pathCount: number;
  readonly processes: Map<string, number>;
  lastObject: KnownObject | undefined;
  /** The path that was defined last, which has the last number. */
  lastPath: string;
  lastPid: number;
  lastName: string;
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
    pathCount: 1,
    processes: new Map([['0 ', 0]]),
    lastObject: undefined,
    lastPath: '',
    lastPid: 0,
    lastName: '',
  };
}

function isFull({ objects, pathCount, processes }: Tables, entriesMax: number): boolean {
  return objects.size >= entriesMax || pathCount >= entriesMax || processes.size >= entriesMax;
}

function writeAccess(
  out: ByteWriter,
  tables: Tables,
  access: Access,
  delta: number,
  sizesToCome: Map<string, number>,
): void {
  const known = tables.objects.get(access.object);
  const isOther = known === undefined || known !== tables.lastObject;
  const isOtherPath = access.path !== (known?.pathText ?? '');
  const isOtherProcess = access.pid !== tables.lastPid || access.processName !== tables.lastName;
  const from = known?.next ?? 0;
  const isRest = access.offset === from && access.length === restOf(access, known, from);
  out.byte(
    operationBits[access.operation] |
      levelBits[access.level] |
      (isOther ? recordBits.object : 0) |
      (isOtherPath ? recordBits.path : 0) |
      (isOtherProcess ? recordBits.process : 0) |
      (isRest ? 0 : recordBits.range),
  );
  out.varint(delta);
  out.varint(Math.min(0xffffffff, Math.max(0, Math.round(access.duration))));
  const object = known ?? defineObject(out, tables, access, sizesToCome);
  if (known !== undefined && isOther) out.varint(tables.objects.size - known.number);
  tables.lastObject = object;
  if (isOtherPath) {
    object.path = writePath(out, tables, access.path, known !== undefined);
    object.pathText = access.path;
  }
  if (isOtherProcess) writeProcess(out, tables, access);
  if (!isRest) {
    out.varint(access.offset);
    out.varint(access.length);
  }
  const end = access.offset + access.length;
  object.next = end >= object.plainSize ? 0 : end;
}

const operationBits: Readonly<Record<AccessOperation, number>> = { open: 0, read: 1, catalog: 2 };
const levelBits: Readonly<Record<HitLevel, number>> = { shelf: 0, fetched: 4, ahead: 8, none: 12 };

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
  const storedSize = sizesToCome.size === 0 ? NaN : (sizesToCome.get(object) ?? NaN);
  if (!Number.isNaN(storedSize)) sizesToCome.delete(object);
  out.varint(0);
  out.byte(parts.shape);
  out.hex(object, parts.from, parts.end);
  out.varint(Number.isNaN(plainSize) ? 0 : plainSize + 1);
  out.varint(Number.isNaN(storedSize) ? 0 : storedSize + 1);
  const defined = {
    number: tables.objects.size,
    plainSize,
    storedSize,
    next: 0,
    path: 0,
    pathText: '',
  };
  tables.objects.set(object, defined);
  return defined;
}

/** @param isAgain the object has another path as well: this one will come again. @returns its number. */
function writePath(out: ByteWriter, tables: Tables, given: string, isAgain: boolean): number {
  const path = given.length > traceBounds.onePathBytes ? '' : given;
  const count = tables.pathCount;
  const before =
    path === tables.lastPath ? count - 1 : isAgain ? tables.paths.get(path) : undefined;
  if (before !== undefined) {
    out.varint(count - before);
    return before;
  }
  const shared = sharedPrefix(tables.lastPath, path, traceBounds.onePathBytes);
  out.varint(0);
  out.varint(shared);
  out.varint(path.length - shared);
  out.latin1(shared === 0 ? path : path.slice(shared));
  tables.lastPath = path;
  tables.pathCount++;
  if (isAgain) tables.paths.set(path, count);
  return count;
}

function processKey({ pid, processName }: Access): string {
  return `${pid} ${processName}`;
}

function writeProcess(out: ByteWriter, tables: Tables, access: Access): void {
  const key = processKey(access);
  const known = tables.processes.get(key);
  const count = tables.processes.size;
  tables.lastPid = access.pid;
  tables.lastName = access.processName;
  if (known !== undefined) {
    out.varint(count - known);
    return;
  }
  const name = access.processName.slice(0, traceBounds.processNameBytes);
  out.varint(0);
  out.varint(access.pid);
  out.varint(name.length);
  out.latin1(name);
  tables.processes.set(key, count);
}
