import { traceObjectText } from './object-text.js';
import { accessOperations, hitLevels, type Access, type Trace } from './trace.js';

/** One access of a trace that was read with all its columns. */
function accessAt(trace: Trace, index: number): Access {
  const object = trace.objects[index] ?? 0;
  const process = trace.processes[trace.processNumbers[index] ?? 0];
  return {
    time: trace.times[index] ?? 0,
    duration: trace.durations[index] ?? 0,
    operation: accessOperations[trace.operations[index] ?? 0] ?? 'open',
    level: hitLevels[trace.levels[index] ?? 0] ?? 'none',
    object: traceObjectText(trace.objectTable, object),
    plainSize: trace.objectTable.plainSizes[object] ?? NaN,
    offset: trace.offsets[index] ?? 0,
    length: trace.lengths[index] ?? 0,
    path: trace.paths[trace.pathNumbers[index] ?? 0] ?? '',
    pid: process?.pid ?? 0,
    processName: process?.name ?? '',
  };
}

/** All of them, in their order. */
export function* accessesOf(trace: Trace): Generator<Access> {
  for (let index = 0; index < trace.accessCount; index++) yield accessAt(trace, index);
}
