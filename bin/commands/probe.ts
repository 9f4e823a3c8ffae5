import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { exitOf, worseExit } from '../../lib/format/errors.js';
import type { ProbedWay, ProbeProgress, ProbeReport } from '../../lib/repository/probe.js';
import { runAction } from './failures.js';
import { sourceOptions, type SourceFlags } from './options.js';
import { print, printJson } from './output.js';
import { startProgress, startWaiting, type Progress } from './progress.js';
import { formatSize } from './sizes.js';
import { tableLines, type Column } from './table.js';
import { namedOptions, placeOf, tellingEnvironment } from './with-repository.js';

export function register(program: Command): void {
  sourceOptions(program.command('probe'))
    .description(
      `ask each mirror through each proxy, and tell what they answer

Who decided the order of the servers: the Geo API, the time in which they answer, or the list. Then one line for each way: its place in the order, milliseconds to the answer to a small request, what came a second of the root catalog, revision, age of the whitelist, and what is wrong. Exit code 0 if each one has a valid head.`,
    )
    .summary('ask each mirror through each proxy, and tell what they answer')
    .argument('<source>', 'URL or directory of a repository')
    .action(probe);
}

async function probe(source: string, flags: SourceFlags): Promise<void> {
  await runAction(flags, async () => {
    const { probeSource } = await import('../../lib/repository/probe.js');
    const shown = tellingProbe(source);
    const report = await namedOptions(source, flags, await tellingEnvironment())
      .then((options) => probeSource(options, undefined, shown.told))
      .finally(shown.stop);
    if (flags.json === true) printJson(report);
    else await print(table(report));
    process.exitCode = report.ways.reduce(
      (exit, { error }) => (error === null ? exit : worseExit(exit, exitOf(error.code))),
      0,
    );
  });
}

/** Shows on whom it waits: before the ways are known on the source, then on those that were asked. */
function tellingProbe(source: string): {
  readonly told: (progress: ProbeProgress) => void;
  readonly stop: () => void;
} {
  const asking = startWaiting('asking', placeOf(source));
  let progress: Progress | undefined;
  return {
    told({ done, ways, waiting }) {
      asking();
      progress ??= startProgress('asked', ways);
      // The line may be cut off: how many comes before who.
      const names = waiting.map(printableText).join(', ');
      progress.update(done, names === '' ? '' : `waiting for ${waiting.length}: ${names}`);
    },
    stop() {
      asking();
      progress?.stop();
    },
  };
}

const columns: readonly Column[] = [
  { head: '#', right: true },
  { head: 'ms', right: true },
  { head: 'per second', right: true },
  { head: 'revision', right: true },
  { head: 'whitelist', right: true },
  { head: 'mirror' },
  { head: 'proxy' },
  { head: 'head' },
];

function table({ repository, order, newest, ways }: ProbeReport): string {
  const rows = ways.map((way) => row(way, newest));
  // It is a report, with lines before the table: its heads belong to it everywhere.
  const lines = tableLines(columns, rows, true);
  const head = `${printableText(repository)}: ${newest === null ? 'nobody has a valid head' : `revision ${newest} is the newest`}`;
  return [head, ...orderLines(order), ...lines].join('\n') + '\n';
}

function orderLines(order: ProbeReport['order']): string[] {
  if (order === null) return [];
  const { why, leftOut } = order;
  const names = leftOut.map(printableText).join(', ');
  const without = names === '' ? '' : `; not asked, beyond the most that are to be: ${names}`;
  return [`order of the servers: ${printableText(why)}${without}`];
}

function row(probed: ProbedWay, newest: number | null): string[] {
  const { place, mirror, proxy, milliseconds, bytesPerSecond, revision, whitelistAge, error } =
    probed;
  const isBehind = error === null && revision !== null && newest !== null && revision < newest;
  return [
    String(place),
    milliseconds === null ? '-' : String(milliseconds),
    bytesPerSecond === null ? '-' : formatSize(bytesPerSecond),
    revision === null ? '-' : String(revision),
    whitelistAge === null ? '-' : ageText(whitelistAge),
    printableText(mirror),
    printableText(proxy),
    error === null
      ? isBehind
        ? 'valid, behind the newest'
        : 'valid'
      : printableText(`${error.message} [${error.code}]`),
  ];
}

function ageText(seconds: number): string {
  const days = seconds / 86_400;
  return days < 2 ? `${Math.round(seconds / 3600)} h` : `${Math.round(days)} d`;
}
