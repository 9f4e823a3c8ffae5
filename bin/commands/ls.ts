import type { Command } from 'commander';
import { printable } from '../../lib/format/bytes.js';
import type { Entry } from '../../lib/tree/entry.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import type { Repository } from '../../lib/repository/repository.js';
import { errorJson } from './failures.js';
import { addOptions, sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { print, printJson } from './output.js';
import { entryJson, longLine, widthsOf } from './entry-text.js';
import { pathArgument, withRepository } from './with-repository.js';

const lsOptions = {
  long: {
    flag: '--long',
    short: '-l',
    kind: 'flag',
    help: 'one line with all attributes for each entry; times are UTC',
  },
  recursive: {
    flag: '--recursive',
    short: '-R',
    kind: 'flag',
    help: 'list subdirectories too',
  },
  human: {
    flag: '--human',
    short: '-h',
    kind: 'flag',
    help: 'with -l: sizes with units',
  },
} as const satisfies OptionRows;

type LsFlags = SourceFlags & OptionValues<typeof lsOptions>;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('ls')), lsOptions)
    .description('list a directory of a snapshot, with no FUSE')
    .helpOption('--help', 'display help for command')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'path in the repository', '/')
    .action(ls);
}

async function ls(source: string, path: string, flags: LsFlags): Promise<void> {
  await withRepository(source, flags, async (repository) => {
    const { walk } = await import('../../lib/repository/use/path.js');
    const start = await walk(repository, pathArgument(path), true);
    const json: Record<string, unknown>[] = [];
    const show = async (attributes: Entry, widths?: readonly number[]): Promise<Shown> => {
      if (flags.json !== true) await print(`${line(attributes, flags, widths)}\n`);
      const record = flags.json === true ? entryJson(attributes) : undefined;
      if (record !== undefined) json.push(record);
      return { attributes, record };
    };
    if (start.type !== 'directory') await show(start);
    else await listDirectories(repository, start, flags, show);
    if (flags.json === true) printJson(json);
  });
}

/** An entry that was shown; with --json as this record. */
interface Shown {
  readonly attributes: Entry;
  readonly record: Record<string, unknown> | undefined;
}

async function listDirectories(
  repository: Repository,
  start: Entry,
  flags: LsFlags,
  show: (attributes: Entry, widths: readonly number[]) => Promise<Shown>,
): Promise<void> {
  const { DirectoryReader } = await import('./directory-reader.js');
  const reader = new DirectoryReader(repository, start, flags.recursive === true);
  const pending: Shown[] = [{ attributes: start, record: undefined }];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const { attributes: directory, record } = next;
    if (flags.recursive === true && flags.json !== true) {
      const name = printable(directory.path) || '/';
      await print(`${directory === start ? '' : '\n'}${name}:\n`);
    }
    const { entries, error } = await reader.read(directory);
    if (error !== undefined && record !== undefined) record['error'] = errorJson(error);
    else if (error !== undefined) reader.tell(error);
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    const shown: Shown[] = [];
    const widths = widthsOf(entries, { human: flags.human === true });
    for (const entry of entries) shown.push(await show(entry, widths));
    if (flags.recursive !== true) break;
    pending.push(...shown.filter(({ attributes }) => isDirectory(attributes)).reverse());
  }
  reader.end();
}

function isDirectory(entry: Entry): boolean {
  return entry.type === 'directory';
}

function line(attributes: Entry, { long, human }: LsFlags, widths?: readonly number[]): string {
  const { name } = attributes;
  const look = { human: human === true, ...(widths === undefined ? {} : { widths }) };
  return long === true ? longLine(attributes, name, look) : printable(name);
}
