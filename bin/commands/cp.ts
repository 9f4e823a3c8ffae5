import type { Command } from 'commander';
import { printableText, type ByteString } from '../../lib/format/bytes.js';
import { PinfsError } from '../../lib/format/errors.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { noteExit } from './failures.js';
import { addOptions, sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { printJson } from './output.js';
import { formatSize } from './sizes.js';
import { withProgress } from './progress.js';
import { pathArgument, withRepository } from './with-repository.js';

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
} as const satisfies OptionRows;

type CpFlags = SourceFlags & OptionValues<typeof cpOptions>;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('cp')), cpOptions)
    .description(
      `copy a file or (with -r) a tree out of a snapshot, with no FUSE

Modes, links, hard links and times (to the microsecond) are kept; owners, set-uid bits and extended
attributes are not.`,
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
  await withRepository(source, flags, async (repository) => {
    const { walk } = await import('../../lib/repository/use/path.js');
    const { copyOut } = await import('../../lib/repository/use/copy.js');
    const asked = pathArgument(path);
    const start = await walk(repository, asked, true);
    if (start.type === 'directory' && flags.recursive !== true) {
      throw new PinfsError('USAGE', `${path} is a directory`, { advice: 'Copy it with -r.' });
    }
    const report = await withProgress('copied', undefined, (progress) =>
      copyOut(
        repository,
        start,
        destination,
        (copied) => progress.update(copied.entries, formatSize(copied.bytes)),
        askedName(asked),
      ),
    );
    if (flags.json === true) printJson(report);
    for (const skipped of report.skipped) {
      process.stderr.write(`pinfs: not copied: ${printableText(skipped)}\n`);
    }
    noteExit(report.exit);
  });
}

/** The name at the end of a path, which may be that of a link; undefined: it ends with none. */
function askedName(path: ByteString): ByteString | undefined {
  const last = path.split('/').findLast((name) => name !== '' && name !== '.');
  return last === '..' ? undefined : last;
}
