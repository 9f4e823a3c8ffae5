import { encodeTrace } from '../encode-trace.js';
import type { Trace } from '../trace.js';
import { exportTracer, importTracer } from './cvmfs-tracer.js';
import type { ForeignFormat, ImportedTrace } from './formats.js';
import { exportCsv, exportOracleGeneral, importCsv, importOracleGeneral } from './libcachesim.js';

const importers: Readonly<Record<ForeignFormat, (bytes: Buffer) => ImportedTrace>> = {
  'libcachesim-csv': importCsv,
  'oracle-general': importOracleGeneral,
  'cvmfs-tracer': importTracer,
};

const exporters: Readonly<Record<ForeignFormat, (trace: Trace) => Generator<Buffer>>> = {
  'libcachesim-csv': exportCsv,
  'oracle-general': exportOracleGeneral,
  'cvmfs-tracer': exportTracer,
};

/** The pieces of a trace's file, made of another tool's. @param writer as in the header. @throws PinfsError NOT_A_TRACE */
export function* importedTrace(
  bytes: Buffer,
  format: ForeignFormat,
  source: string,
  writer: string,
): Generator<Buffer> {
  const { startedAt, accesses } = importers[format](bytes);
  const nothing = { repository: '', rootHash: '', isComplete: false, cacheLimit: 0 };
  yield* encodeTrace({ ...nothing, startedAt, source, writer }, accesses);
}

/** The pieces of another tool's file. */
export function exportedTrace(trace: Trace, format: ForeignFormat): Generator<Buffer> {
  return exporters[format](trace);
}
