import { formatSize } from '../../format/size-text.js';
import { printableText } from '../../format/bytes.js';
import { accessOperations, hitLevels, type Trace } from '../../trace/trace.js';
import { countText, microsecondsText, quantile, shareText } from './numbers.js';
import type { Section } from './report.js';

/* What a trace shows by itself. */

const slots = 60;
const directoriesShown = 24;

/** Equal parts of the time of a trace. */
interface Slots {
  readonly of: (time: number) => number;
  /** Begin and end of one, in seconds. */
  readonly seconds: (slot: number) => { readonly x1: number; readonly x2: number };
  readonly count: number;
}

function slotsOf({ times, accessCount }: Trace): Slots {
  const end = Math.max(1, times[accessCount - 1] ?? 0);
  return {
    of: (time) => Math.min(slots - 1, Math.floor((time / end) * slots)),
    seconds: (slot) => ({ x1: (slot * end) / slots / 1e6, x2: ((slot + 1) * end) / slots / 1e6 }),
    count: slots,
  };
}

function spanText({ x1, x2 }: { readonly x1: number; readonly x2: number }): string {
  return `${microsecondsText(x1 * 1e6)} to ${microsecondsText(x2 * 1e6)}`;
}

const open = accessOperations.indexOf('open');

/** What is drawn of a trace. @param label tells several apart. */
export function traceSections(trace: Trace, label: string): Section[] {
  if (trace.accessCount === 0) return [];
  const named = label === '' ? '' : ` (${label})`;
  return [
    timeline(trace, named, label),
    workingSet(trace, named, label),
    amplification(trace, named, label),
    heat(trace, named, label),
    ...latencies(trace, named, label),
  ];
}

/** Where and how it was recorded. */
export function traceConditions({ header, accessCount, end }: Trace): [string, string][] {
  return [
    ['recorded', `${new Date(header.startedAt).toISOString()} by ${header.writer}`],
    ['source', `${header.source} (${header.repository}, root hash ${header.rootHash})`],
    ['limit of the cache', header.cacheLimit === 0 ? 'not known' : formatSize(header.cacheLimit)],
    ['accesses', `${countText(accessCount)}${end === 'cut' ? ', cut short' : ''}`],
    [
      'complete',
      header.isComplete
        ? 'yes: the kernel kept nothing (--record-all)'
        : 'no: what the kernel answered by itself is not in it',
    ],
  ];
}

const levelTexts: Readonly<Record<string, string>> = {
  shelf: 'from the cache',
  fetched: 'fetched while somebody waited',
  ahead: 'fetched ahead',
  none: 'opened',
};

function timeline(trace: Trace, named: string, label: string): Section {
  const at = slotsOf(trace);
  const counts = hitLevels.map(() => new Float64Array(at.count));
  for (let index = 0; index < trace.accessCount; index++) {
    const column = counts[trace.levels[index] ?? 0];
    const slot = at.of(trace.times[index] ?? 0);
    if (column !== undefined) column[slot] = (column[slot] ?? 0) + 1;
  }
  const shown = hitLevels.flatMap((level, row) => {
    const column = counts[row] ?? new Float64Array(0);
    const sum = column.reduce((total, each) => total + each, 0);
    return level === 'none' || sum === 0
      ? []
      : [{ level: levelTexts[level] ?? level, column, sum }];
  });
  return {
    id: `timeline-${label}`,
    title: `Requests over time${named}`,
    text: `${countText(trace.accessCount)} accesses in ${microsecondsText(trace.times[trace.accessCount - 1] ?? 0)}: how many there were in each ${slots}th of that time, and where they were answered from.`,
    chart: {
      kind: 'stack',
      x: { label: 'time since the begin', unit: 'seconds' },
      y: { label: 'accesses', unit: 'count' },
      data: shown.flatMap(({ level, column }) =>
        [...column].map((y, slot) => ({
          ...at.seconds(slot),
          y,
          series: level,
          text: `${spanText(at.seconds(slot))}: ${countText(y)} ${level}`,
        })),
      ),
    },
    table: {
      head: ['answered', 'accesses', 'share'],
      rows: shown.map(({ level, sum }) => [
        level,
        countText(sum),
        shareText(sum / shown.reduce((total, each) => total + each.sum, 0)),
      ]),
    },
  };
}

function sizeAt({ plainSizes, storedSizes }: Trace['objectTable'], object: number): number {
  const [plain = NaN, stored = NaN] = [plainSizes[object], storedSizes[object]];
  return Number.isNaN(plain) ? (Number.isNaN(stored) ? 0 : stored) : plain;
}

function workingSet(trace: Trace, named: string, label: string): Section {
  const at = slotsOf(trace);
  const lastSlot = new Int32Array(trace.objectTable.count).fill(-1);
  const all = new Float64Array(at.count);
  const inSlot = new Float64Array(at.count);
  for (let index = 0; index < trace.accessCount; index++) {
    const object = trace.objects[index] ?? 0;
    const slot = at.of(trace.times[index] ?? 0);
    const size = sizeAt(trace.objectTable, object);
    if (lastSlot[object] === -1) all[slot] = (all[slot] ?? 0) + size;
    if (lastSlot[object] !== slot) inSlot[slot] = (inSlot[slot] ?? 0) + size;
    lastSlot[object] = slot;
  }
  let sum = 0;
  const total = all.map((bytes) => (sum += bytes));
  const series = [
    { name: 'since the begin', column: total },
    { name: 'in that moment', column: inSlot },
  ];
  const shown = [...total.keys()].filter((slot) => slot % 6 === 5);
  return {
    id: `working-set-${label}`,
    title: `Working set${named}`,
    text: `Plain bytes of the objects that were used: ${formatSize(sum)} in all. A cache that holds what is used in one moment and the next misses little.`,
    chart: {
      kind: 'lines',
      x: { label: 'time since the begin', unit: 'seconds' },
      y: { label: 'plain bytes', unit: 'bytes' },
      marked: [],
      data: series.flatMap(({ name, column }) =>
        [...column].map((y, slot) => ({
          x: at.seconds(slot).x2,
          y,
          series: name,
          text: `${microsecondsText(at.seconds(slot).x2 * 1e6)}, ${name}: ${formatSize(y)}`,
        })),
      ),
    },
    table: {
      head: ['until', 'used since the begin', 'used in that moment'],
      rows: shown.map((slot) => [
        microsecondsText(at.seconds(slot).x2 * 1e6),
        formatSize(total[slot] ?? 0),
        formatSize(inSlot[slot] ?? 0),
      ]),
    },
  };
}

function amplification(trace: Trace, named: string, label: string): Section {
  const { objectTable: table } = trace;
  const wasUsed = new Uint8Array(table.count);
  let read = 0;
  let used = 0;
  let fetchedPlain = 0;
  let fetchedStored = 0;
  for (let index = 0; index < trace.accessCount; index++) {
    const object = trace.objects[index] ?? 0;
    if (trace.operations[index] === open) continue;
    read += trace.lengths[index] ?? 0;
    if (wasUsed[object] === 0) used += sizeAt(table, object);
    wasUsed[object] = 1;
    const level = hitLevels[trace.levels[index] ?? 0];
    if (level === 'fetched' || level === 'ahead') {
      fetchedPlain += sizeAt(table, object);
      const stored = table.storedSizes[object] ?? NaN;
      fetchedStored += Number.isNaN(stored) ? sizeAt(table, object) : stored;
    }
  }
  const rows = [
    { name: 'read by processes', value: read },
    { name: 'objects they used, whole', value: used },
    { name: 'fetched, unpacked', value: fetchedPlain },
    { name: 'fetched, as it travelled', value: fetchedStored },
  ];
  return {
    id: `amplification-${label}`,
    title: `Read amplification${named}`,
    text: `Who reads a part of an object has all of it fetched: for each byte that was read, ${(fetchedPlain / Math.max(1, read)).toFixed(2)} bytes were unpacked into the cache, and ${(fetchedStored / Math.max(1, read)).toFixed(2)} travelled.`,
    chart: {
      kind: 'bars',
      axis: { label: 'bytes', unit: 'bytes' },
      data: rows.map(({ name, value }) => ({
        name,
        series: name,
        value,
        text: `${name}: ${formatSize(value)}`,
      })),
    },
    table: {
      head: ['what', 'bytes', 'for each byte read'],
      rows: rows.map(({ name, value }) => [
        name,
        formatSize(value),
        (value / Math.max(1, read)).toFixed(2),
      ]),
    },
  };
}

/** Up to three parts of the directory that a path lies in. */
function directoryOf(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  return `/${parts.slice(0, Math.min(3, parts.length - 1)).join('/')}`;
}

function heat(trace: Trace, named: string, label: string): Section {
  const at = slotsOf(trace);
  const directories = trace.paths.map((path) => directoryOf(printableText(path)));
  const counts = new Map<string, Float64Array>();
  const sums = new Map<string, number>();
  for (let index = 0; index < trace.accessCount; index++) {
    const directory = directories[trace.pathNumbers[index] ?? 0] ?? '/';
    const row = counts.get(directory) ?? new Float64Array(at.count);
    const slot = at.of(trace.times[index] ?? 0);
    row[slot] = (row[slot] ?? 0) + 1;
    counts.set(directory, row);
    sums.set(directory, (sums.get(directory) ?? 0) + 1);
  }
  const shown = [...sums].sort(([, one], [, other]) => other - one).slice(0, directoriesShown);
  return {
    id: `heat-${label}`,
    title: `Accesses by directory${named}`,
    text: `When objects below which directory were used; the ${shown.length} directories with most of it, of ${sums.size}.`,
    chart: {
      kind: 'cells',
      x: { label: 'time since the begin', unit: 'seconds' },
      value: { label: 'accesses', unit: 'count' },
      data: shown.flatMap(([row]) =>
        [...(counts.get(row) ?? [])].flatMap((value, slot) =>
          value === 0
            ? []
            : [
                {
                  ...at.seconds(slot),
                  row,
                  value,
                  text: `${row}, ${spanText(at.seconds(slot))}: ${countText(value)}`,
                },
              ],
        ),
      ),
    },
    table: {
      head: ['directory', 'accesses', 'share'],
      rows: shown.map(([row, sum]) => [row, countText(sum), shareText(sum / trace.accessCount)]),
    },
  };
}

function latencies(trace: Trace, named: string, label: string): Section[] {
  const rows = hitLevels.flatMap((level, number) => {
    const found = trace.durations
      .filter((_, index) => trace.levels[index] === number && trace.operations[index] !== open)
      .sort();
    return found.length === 0 ? [] : [{ level: levelTexts[level] ?? level, found }];
  });
  if (rows.length === 0) return [];
  const data = rows.flatMap(({ level, found }) => {
    // Four classes from one time to twice as much.
    const classes = new Map<number, number>();
    for (const us of found) {
      const step = Math.floor(Math.log2(Math.max(1, us)) * 4);
      classes.set(step, (classes.get(step) ?? 0) + 1);
    }
    return [...classes].map(([step, y]) => {
      const [x1, x2] = [2 ** (step / 4), 2 ** ((step + 1) / 4)];
      const text = `${level}: ${countText(y)} from ${microsecondsText(x1)} to ${microsecondsText(x2)}`;
      return { x1, x2, y, series: level, text };
    });
  });
  return [
    {
      id: `access-latencies-${label}`,
      title: `How long accesses took${named}`,
      text: 'From asking to answer, by where the answer came from.',
      chart: {
        kind: 'stack',
        x: { label: 'time', unit: 'microseconds', isLogarithmic: true },
        y: { label: 'accesses', unit: 'count' },
        data,
      },
      table: {
        head: ['answered', 'accesses', 'p50', 'p90', 'p99', 'most'],
        rows: rows.map(({ level, found }) => [
          level,
          countText(found.length),
          ...[0.5, 0.9, 0.99, 1].map((share) => microsecondsText(quantile(found, share))),
        ]),
      },
    },
  ];
}
