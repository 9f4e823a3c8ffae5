import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import type { DrawingLibraries } from '../../lib/laboratory/report/page.js';
import { fileError } from '../../lib/format/file-fault.js';
import type { OptionValues } from '../../lib/options/option.js';
import { PinfsError } from '../../lib/format/errors.js';
import { readResultFile } from './bench-diff.js';
import { runAction } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';
import { readable } from './trace.js';
import { withAccessProgress } from './traces.js';

const reportOptions = {
  output: {
    flag: '--output',
    short: '-o',
    value: 'file',
    kind: 'path',
    default: 'report.html',
    help: 'the page to write',
  },
} as const satisfies CommandOptionRows;

type ReportFlags = OutputFlags & OptionValues<typeof reportOptions>;

export function register(program: Command): void {
  addOptions(outputOptions(program.command('report')), reportOptions)
    .description(
      `make a page of pictures from results of bench and recorded traces

One file that needs no network: times, curves of policies with the present limit, requests and working set over time, read amplification, accesses by directory, latencies, each with a table, and under which conditions it was made.`,
    )
    .summary('make a page of pictures from results and traces')
    .argument('<file...>', 'what `pinfs bench -o` and `pinfs mount --record` wrote')
    .action(report);
}

async function report(paths: readonly string[], flags: ReportFlags): Promise<void> {
  await runAction(flags, async () => {
    const { makeReport, reportAccesses } =
      await import('../../lib/laboratory/report/make-report.js');
    const { reportPage } = await import('../../lib/laboratory/report/page.js');
    const command = `pinfs report ${paths.join(' ')} -o ${flags.output}`;
    const reported = { ...(await readAll(paths)), command };
    const made = await withAccessProgress('report', reportAccesses(reported), makeReport(reported));
    const page = reportPage(made, drawingLibraries());
    try {
      writeFileSync(flags.output, page);
    } catch (thrown) {
      throw fileError('OUTPUT_FAILED', 'write', 'the report', flags.output, thrown);
    }
    const pictures = made.sections.length;
    if (flags.json === true) printJson({ output: flags.output, pictures });
    else await print(`${flags.output}: ${pictures} pictures\n`);
  });
}

/** @throws PinfsError of what is neither a result nor a trace, or a damaged one. */
async function readAll(paths: readonly string[]) {
  const { readTraceFile } = await import('../../lib/trace/read-trace-file.js');
  const traces = [];
  const results = [];
  for (const path of paths) {
    const name = basename(path);
    try {
      traces.push({ name, trace: readable(path, () => readTraceFile(path)) });
    } catch (thrown) {
      if (!(thrown instanceof PinfsError) || thrown.code !== 'NOT_A_TRACE') throw thrown;
      results.push({ name, result: readResultFile(path) });
    }
  }
  return { traces, results };
}

/** As they came with this program. */
function drawingLibraries(): DrawingLibraries {
  // What is installed is bundled, where nothing else finds packages.
  const require = createRequire(import.meta.url);
  const text = (name: string, file: string): string =>
    readFileSync(join(dirname(require.resolve(name)), '..', 'dist', file), 'utf8');
  return {
    d3: text('d3', 'd3.min.js'),
    plot: text('@observablehq/plot', 'plot.umd.min.js'),
  };
}
