import { accessOperations, digestBytes, hitLevels, traceObjectKinds } from '../trace/trace.js';
import type { ObjectTable, Trace } from '../trace/trace.js';
import { PinfsError } from '../format/errors.js';
import {
  accessesMax,
  concatenate,
  interleave,
  type Accesses,
  type RequestSequence,
} from './requests.js';

/** What was seen of an access while it was recorded. */
export interface RecordedHits {
  /** What was in the cache, and what had to be fetched (also ahead). */
  readonly hits: number;
  readonly misses: number;
  /** Bytes as they travelled, of the misses. */
  readonly fetchedBytes: number;
}

/** What of traces is to be studied. */
export interface TraceRequests {
  readonly requests: RequestSequence;
  /** So many accesses at the begin are those of the warming traces. */
  readonly warm: number;
  readonly recorded: RecordedHits;
  /** Objects of which nobody knew the size: they count as one block. */
  readonly unknownSizes: number;
}

type Columns = Pick<
  Trace,
  'times' | 'objects' | 'operations' | 'levels' | 'offsets' | 'objectTable' | 'accessCount'
>;

const blockBytes = 4096;

/**
 * The uses of objects in traces: what was read from its begin, or for the first time, and each load of a catalog. A read
 * that goes on behind another one, and an open, is none: that is how the cache counts as well. Traces are taken as jobs
 * that began at once.
 * @param warming are played before.
 * @throws PinfsError USAGE: they are too many at once.
 */
export function requestsOfTraces(
  traces: readonly Columns[],
  warming: readonly Columns[] = [],
): TraceRequests {
  const all = [...warming, ...traces];
  if (all.reduce((sum, { accessCount }) => sum + accessCount, 0) > accessesMax) {
    throw new PinfsError('USAGE', `the traces have more than ${accessesMax} accesses together`, {
      advice: 'Give fewer traces at once.',
    });
  }
  const table = mergeTables(all.map(({ objectTable }) => objectTable));
  const used = all.map((trace, index) => usesOf(trace, table.numbers[index]));
  const measured = interleave(used.slice(warming.length));
  const before = warming.length === 0 ? undefined : interleave(used.slice(0, warming.length));
  const accesses = before === undefined ? measured : concatenate(before, measured);
  return {
    requests: { ...accesses, ...table.facts },
    warm: before?.objects.length ?? 0,
    recorded: sumOf(used.slice(warming.length).map(({ recorded }) => recorded)),
    unknownSizes: table.unknownSizes,
  };
}

function sumOf(parts: readonly RecordedHits[]): RecordedHits {
  const total = (of: (part: RecordedHits) => number): number =>
    parts.reduce((sum, part) => sum + of(part), 0);
  return {
    hits: total(({ hits }) => hits),
    misses: total(({ misses }) => misses),
    fetchedBytes: total(({ fetchedBytes }) => fetchedBytes),
  };
}

const read = accessOperations.indexOf('read');
const open = accessOperations.indexOf('open');
const shelf = hitLevels.indexOf('shelf');

/** The uses of one trace. @param numbers of its objects in the table of all; undefined: its own. */
function usesOf(
  trace: Columns,
  numbers: Uint32Array | undefined,
): Accesses & { readonly recorded: RecordedHits } {
  const { times, objects, operations, levels, offsets, objectTable } = trace;
  const wasRead = new Uint8Array(objectTable.count);
  const isUse = (index: number): boolean => {
    const operation = operations[index];
    const object = objects[index] ?? 0;
    if (operation === open) return false;
    const isFirst = operation !== read || offsets[index] === 0 || wasRead[object] === 0;
    wasRead[object] = 1;
    return isFirst;
  };
  let kept = 0;
  let hits = 0;
  let fetchedBytes = 0;
  // In their places, which are the trace's own: nobody needs it any more, and a copy may be too much.
  for (let index = 0; index < trace.accessCount; index++) {
    if (!isUse(index)) continue;
    const object = objects[index] ?? 0;
    if (levels[index] === shelf) hits++;
    else fetchedBytes += knownSize(objectTable.storedSizes[object]) ?? 0;
    objects[kept] = numbers?.[object] ?? object;
    times[kept] = times[index] ?? 0;
    kept++;
  }
  const recorded = { hits, misses: kept - hits, fetchedBytes };
  return { objects: objects.subarray(0, kept), times: times.subarray(0, kept), recorded };
}

function knownSize(bytes: number | undefined): number | undefined {
  return bytes === undefined || Number.isNaN(bytes) ? undefined : bytes;
}

/** One table of the objects of all traces. */
function mergeTables(tables: readonly ObjectTable[]): {
  readonly facts: Pick<RequestSequence, 'sizes' | 'storedSizes' | 'isCatalog'>;
  readonly numbers: readonly (Uint32Array | undefined)[];
  readonly unknownSizes: number;
} {
  const count = tables.reduce((sum, table) => sum + table.count, 0);
  const sizes = new Float64Array(count).fill(NaN);
  const storedSizes = new Float64Array(count).fill(NaN);
  const isCatalog = new Uint8Array(count);
  const known = new Map<string, number>();
  let next = 0;
  const numbers = tables.map((table) => {
    const own = tables.length === 1 ? undefined : new Uint32Array(table.count);
    for (let index = 0; index < table.count; index++) {
      const name = own === undefined ? '' : nameOf(table, index);
      const number = (own === undefined ? undefined : known.get(name)) ?? next++;
      if (own !== undefined) {
        own[index] = number;
        known.set(name, number);
      }
      sizes[number] = knownSize(sizes[number]) ?? table.plainSizes[index] ?? NaN;
      storedSizes[number] = knownSize(storedSizes[number]) ?? table.storedSizes[index] ?? NaN;
      isCatalog[number] = isCatalogKind(table.kinds[index]) ? 1 : 0;
    }
    return own;
  });
  const unknownSizes = fillUnknown(sizes.subarray(0, next), storedSizes);
  return {
    facts: {
      sizes: sizes.subarray(0, next),
      storedSizes: storedSizes.subarray(0, next),
      isCatalog: isCatalog.subarray(0, next),
    },
    numbers,
    unknownSizes,
  };
}

function isCatalogKind(kind: number | undefined): boolean {
  const name = traceObjectKinds[kind ?? 0];
  return name === 'catalog' || name === 'history';
}

function nameOf({ digests, forms, kinds, isPlain }: ObjectTable, index: number): string {
  const digest = digests.subarray(index * digestBytes, (index + 1) * digestBytes);
  const text = Buffer.from(digest.buffer, digest.byteOffset, digest.length).toString('latin1');
  return `${forms[index] ?? 0}.${kinds[index] ?? 0}.${isPlain[index] ?? 0}.${text}`;
}

/** Where only one of the two sizes is known, it stands for the other. @returns of how many neither is. */
function fillUnknown(sizes: Float64Array, storedSizes: Float64Array): number {
  let unknown = 0;
  for (let index = 0; index < sizes.length; index++) {
    const [plain, stored] = [knownSize(sizes[index]), knownSize(storedSizes[index])];
    if (plain === undefined && stored === undefined) unknown++;
    // Nothing takes no room at all.
    sizes[index] = Math.max(1, plain ?? stored ?? blockBytes);
    storedSizes[index] = stored ?? plain ?? blockBytes;
  }
  return unknown;
}
