import type { BenchResult } from '../results/bench-result.js';
import type { Slices } from '../slices.js';
import { requestsOfTraces } from '../trace-requests.js';
import type { Trace } from '../../trace/trace.js';
import { curveAccesses, curveSection } from './curve-section.js';
import { countText, shareText } from './numbers.js';
import type { Report, Section } from './report.js';
import { resultConditions, resultSections } from './result-sections.js';
import { traceConditions, traceSections } from './trace-sections.js';

/** What a report is made of; each with its name, as of its file. */
export interface Reported {
  readonly results: readonly { readonly name: string; readonly result: BenchResult }[];
  readonly traces: readonly { readonly name: string; readonly trace: Trace }[];
  /** The command line that made it. */
  readonly command: string;
}

/** How many accesses will be played for it, about. */
export function reportAccesses({ traces }: Reported): number {
  return curveAccesses(traces.reduce((sum, { trace }) => sum + trace.accessCount, 0));
}

/** The report on results and traces. The traces are used up: their columns are not what they were. */
export function* makeReport({ results, traces, command }: Reported): Slices<Report> {
  const several = results.length + traces.length > 1;
  const label = (name: string): string => (several ? name : '');
  const ofResults = results.flatMap(({ name, result }) => resultSections(result, label(name)));
  const ofTraces = traces.flatMap(({ name, trace }) => traceSections(trace, label(name)));
  const conditions = [
    ['this page', command] as const,
    ...results.flatMap(({ result }) => resultConditions(result)),
    ...traces.flatMap(({ trace }) => traceConditions(trace)),
  ];
  const names = [...results, ...traces].map(({ name }) => name);
  const curves: Section[] = [];
  let hits = '';
  if (traces.some(({ trace }) => trace.accessCount > 0)) {
    const limits = traces.map(({ trace }) => trace.header.cacheLimit).filter((limit) => limit > 0);
    const { requests, recorded } = requestsOfTraces(traces.map(({ trace }) => trace));
    const uses = recorded.hits + recorded.misses;
    hits = ` ${countText(uses)} uses of objects were recorded; ${shareText(recorded.hits / uses)} were answered from the cache.`;
    curves.push(yield* curveSection(requests, [...new Set(limits)]));
  }
  return {
    title: `pinfs: ${names.join(', ')}`,
    summary: `What was measured and recorded, and what other caches would have done.${hits}`,
    sections: [...ofResults, ...curves, ...ofTraces].map((section, index) => ({
      ...section,
      id: `picture-${index + 1}`,
    })),
    conditions,
  };
}
