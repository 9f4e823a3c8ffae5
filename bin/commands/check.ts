import type { Command } from 'commander';
import { printableText } from '../../lib/format/bytes.js';
import { exitOf } from '../../lib/format/errors.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import type { CheckProblem } from '../../lib/repository/use/check.js';
import type { StoreStatistics } from '../../lib/store/store.js';
import { noteExit, warn } from './failures.js';
import { addOptions, sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { formatSize } from './sizes.js';
import { print, printJson } from './output.js';
import { withProgress } from './progress.js';
import { pathArgument, waitedFor, withRepository } from './with-repository.js';

const checkOptions = {
  catalogs: {
    flag: '--catalogs',
    kind: 'flag',
    help: 'only the catalogs, not the content of files',
  },
} as const satisfies OptionRows;

type CheckFlags = SourceFlags & OptionValues<typeof checkOptions>;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('check')), checkOptions)
    .description(
      `fetch and verify everything that a snapshot reaches; list what is missing or damaged

What is in the cache already is not asked for again: give an empty --cache to check a server.`,
    )
    .summary('fetch and verify everything that a snapshot reaches')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'only what is below this path', '/')
    .action(checkCommand);
}

async function checkCommand(source: string, path: string, flags: CheckFlags): Promise<void> {
  await withRepository(source, flags, async (repository) => {
    const { bytesOfFiles, check } = await import('../../lib/repository/use/check.js');
    const { limit } = repository.store.statistics;
    const bytes = path === '/' && flags.catalogs !== true ? await bytesOfFiles(repository) : 0;
    if (bytes > limit)
      warn(
        `the files have ${formatSize(bytes)} (identical ones each time), and the cache may take ${formatSize(limit)}: not all of it may stay there`,
        '--cache-limit SIZE raises the limit.',
      );
    const report = await withProgress(
      'checked',
      undefined,
      (progress) =>
        check(repository, {
          path: pathArgument(path),
          catalogsOnly: flags.catalogs === true,
          external: flags.external !== undefined,
          progress: (now) => {
            const detail = `${now.catalogs} catalogs, ${formatSize(now.bytes)}`;
            progress.update(now.objects, detail, now.bytes);
          },
        }),
      { ...(bytes > 0 ? { bytes } : {}), source: waitedFor(repository) },
    );
    for (const { code } of report.problems) noteExit(exitOf(code));
    if (flags.json === true)
      printJson({ ...report, endedEarly: report.endedEarly ?? null, trust: repository.verdict });
    else {
      for (const { path: where, code, message } of report.problems) {
        await print(`${where}: ${printableText(message)} [${code}]\n`);
      }
      await print(
        `${report.catalogs} catalogs, ${report.objects} objects, ${formatSize(report.bytes)}: ` +
          counted(report.problems) +
          (report.externalSkipped > 0
            ? `, ${report.externalSkipped} external files not looked at (--external says where they lie)\n`
            : '\n'),
      );
      if (report.notKept > 0)
        await print(
          `warning: ${formatSize(report.notKept)} of it are not in the cache: ${whyNotKept(repository.store.statistics)}\n`,
        );
      if (report.endedEarly !== undefined)
        await print(`Not everything was looked at. ${report.endedEarly}\n`);
    }
  });
}

function whyNotKept({ limit, notStored }: StoreStatistics): string {
  if (notStored !== undefined) {
    return printableText([notStored.reason, notStored.advice ?? ''].join('. ').trimEnd());
  }
  return `it may take ${formatSize(limit)}, and what came first is gone again. --cache-limit SIZE raises the limit.`;
}

/** How many of each class that the exit codes know; what could not be looked at may be sound. */
function counted(problems: readonly CheckProblem[]): string {
  const count = (exits: (exit: number) => boolean): number =>
    problems.filter(({ code }) => exits(exitOf(code))).length;
  const unreachable = count((exit) => exit === 4);
  const others = count((exit) => exit !== 4 && exit !== 5);
  return (
    `${count((exit) => exit === 5)} missing or damaged` +
    (unreachable > 0 ? `, ${unreachable} not reachable` : '') +
    (others > 0 ? `, ${others} not checked` : '')
  );
}
