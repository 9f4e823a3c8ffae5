import type { Command } from 'commander';
import { printableText, type ByteString } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import type { Repository } from '../../lib/repository/repository.js';
import type { CopyOptions, CopyReport } from '../../lib/repository/use/copying.js';
import type { Entry } from '../../lib/tree/entry.js';
import { noteExit } from './failures.js';
import { withInterrupt } from './interrupt.js';
import { addOptions, sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { printJson } from './output.js';
import { formatSize } from './sizes.js';
import { withProgress } from './progress.js';
import { pathArgument, waitedFor, withRepository } from './with-repository.js';

const cpOptions = {
  recursive: {
    flag: '--recursive',
    short: '-r',
    kind: 'flag',
    help: 'copy directories with all that is below',
    manual:
      'Copies directories with all that is below. Modes (without set-uid), times, links and hard links are ' +
      'kept; nothing is overwritten.',
  },
  update: {
    flag: '--update',
    kind: 'flag',
    help: 'replace what is there and differs in size or time',
  },
  owners: {
    flag: '--owners',
    kind: 'flag',
    help: 'keep owners and groups (root only)',
  },
} as const satisfies OptionRows;

type CpFlags = SourceFlags & OptionValues<typeof cpOptions>;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('cp')), cpOptions)
    .description(
      `copy a file or (with -r) a tree out of a snapshot, with no FUSE

Modes, links, hard links and times (to the microsecond) are kept, owners with --owners; set-uid bits and
extended attributes are not; blocks of zeros become holes. A file gets its name when it is whole, and what was
copied before is not copied again: after Ctrl-C the same command goes on. The root of the repository, and a PATH
that ends with a slash, is copied into DEST itself; another directory under its name where DEST exists.`,
    )
    .summary('copy a file or (with -r) a tree out of a snapshot, with no FUSE')
    .argument('<source[@pin]>', sourceArgument)
    .argument('<path>', 'path in the repository')
    .argument('<dest>', 'a new path, or a directory to copy into')
    .action(cp);
}

async function cp(
  source: string,
  path: string,
  destination: string,
  flags: CpFlags,
): Promise<void> {
  if (flags.owners === true && process.geteuid?.() !== 0)
    throw new PinfsError('USAGE', '--owners needs root: nobody else may give files away');
  await withRepository(source, flags, async (repository) => {
    const { walk } = await import('../../lib/repository/use/path.js');
    const asked = pathArgument(path);
    const start = await walk(repository, asked, true);
    if (start.type === 'directory' && flags.recursive !== true) {
      throw new PinfsError('USAGE', `${path} is a directory`, { advice: 'Copy it with -r.' });
    }
    const report = await copied(repository, start, destination, {
      update: flags.update === true,
      owners: flags.owners === true,
      contents: path.endsWith('/'),
      ...namedAs(asked),
    });
    if (flags.json === true) printJson(report);
    for (const skipped of report.skipped) {
      process.stderr.write(`pinfs: not copied: ${printableText(skipped)}\n`);
    }
    noteExit(report.exit);
  });
}

/** Says how far it has come, where it is interrupted as well. */
async function copied(
  repository: Repository,
  start: Entry,
  destination: string,
  options: CopyOptions,
): Promise<CopyReport> {
  const { copyOut } = await import('../../lib/repository/use/copy.js');
  const { totalsBelow } = await import('../../lib/repository/use/totals.js');
  const total = await totalsBelow(repository, start);
  const ofBytes = total === undefined ? '' : ` of ${formatSize(total.bytes)}`;
  let last: CopyReport | undefined;
  let abandon: (() => void) | undefined;
  const told = (): string => {
    const of = total === undefined ? '' : ` of ${total.files}`;
    return `${last?.files ?? 0}${of} copied; the same command goes on`;
  };
  return await withInterrupt({ told, abandon: () => abandon?.() }, () =>
    withProgress(
      'copied',
      total?.files,
      (progress) =>
        copyOut(repository, start, destination, {
          ...options,
          began: (clean) => (abandon = clean),
          changed: (report) => {
            last = report;
            progress.update(report.files, formatSize(report.bytes) + ofBytes, report.bytes);
          },
        }),
      { bytes: total?.bytes, source: waitedFor(repository), saysEnd: true },
    ),
  );
}

/** The name at the end of a path, which may be that of a link; none where it ends with none. */
function namedAs(path: ByteString): Pick<CopyOptions, 'name'> {
  const last = path.split('/').findLast((name) => name !== '' && name !== '.');
  return last === undefined || last === '..' ? {} : { name: last };
}
