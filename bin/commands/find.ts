import type { Command } from 'commander';
import { printable, printableJson, toBytes } from '../../lib/format/bytes.js';
import type { PinfsError } from '../../lib/format/errors.js';
import type { Entry } from '../../lib/tree/entry.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import { errorJson } from './failures.js';
import { addOptions, sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { argumentBytes } from './raw-arguments.js';
import { print } from './output.js';
import { bytesJson, entryJson, longLine } from './entry-text.js';
import { globMatches } from './glob.js';
import { pathArgument, withRepository } from './with-repository.js';

const types = {
  f: 'file',
  d: 'directory',
  l: 'symlink',
  c: 'character',
  b: 'block',
  p: 'fifo',
  s: 'socket',
} as const;

const findOptions = {
  name: {
    flag: '--name',
    value: 'pattern',
    kind: 'text',
    help: 'only names that match, with * and ?',
  },
  type: {
    flag: '--type',
    value: 'letter',
    kind: 'choice',
    choices: ['f', 'd', 'l', 'c', 'b', 'p', 's'],
    help: 'only entries of this type',
  },
  ls: { flag: '--ls', kind: 'flag', help: 'with all attributes' },
  print0: { flag: '--print0', kind: 'flag', help: 'raw path bytes, each ended by a NUL' },
} as const satisfies OptionRows;

type FindFlags = SourceFlags & OptionValues<typeof findOptions>;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('find')), findOptions)
    .description('list all paths below one, with no FUSE')
    .argument('<source[@pin]>', sourceArgument)
    .argument('[path]', 'path in the repository', '/')
    .action(find);
}

async function find(source: string, path: string, flags: FindFlags): Promise<void> {
  const wanted = filter(flags);
  await withRepository(source, { ...flags, jsonLines: true }, async (repository) => {
    const { walk } = await import('../../lib/repository/use/path.js');
    const { DirectoryReader } = await import('./directory-reader.js');
    const start = await walk(repository, pathArgument(path), false);
    const reader = new DirectoryReader(repository, start, true);
    const pending = [start];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (wanted(next)) await print(shown(next, flags));
      if (next.type !== 'directory') continue;
      const { entries, error } = await reader.read(next);
      if (error !== undefined && flags.json === true) await print(errorLine(next, error));
      else if (error !== undefined) reader.tell(error);
      pending.push(...entries.reverse());
    }
    reader.end();
  });
}

/** A directory that could not be read, among the values with --json. */
function errorLine(entry: Entry, error: PinfsError): string {
  return `${printableJson({ error: { ...bytesJson('path', entry.path), ...errorJson(error) } })}\n`;
}

/** One JSON value a line with --json: a tree can be larger than memory. */
function shown(attributes: Entry, flags: FindFlags): Buffer | string {
  const path = attributes.path === '' ? '/' : attributes.path;
  if (flags.json === true) return `${printableJson(entryJson(attributes))}\n`;
  if (flags.print0 === true) return Buffer.concat([toBytes(path), Buffer.of(0)]);
  return `${flags.ls === true ? longLine(attributes, path) : printable(path)}\n`;
}

function filter(flags: FindFlags): (attributes: Entry) => boolean {
  const type = flags.type === undefined ? undefined : types[flags.type];
  const pattern = flags.name === undefined ? undefined : argumentBytes(flags.name);
  return (entry) =>
    (flags.type === undefined || entry.type === type) &&
    (pattern === undefined || globMatches(pattern, entry.name));
}
