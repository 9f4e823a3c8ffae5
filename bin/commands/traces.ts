import { setImmediate as turn } from 'node:timers/promises';
import { printableText } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import type { Slices } from '../../lib/laboratory/slices.js';
import type { TraceRequests } from '../../lib/laboratory/trace-requests.js';
import type { OptionRows } from '../../lib/options/option.js';
import type { TraceHeader } from '../../lib/trace/trace.js';
import { percent } from './bars.js';
import { warn } from './failures.js';
import { withProgress } from './progress.js';
import { formatSize } from './sizes.js';
import { readable } from './trace.js';

/* What the commands over traces have in common: reading them, and telling how far one is. */

/** What the help says of TRACE. */
export const traceArgument =
  'what `pinfs mount --record` wrote; several are jobs that began at once';

export const warmOption = {
  warm: {
    flag: '--warm',
    value: 'trace',
    kind: 'path',
    repeatable: true,
    help: 'a trace that fills the cache before, and is not counted',
  },
} as const satisfies OptionRows;

export const byOption = {
  by: {
    flag: '--by',
    value: 'object|bytes',
    kind: 'choice',
    choices: ['bytes', 'object'],
    default: 'bytes',
    help: 'what a cache is limited by: sizes are bytes, or numbers of objects',
  },
} as const satisfies OptionRows;

/** The accesses of traces, and what these say of themselves. */
export interface ReadTraces extends TraceRequests {
  readonly headers: readonly TraceHeader[];
}

/**
 * Reads traces as jobs that began at once.
 * @throws PinfsError NOT_A_TRACE, TRACE_VERSION, TRACE_DAMAGED, USAGE; errors of the file system.
 */
export async function readTraces(
  paths: readonly string[],
  warming: readonly string[] = [],
): Promise<ReadTraces> {
  const { readTraceFile } = await import('../../lib/trace/read-trace-file.js');
  const { requestsOfTraces } = await import('../../lib/laboratory/trace-requests.js');
  const read = async (path: string) => {
    await turn();
    const trace = readable(path, () => readTraceFile(path, { columns: 'requests' }));
    if (trace.end === 'cut') warn(`${printableText(path)} has no end: what it holds is taken`);
    return trace;
  };
  const traces = [];
  for (const path of paths) traces.push(await read(path));
  const before = [];
  for (const path of warming) before.push(await read(path));
  const requests = requestsOfTraces(traces, before);
  if (requests.unknownSizes > 0)
    warn(`the size of ${requests.unknownSizes} objects is not known: they count as 4 KiB`);
  return { ...requests, headers: traces.map(({ header }) => header) };
}

/** Does long work, and tells how far it is and how long it may still take. @param total accesses. */
export async function withAccessProgress<T>(
  verb: string,
  total: number,
  work: Slices<T>,
): Promise<T> {
  return withProgress(verb, total, async (progress) => {
    const started = performance.now();
    for (let done = 0; ;) {
      const step = work.next();
      if (step.done === true) return step.value;
      done += step.value;
      const left = ((performance.now() - started) / done) * Math.max(0, total - done);
      progress.update(Math.min(done, total), `accesses, ${Math.ceil(left / 1000)} s left`);
      await turn();
    }
  });
}

/** A list between commas. @throws PinfsError USAGE: it is empty. */
export function listOf(text: string): string[] {
  const list = text.split(',').map((each) => each.trim());
  if (list.every((each) => each !== '')) return list;
  throw new PinfsError('USAGE', `'${text}' is no list`, {
    advice: 'Put commas between its parts.',
  });
}

/** Of traces: how much there is, and what was seen while they were recorded. */
export async function whatWasRead({ requests, warm, recorded, unknownSizes }: ReadTraces) {
  const { footprintOf } = await import('../../lib/laboratory/requests.js');
  const { objects, bytes } = footprintOf(requests);
  const accesses = requests.objects.length - warm;
  return { accesses, warm, objects, bytes, unknownSizes, recorded };
}

/** `1,234 uses of 123 objects (1.2 MiB); while it was recorded, 12.3 % were hits`. */
export async function whatWasReadText(read: ReadTraces): Promise<string> {
  const { accesses, objects, bytes, recorded } = await whatWasRead(read);
  const counts = `${accesses.toLocaleString('en')} uses of ${objects.toLocaleString('en')} objects`;
  const hits = percent(recorded.hits / (recorded.hits + recorded.misses));
  return `${counts} (${formatSize(bytes)}); while it was recorded, ${hits} were hits`;
}
