import type { Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import { sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { print } from './output.js';
import { pathArgument, withRepository } from './with-repository.js';

export function register(program: Command): void {
  sourceOptions(program.command('cat'))
    .description('write files of a snapshot to the standard output')
    .argument('<source[@pin]>', sourceArgument)
    .argument('<path...>', 'paths in the repository')
    .action(cat);
}

async function cat(source: string, paths: string[], flags: SourceFlags): Promise<void> {
  if (flags.json === true) {
    throw new PinfsError('USAGE', 'cat writes content as it is: --json says nothing about it', {
      advice: 'Leave --json out. `pinfs stat --json` says what a file is.',
    });
  }
  await withRepository(source, flags, async (repository) => {
    const { walk, readRange } = await import('../../lib/repository/use/path.js');
    for (const path of paths) {
      const file = await walk(repository, pathArgument(path), true);
      for await (const piece of readRange(repository, file)) {
        await print(piece);
      }
    }
  });
}
