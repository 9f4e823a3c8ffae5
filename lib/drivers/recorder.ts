import { readFileSync, statSync } from 'node:fs';
import type { AccessLog } from '../store/recorded.js';
import { wantKey, type Want } from '../store/want.js';
import { blockBytesWanted } from '../trace/encode-trace.js';
import { openTraceEncoder } from '../trace/encoder.js';
import type { Access, AccessOperation, HitLevel } from '../trace/trace.js';

/** Where the records of accesses go: whole records, in blocks. */
export type RecordSink = (block: Uint8Array<ArrayBuffer>, accesses: number) => void;

/** Notes accesses, in whatever thread has the shelf. */
export interface Recorder extends AccessLog {
  /** An object was fetched: what is found next of it came ahead, unless somebody waited for it. */
  fetched(key: string, storedBytes: number): void;
  /** Hands over what was noted so far. */
  flush(): void;
  /** Does so where that was not done for a while: nothing else is to be done. */
  idle(): void;
}

export interface RecorderOptions {
  readonly sink: RecordSink;
  /** The process that asks now; 0: nobody knows. */
  readonly caller: () => number;
  /** Name of a process; another one's file, so not asked for each access. */
  readonly nameOf?: (pid: number) => string;
}

// Objects that came ahead and were not read, at most; and how long records wait while there are always more (ms).
const aheadMax = 1 << 16;
const giveIntervalMs = 500;

export function openRecorder({
  sink,
  caller,
  nameOf = openProcessNames(),
}: RecorderOptions): Recorder {
  const blocks = openBlocks(sink);
  const levels = openLevels();
  const start = performance.now();
  let run: Access[] = [];

  function commit(): void {
    for (const access of run) blocks.encoder.access(access);
    blocks.added(run.length);
    run = [];
  }

  function note(want: Want, what: Noted): void {
    const key = wantKey(want);
    const { operation, offset, length, began } = what;
    // A small catalog is decoded where that can be done, or else opened: it is loaded once.
    const last = run.at(-1);
    if (operation === 'catalog' && last?.operation === operation && last.object === key) return;
    const { level, since } = what.level === undefined ? levels.found(key) : { level: what.level };
    const now = performance.now();
    const pid = caller();
    run.push({
      time: (now - start) * 1000,
      duration: (now - (since ?? began)) * 1000,
      operation,
      level,
      object: key,
      plainSize: what.plainSize,
      offset,
      length,
      path: want.path,
      pid,
      processName: pid === 0 ? '' : nameOf(pid),
    });
  }

  const keep: Kept = {
    note,
    levels,
    commit() {
      if (run.length > 0) commit();
    },
    // The operation runs again from its start: what it read it reads again. A catalog stays open.
    dropReads() {
      run = run.filter((access) => access.operation === 'catalog');
    },
  };
  return {
    ...accessLog(keep),
    fetched(key, storedBytes) {
      levels.willCome(key);
      blocks.encoder.storedSize(key, storedBytes);
    },
    idle() {
      keep.commit();
      blocks.giveIfDue();
    },
    flush() {
      keep.commit();
      blocks.give();
    },
  };
}

/** What the log of a shelf works with. */
interface Kept {
  readonly note: (want: Want, what: Noted) => void;
  readonly levels: ReturnType<typeof openLevels>;
  /** Writes what the last run of an operation accessed. */
  readonly commit: () => void;
  readonly dropReads: () => void;
}

function accessLog({ note, levels, commit, dropReads }: Kept): AccessLog {
  return {
    beginRun(begins) {
      commit();
      levels.begin(begins);
    },
    missed(want) {
      levels.missed(wantKey(want));
      dropReads();
    },
    wasRead(want, offset, length, began) {
      const operation = want.object.kind === 'catalog' ? 'catalog' : 'read';
      note(want, { operation, offset, length, plainSize: promisedSize(want), began });
    },
    handedOut(want, path, began) {
      const plainSize = sizeOf(want, path);
      const isCatalog = want.object.kind === 'catalog';
      const length = isCatalog && !Number.isNaN(plainSize) ? plainSize : 0;
      note(want, {
        operation: isCatalog ? 'catalog' : 'open',
        offset: 0,
        length,
        plainSize,
        began,
      });
    },
    expected(wants) {
      for (const want of wants) levels.willCome(wantKey(want));
    },
    opened(want) {
      const nothing = { offset: 0, length: 0, level: 'none', began: performance.now() } as const;
      note(want, { operation: 'open', plainSize: promisedSize(want), ...nothing });
    },
  };
}

/** Records on their way to the sink, in blocks. */
function openBlocks(sink: RecordSink) {
  const encoder = openTraceEncoder();
  let accesses = 0;
  let given = performance.now();

  function give(): void {
    given = performance.now();
    if (encoder.pendingBytes === 0) return;
    sink(encoder.take(), accesses);
    accesses = 0;
  }

  function giveIfDue(): void {
    if (performance.now() - given > giveIntervalMs) give();
  }

  return {
    encoder,
    give,
    giveIfDue,
    added(count: number): void {
      accesses += count;
      if (encoder.pendingBytes >= blockBytesWanted) give();
      else giveIfDue();
    },
  };
}

/** Tells what was waited for, came ahead, or was here. */
function openLevels() {
  const ahead = new Set<string>();
  // Of operations that wait: what they lacked, and since when (ms).
  const missing = new WeakMap<object, Map<string, number>>();
  let operation: object = {};
  return {
    begin(begins: object): void {
      operation = begins;
    },
    missed(key: string): void {
      const waiting = missing.get(operation) ?? new Map<string, number>();
      missing.set(operation, waiting);
      if (!waiting.has(key)) waiting.set(key, performance.now());
    },
    willCome(key: string): void {
      if (ahead.size >= aheadMax) ahead.clear();
      ahead.add(key);
    },
    found(key: string): { readonly level: HitLevel; readonly since?: number } {
      const cameAhead = ahead.delete(key);
      const waited = missing.get(operation);
      const since = waited?.get(key);
      if (since === undefined) return { level: cameAhead ? 'ahead' : 'shelf' };
      waited?.delete(key);
      return { level: 'fetched', since };
    },
  };
}

function promisedSize({ size }: Want): number {
  return size.kind === 'exact' ? size.bytes : NaN;
}

interface Noted {
  readonly operation: AccessOperation;
  readonly offset: number;
  readonly length: number;
  readonly plainSize: number;
  /** Milliseconds. */
  readonly began: number;
  readonly level?: HitLevel;
}

/** Bytes of an object of which only a limit may be known. */
function sizeOf({ size }: Want, path: string | undefined): number {
  if (size.kind === 'exact') return size.bytes;
  return (path === undefined ? undefined : statSync(path, { throwIfNoEntry: false })?.size) ?? NaN;
}

// A process takes another name when it becomes another program, so it is asked for again, not before so long (ms).
const nameIntervalMs = 100;
const namesMax = 4096;

function openProcessNames(): (pid: number) => string {
  const known = new Map<number, { readonly name: string; readonly asked: number }>();
  return (pid) => {
    const now = performance.now();
    const before = known.get(pid);
    if (before !== undefined && now - before.asked < nameIntervalMs) return before.name;
    if (known.size >= namesMax) known.clear();
    const name = readName(pid) ?? before?.name ?? '';
    known.set(pid, { name, asked: now });
    return name;
  };
}

function readName(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'latin1').trimEnd();
  } catch {
    return undefined;
  }
}
