import type { Command } from 'commander';
import { printable, printableText } from '../../lib/format/bytes.js';
import { sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { print, printJson } from './output.js';
import { entryJson, longLine } from './entry-text.js';
import { pathArgument, withRepository } from './with-repository.js';

export function register(program: Command): void {
  sourceOptions(program.command('stat'))
    .description('show everything the catalogs say of one path')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'path in the repository', '/')
    .action(stat);
}

async function stat(source: string, path: string, flags: SourceFlags): Promise<void> {
  await withRepository(source, flags, async (repository) => {
    const { walk } = await import('../../lib/repository/use/path.js');
    const attributes = await walk(repository, pathArgument(path), false);
    if (flags.json === true) {
      printJson(entryJson(attributes));
      return;
    }
    const entry = attributes;
    const lines = [
      longLine(attributes, entry.path === '' ? '/' : entry.path),
      `  inode ${attributes.ino.toString()}`,
      ...(entry.content?.hash === undefined ? [] : [`  hash ${entry.content.hash.text}`]),
      ...(entry.content?.chunked === true ? ['  chunked'] : []),
      ...(entry.content?.external === true ? ['  external'] : []),
      ...(entry.nestedMountpoint ? ['  nested catalog'] : []),
      ...(entry.rawTarget === entry.target
        ? []
        : [`  stored target ${printable(entry.rawTarget)}`]),
      ...[...(entry.xattrs ?? [])].map(
        ([name, value]) => `  xattr ${printable(name)} = ${printable(value.toString('latin1'))}`,
      ),
      ...(entry.broken === undefined ? [] : [`  broken: ${printableText(entry.broken.message)}`]),
    ];
    await print(`${lines.join('\n')}\n`);
  });
}
