import { openBlockReader } from './blocks.js';
import { traceBounds } from './bounds.js';
import { damagedTrace, openByteReader, type ByteReader } from './byte-reader.js';
import { doubleColumn, growingObjectTable, octetColumn, wordColumn } from './columns.js';
import { partsOfShape } from './object-text.js';
import { noOperation, noteKinds, recordBits } from './records.js';
import {
  accessOperations,
  digestBytes,
  digestForms,
  type Trace,
  type TraceHeader,
  type TraceProcess,
} from './trace.js';

/** Reads a trace's file in pieces. */
export interface TraceDecoder {
  /** @throws PinfsError NOT_A_TRACE, TRACE_VERSION, TRACE_DAMAGED. */
  push(piece: Buffer): void;
  readonly header: TraceHeader | undefined;
  readonly accessCount: number;
  /** What was read. @throws PinfsError TRACE_DAMAGED where not even the head was there. */
  finish(): Trace;
}

/** Rows of the tables of the writer, which may begin anew, as indices into those of the trace. */
interface Tables {
  objects: number[];
  paths: number[];
  processes: number[];
  /** For each object: where its next read is expected, and its last path. */
  next: number[];
  lastPaths: number[];
  object: number;
  process: number;
  path: string;
}

interface State {
  readonly columns: ReturnType<typeof openColumns>;
  readonly table: ReturnType<typeof growingObjectTable>;
  readonly paths: string[];
  readonly processes: TraceProcess[];
  tables: Tables;
  pathBytes: number;
  time: number;
  count: number;
  /** Once tables have begun anew: objects, paths and processes by what they are. */
  known: ReturnType<typeof openKnown> | undefined;
}

/** @param columns `requests`: of each access only time, object, operation, level and offset are kept, the other columns are empty. */
export function openTraceDecoder(columns: 'all' | 'requests' = 'all'): TraceDecoder {
  const state: State = {
    columns: openColumns(),
    table: growingObjectTable(),
    paths: [''],
    processes: [{ pid: 0, name: '' }],
    tables: noTables(),
    pathBytes: 0,
    time: 0,
    count: 0,
    known: undefined,
  };
  const isWhole = columns === 'all';
  const blocks = openBlockReader((plain) => {
    const reader = openByteReader(plain);
    while (!reader.isAtEnd) readRecord(state, reader, isWhole);
  });
  return {
    push: (piece) => {
      blocks.push(piece);
    },
    get header() {
      return blocks.header;
    },
    get accessCount() {
      return state.count;
    },
    finish() {
      if (blocks.header === undefined) throw damagedTrace('it ends in its header');
      return traceOf(state, blocks.header, blocks.isComplete);
    },
  };
}

function openColumns() {
  return {
    times: doubleColumn(),
    objects: wordColumn(),
    operations: octetColumn(),
    levels: octetColumn(),
    durations: wordColumn(),
    offsets: doubleColumn(),
    lengths: wordColumn(),
    pathNumbers: wordColumn(),
    processNumbers: wordColumn(),
  };
}

function noTables(): Tables {
  return {
    objects: [],
    paths: [0],
    processes: [0],
    next: [],
    lastPaths: [],
    object: -1,
    process: 0,
    path: '',
  };
}

function traceOf(state: State, header: TraceHeader, isComplete: boolean): Trace {
  const { columns } = state;
  return {
    header,
    accessCount: state.count,
    times: columns.times.done(),
    objects: columns.objects.done(),
    operations: columns.operations.done(),
    levels: columns.levels.done(),
    durations: columns.durations.done(),
    offsets: columns.offsets.done(),
    lengths: columns.lengths.done(),
    pathNumbers: columns.pathNumbers.done(),
    processNumbers: columns.processNumbers.done(),
    objectTable: state.table.done(),
    paths: state.paths,
    processes: state.processes,
    end: isComplete ? 'complete' : 'cut',
  };
}

const anyNumber = Number.MAX_SAFE_INTEGER;
const word = 0xffffffff;

function readRecord(state: State, reader: ByteReader, isWhole: boolean): void {
  const first = reader.byte();
  const operation = first & recordBits.operation;
  const level = (first >> recordBits.levelShift) & 3;
  if (operation === noOperation) {
    readNote(state, reader, first >> recordBits.levelShift);
    return;
  }
  if (state.count >= traceBounds.accesses) throw tooMany('accesses', traceBounds.accesses);
  const { columns, tables } = state;
  state.time += reader.varint(anyNumber);
  const duration = reader.varint(word);
  if ((first & recordBits.object) !== 0) tables.object = readObject(state, reader);
  const at = tables.object;
  const object = tables.objects[at];
  if (object === undefined) throw damagedTrace('an access has no object');
  if ((first & recordBits.path) !== 0) tables.lastPaths[at] = readPath(state, reader);
  if ((first & recordBits.process) !== 0) tables.process = readProcess(state, reader);
  let offset = tables.next[at] ?? 0;
  const plainSize = state.table.plainSize(object);
  const isOpen = accessOperations[operation] === 'open';
  let length = isOpen || Number.isNaN(plainSize) ? 0 : Math.max(0, plainSize - offset);
  if ((first & recordBits.range) !== 0) {
    offset = reader.varint(anyNumber);
    length = reader.varint(anyNumber);
  }
  tables.next[at] = offset + length >= plainSize ? 0 : offset + length;
  columns.times.push(state.time);
  columns.objects.push(object);
  columns.operations.push(operation);
  state.count++;
  columns.levels.push(level);
  columns.offsets.push(offset);
  if (!isWhole) return;
  columns.durations.push(duration);
  columns.lengths.push(Math.min(word, length));
  columns.pathNumbers.push(tables.lastPaths[at] ?? 0);
  columns.processNumbers.push(tables.processes[tables.process] ?? 0);
}

function tooMany(what: string, most: number) {
  return damagedTrace(`it has more than ${most} ${what}`);
}

function readNote(state: State, reader: ByteReader, kind: number): void {
  const { tables } = state;
  switch (kind) {
    case noteKinds.forget:
      state.known ??= openKnown(state);
      state.tables = noTables();
      return;
    case noteKinds.storedSize: {
      const at = backwards(reader, tables.objects.length);
      state.table.setStoredSize(tables.objects[at] ?? 0, reader.varint(anyNumber));
      return;
    }
    default:
      throw damagedTrace('a record is of no kind that is known');
  }
}

/** A row of a table, counted from its end, which exists. */
function backwards(reader: ByteReader, count: number): number {
  const back = reader.varint(count);
  if (back === 0) throw damagedTrace('a record names nothing');
  return count - back;
}

function readObject(state: State, reader: ByteReader): number {
  const { tables, table } = state;
  const back = reader.varint(tables.objects.length);
  if (back > 0) return tables.objects.length - back;
  if (table.count >= traceBounds.objects) throw tooMany('objects', traceBounds.objects);
  const parts = partsOfShape(reader.byte());
  if (parts === undefined) throw damagedTrace('an object is of no kind that is known');
  const isForeign = digestForms[parts.form] === 'foreign';
  const digest = reader.bytes(isForeign ? 8 : digestBytes);
  const plainSize = sizeOf(reader);
  const storedSize = sizeOf(reader);
  const row = { ...parts, digest, plainSize, storedSize };
  const key =
    state.known && `${parts.form} ${parts.kind} ${parts.isPlain} ${digest.toString('latin1')}`;
  const before = key === undefined ? undefined : state.known?.objects.get(key);
  const index = before ?? table.add(row);
  if (before !== undefined && !Number.isNaN(storedSize)) table.setStoredSize(before, storedSize);
  // What the records behind it say is meant with the size that stands here.
  if (before !== undefined) table.setPlainSize(before, plainSize);
  if (key !== undefined) state.known?.objects.set(key, index);
  tables.next.push(0);
  tables.lastPaths.push(0);
  return tables.objects.push(index) - 1;
}

/** 0: not known. */
function sizeOf(reader: ByteReader): number {
  const value = reader.varint(anyNumber);
  return value === 0 ? NaN : value - 1;
}

function readPath(state: State, reader: ByteReader): number {
  const { tables, paths } = state;
  const back = reader.varint(tables.paths.length);
  if (back > 0) return tables.paths[tables.paths.length - back] ?? 0;
  const shared = reader.varint(tables.path.length);
  const rest = reader.bytes(reader.varint(traceBounds.onePathBytes - shared));
  const path = tables.path.slice(0, shared) + rest.toString('latin1');
  tables.path = path;
  let index = state.known?.paths.get(path);
  if (index === undefined) {
    state.pathBytes += path.length;
    if (state.pathBytes > traceBounds.pathBytes)
      throw tooMany('bytes of paths', traceBounds.pathBytes);
    index = paths.push(path) - 1;
    state.known?.paths.set(path, index);
  }
  tables.paths.push(index);
  return index;
}

/** @returns the row in the table of the writer. */
function readProcess(state: State, reader: ByteReader): number {
  const { tables, processes } = state;
  const back = reader.varint(tables.processes.length);
  if (back > 0) return tables.processes.length - back;
  const pid = reader.varint(word);
  const name = reader.bytes(reader.varint(traceBounds.processNameBytes)).toString('latin1');
  if (processes.length >= traceBounds.processes) throw tooMany('processes', traceBounds.processes);
  const key = `${pid} ${name}`;
  let index = state.known?.processes.get(key);
  if (index === undefined) {
    index = processes.push({ pid, name }) - 1;
    state.known?.processes.set(key, index);
  }
  return tables.processes.push(index) - 1;
}

function openKnown({ table, paths, processes }: State) {
  const { count, forms, kinds, isPlain, digests } = table.done();
  const objects = new Map<string, number>();
  for (let index = 0; index < count; index++) {
    const isForeign = digestForms[forms[index] ?? 0] === 'foreign';
    const from = index * digestBytes;
    const digest = digests.subarray(from, from + (isForeign ? 8 : digestBytes));
    const text = Buffer.from(digest).toString('latin1');
    objects.set(`${forms[index] ?? 0} ${kinds[index] ?? 0} ${isPlain[index] ?? 0} ${text}`, index);
  }
  return {
    objects,
    paths: new Map(paths.map((path, index) => [path, index])),
    processes: new Map(processes.map(({ pid, name }, index) => [`${pid} ${name}`, index])),
  };
}
