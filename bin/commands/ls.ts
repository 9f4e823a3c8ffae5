import type { Command } from 'commander';
import { printable } from '../../lib/format/bytes.js';
import type { Attributes } from '../../lib/filesystem/filesystem.js';
import type { Repository } from '../../lib/repository/repository.js';
import { printJson, sourceArgument, sourceOptions, type SourceFlags } from './common.js';
import { print } from './output.js';
import { entryJson, longLine } from './entry-text.js';
import { pathArgument, withRepository } from './with-repository.js';

interface LsFlags extends SourceFlags {
  readonly long?: boolean;
  readonly recursive?: boolean;
}

export function register(program: Command): void {
  sourceOptions(program.command('ls'))
    .description('list a directory of a snapshot, with no FUSE')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'path in the repository', '/')
    .option('-l, --long', 'one line with all attributes for each entry; times are UTC')
    .option('-R, --recursive', 'list subdirectories too')
    .action(ls);
}

async function ls(source: string, path: string, flags: LsFlags): Promise<void> {
  await withRepository(source, flags, async (repository) => {
    const { walk, list } = await import('../../lib/repository/path.js');
    const start = await walk(repository, pathArgument(path), true);
    const json: Record<string, unknown>[] = [];
    const show = async (attributes: Attributes): Promise<void> => {
      if (flags.json === true) json.push(entryJson(attributes));
      else await print(`${line(attributes, flags.long === true)}\n`);
    };
    if (start.entry.type !== 'directory') await show(start);
    else await listDirectories(repository, start, flags, list, show);
    if (flags.json === true) printJson(json);
  });
}

async function listDirectories(
  repository: Repository,
  start: Attributes,
  flags: LsFlags,
  list: (repository: Repository, directory: Attributes) => AsyncGenerator<Attributes>,
  show: (attributes: Attributes) => Promise<void>,
): Promise<void> {
  const pending = [start];
  let first = true;
  for (let directory = pending.pop(); directory !== undefined; directory = pending.pop()) {
    if (flags.recursive === true && flags.json !== true) {
      await print(`${first ? '' : '\n'}${printable(directory.entry.path) || '/'}:\n`);
    }
    first = false;
    const entries: Attributes[] = [];
    for await (const attributes of list(repository, directory)) entries.push(attributes);
    entries.sort((a, b) => (a.entry.name < b.entry.name ? -1 : 1));
    for (const entry of entries) await show(entry);
    if (flags.recursive === true) {
      pending.push(...entries.filter(({ entry }) => entry.type === 'directory').reverse());
    }
  }
}

function line(attributes: Attributes, long: boolean): string {
  const { name } = attributes.entry;
  return long ? longLine(attributes, name) : printable(name);
}
