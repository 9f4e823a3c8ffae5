import { fileError } from '../../lib/format/file-fault.js';
import { isoTime } from '../../lib/format/time.js';
import { InvalidArgumentError, type Command } from 'commander';
import { printable, fromText, printableJson, printableText } from '../../lib/format/bytes.js';
import type { OptionValues } from '../../lib/options/option.js';
import { foreignFormats } from '../../lib/trace/foreign/formats.js';
import type { TraceSummary } from '../../lib/trace/text.js';
import type { Access, Trace } from '../../lib/trace/trace.js';
import { runAction, warn } from './failures.js';
import { addOptions, outputOptions, type CommandOptionRows, type OutputFlags } from './options.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { formatSize } from './sizes.js';

const headOptions = {
  count: {
    flag: '--count',
    value: 'n',
    kind: 'number',
    default: 10,
    help: 'how many accesses',
    parse: parseCount,
  },
} as const satisfies CommandOptionRows;

type HeadFlags = OutputFlags & OptionValues<typeof headOptions>;

const fileArgument = 'a trace that pinfs mount --record or pinfs record start wrote';

export function register(program: Command): void {
  const trace = program.command('trace').description('look at a trace of accesses');
  fileCommand(trace.command('info'))
    .description('what a trace is of, and what is in it in numbers')
    .action(info);
  fileCommand(trace.command('show'))
    .description('each access, a line for people')
    .action((file: string, flags: OutputFlags) => each(file, flags, showLine, ''));
  fileCommand(trace.command('csv'))
    .description('each access as a line of CSV')
    .action((file: string, flags: OutputFlags) => each(file, flags, csvLine, 'header'));
  fileCommand(trace.command('json'))
    .description('each access as a line of JSON')
    .action((file: string, flags: OutputFlags) => each(file, flags, jsonLine, ''));
  addOptions(fileCommand(trace.command('head')), headOptions)
    .description('the first accesses')
    .action((file: string, flags: HeadFlags) => each(file, flags, showLine, '', flags.count));
  addOptions(outputOptions(trace.command('import')), foreignOptions)
    .description("make a trace of another tool's")
    .argument('<file>', 'what the other tool wrote')
    .action(importTrace);
  addOptions(fileCommand(trace.command('export')), foreignOptions)
    .description('write a trace as another tool reads it')
    .action(exportTrace);
}

const foreignOptions = {
  format: {
    flag: '--format',
    value: 'name',
    kind: 'choice',
    choices: foreignFormats,
    required: true,
    help: "the other tool's format",
    manual:
      'The format of another tool: `libcachesim-csv` (time in seconds, object, size), `oracle-general` (records of 24 bytes ' +
      "with the next access, of libCacheSim) or `cvmfs-tracer` (what the reference's client writes to CVMFS_TRACEFILE).",
  },
  output: {
    flag: '--output',
    short: '-o',
    value: 'file',
    kind: 'path',
    required: true,
    help: 'where it goes',
  },
} as const satisfies CommandOptionRows;

type ForeignFlags = OutputFlags & OptionValues<typeof foreignOptions>;

function fileCommand(command: Command): Command {
  return outputOptions(command).argument('<file>', fileArgument);
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isSafeInteger(count) && count > 0) return count;
  throw new InvalidArgumentError('It is a whole number above 0.');
}

/** Reads with progress. @throws PinfsError USAGE for what can't be read, NOT_A_TRACE, TRACE_DAMAGED, TRACE_VERSION. */
async function readTrace(file: string, most?: number): Promise<Trace> {
  const { readTraceFile } = await import('../../lib/trace/read-trace-file.js');
  const trace = await withProgress('read', undefined, (progress) =>
    Promise.resolve(
      readable(file, () =>
        readTraceFile(file, {
          accessesMax: most,
          progress: (done, total) => {
            progress.update(done, `of ${total} bytes`);
          },
        }),
      ),
    ),
  );
  if (trace.end === 'cut' && most === undefined) {
    warn('the trace has no end: its recording was cut off; it is whole up to there');
  }
  return trace;
}

type Texts = typeof import('../../lib/trace/text.js');
type Line = (texts: Texts, access: Access) => string;

const showLine: Line = (texts, access) => texts.accessText(access);
const csvLine: Line = (texts, access) => texts.accessCsv(access);
const jsonLine: Line = (texts, access) => printableJson(texts.accessJson(access));

async function each(
  file: string,
  flags: OutputFlags,
  line: Line,
  header: '' | 'header',
  most?: number,
): Promise<void> {
  await runAction(flags, async () => {
    const trace = await readTrace(file, most);
    const { accessesOf } = await import('../../lib/trace/accesses.js');
    const texts = await import('../../lib/trace/text.js');
    const write = flags.json === true ? jsonLine : line;
    if (header === 'header' && flags.json !== true) await print(`${texts.traceCsvHeader}\n`);
    let count = 0;
    for (const access of accessesOf(trace)) {
      if (most !== undefined && count++ >= most) break;
      await print(`${write(texts, access)}\n`);
    }
  });
}

async function info(file: string, flags: OutputFlags): Promise<void> {
  await runAction(flags, async () => {
    const trace = await readTrace(file);
    const { summaryOf } = await import('../../lib/trace/text.js');
    const summary = summaryOf(trace);
    const { header } = trace;
    if (flags.json === true) {
      const started = isoTime(header.startedAt / 1000);
      printJson({ header: { ...header, started }, ...summary });
      return;
    }
    process.stdout.write(`${infoLines(trace, summary).map(printableText).join('\n')}\n`);
  });
}

function infoLines({ header }: Trace, summary: TraceSummary): string[] {
  const clean = (text: string): string => printable(fromText(text)) || 'not known';
  const counts = (record: Readonly<Record<string, number>>): string =>
    Object.entries(record)
      .slice(0, 8)
      .map(([name, count]) => `${name === '' ? 'not known' : name} ${count}`)
      .join(', ') || 'none';
  const kept = header.isComplete ? 'all reads' : 'what the kernel did not answer itself';
  const whole = summary.end === 'complete' ? '' : '; cut off';
  return [
    `repository  ${clean(header.repository)}`,
    `root hash   ${clean(header.rootHash)}`,
    `source      ${clean(header.source)}`,
    `recorded    ${new Date(header.startedAt).toISOString()}, ${summary.seconds.toFixed(3)} s, by ${clean(header.writer)}: ${kept}${whole}`,
    `cache       ${header.cacheLimit === 0 ? 'limit not known' : `limit ${formatSize(header.cacheLimit)}`}`,
    `accesses    ${summary.accesses} (${counts(summary.operations)})`,
    `found       ${counts(summary.levels)}`,
    `objects     ${summary.objects} of ${formatSize(summary.objectBytes)}, under ${summary.paths} paths; ${formatSize(summary.storedBytes)} came over the network`,
    `read        ${formatSize(summary.readBytes)}`,
    `processes   ${counts(summary.processes)}`,
  ];
}

// What is imported is read as a whole (bytes).
const importedBytesMax = 1024 * 1024 * 1024;

async function importTrace(file: string, flags: ForeignFlags): Promise<void> {
  await runAction(flags, async () => {
    const { importedTrace } = await import('../../lib/trace/foreign/convert.js');
    const { readGiven } = await import('../../lib/files/given.js');
    const { version } = await import('../../lib/machine/version.js');
    const bytes = readable(file, () => readGiven(file, importedBytesMax));
    const pieces = importedTrace(bytes, flags.format, file, `pinfs ${version}`);
    await writeOut(flags, pieces);
  });
}

async function exportTrace(file: string, flags: ForeignFlags): Promise<void> {
  await runAction(flags, async () => {
    const trace = await readTrace(file);
    const { exportedTrace } = await import('../../lib/trace/foreign/convert.js');
    await writeOut(flags, exportedTrace(trace, flags.format));
  });
}

/** @throws PinfsError OUTPUT_FAILED, what making the pieces throws */
async function writeOut(
  { output: out, json }: ForeignFlags,
  pieces: Iterable<Buffer>,
): Promise<void> {
  const { closeSync, openSync, writeSync } = await import('node:fs');
  const written = <T>(action: () => T): T => {
    try {
      return action();
    } catch (cause) {
      throw fileError('OUTPUT_FAILED', 'write', '', out, cause);
    }
  };
  let bytes = 0;
  // Nothing is begun where the first piece shows that it is none.
  let fd: number | undefined;
  for (const piece of pieces) {
    const to = (fd ??= written(() => openSync(out, 'w')));
    for (let rest = piece; rest.length > 0;) {
      const left = rest;
      rest = rest.subarray(written(() => writeSync(to, left)));
    }
    bytes += piece.length;
  }
  if (fd !== undefined) closeSync(fd);
  if (json === true) printJson({ out, bytes });
  else process.stdout.write(`${printableText(out)} was written (${formatSize(bytes)})\n`);
}

/** @throws PinfsError USAGE for a file that can't be read */
export function readable<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    throw fileError('USAGE', 'read', '', file, thrown);
  }
}
