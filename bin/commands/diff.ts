import type { Command } from 'commander';
import { printable, printableJson } from '../../lib/format/bytes.js';
import { asPinfsError } from '../../lib/format/errors.js';
import type { OptionRows, OptionValues } from '../../lib/options/option.js';
import type { PathChange } from '../../lib/repository/use/diff.js';
import type { Repository } from '../../lib/repository/repository.js';
import { splitSourcePin } from '../../lib/source/source-pin.js';
import type { Entry } from '../../lib/tree/entry.js';
import { bytesJson, entryJson } from './entry-text.js';
import { noteExit, warn } from './failures.js';
import { painted } from './look.js';
import { addOptions, sourceArgument, sourceOptions, type SourceFlags } from './options.js';
import { print } from './output.js';
import { argumentBytes } from './raw-arguments.js';
import { formatSize } from './sizes.js';
import { withRepositories } from './with-repository.js';

const diffOptions = {
  stat: { flag: '--stat', kind: 'flag', help: 'only how much it is, not each path' },
  times: {
    flag: '--times',
    kind: 'flag',
    help: 'also what differs in its time alone',
  },
} as const satisfies OptionRows;

type DiffFlags = SourceFlags & OptionValues<typeof diffOptions>;

export function register(program: Command): void {
  addOptions(sourceOptions(program.command('diff')), diffOptions)
    .description(
      `compare two snapshots by their catalogs, with no FUSE

A line for each path: A (added), D (removed) or M (changed), the size before and after, the path, and in
brackets what differs beside content. No content is fetched, and of catalogs only those that differ.`,
    )
    .summary('compare two snapshots by their catalogs, with no FUSE')
    .argument('<source@pin>', sourceArgument)
    .argument('<other>', 'another one, or only its @PIN')
    .argument('[path]', 'only what is at or below this path', '/')
    .action(diffCommand);
}

async function diffCommand(
  source: string,
  other: string,
  path: string,
  flags: DiffFlags,
): Promise<void> {
  const second = other.startsWith('@') ? splitSourcePin(source).source + other : other;
  await withRepositories([source, second], { ...flags, jsonLines: true }, (before, after) =>
    compare(before, after, path, flags),
  );
}

/** What was met, for the end of the output. */
interface Totals {
  readonly added: { count: number; bytes: number };
  readonly removed: { count: number; bytes: number };
  readonly changed: { count: number; bytes: number };
}

async function compare(
  before: Repository,
  after: Repository,
  path: string,
  flags: DiffFlags,
): Promise<void> {
  const { diffTrees, isOfTimeAlone } = await import('../../lib/repository/use/diff.js');
  const { openWalkFailures } = await import('../../lib/repository/use/walk-failures.js');
  const failures = openWalkFailures(after.store);
  const progress = { directories: 0, skipped: 0 };
  const problem = (_: string, thrown: unknown): void => {
    const error = failures.orEnd(asPinfsError(thrown));
    noteExit(error.exit);
    warn(`not compared: ${error.message} [${error.code}]`);
  };
  const totals: Totals = { added: none(), removed: none(), changed: none() };
  for await (const change of diffTrees(before, after, {
    path: argumentBytes(path),
    problem,
    progress,
  })) {
    if (flags.times !== true && isOfTimeAlone(change)) continue;
    const { kind } = change;
    totals[kind].count += 1;
    totals[kind].bytes += sizeOf(change.after) - sizeOf(change.before);
    if (flags.stat === true) continue;
    await print(flags.json === true ? jsonLine(change) : textLine(change, flags));
  }
  if (flags.json === true) {
    const { skipped, directories } = progress;
    const counts = { directoriesCompared: directories, catalogsEqual: skipped };
    await print(`${printableJson({ totals, ...counts })}\n`);
  } else if (flags.stat === true) await print(`${totalsText(totals)}\n`);
}

function none(): { count: number; bytes: number } {
  return { count: 0, bytes: 0 };
}

function sizeOf(entry: Entry | undefined): number {
  return entry?.type === 'file' ? entry.size : 0;
}

const meanings = { added: 'good', removed: 'bad', changed: 'doubtful' } as const;
const letters = { added: 'A', removed: 'D', changed: 'M' } as const;

function textLine(change: PathChange, { times }: DiffFlags): string {
  const { kind, path, before, after, differences } = change;
  const size = (entry: Entry | undefined): string =>
    (entry?.type === 'file' ? String(entry.size) : '-').padStart(12);
  const isDirectory = (after ?? before)?.type === 'directory';
  const name = (printable(path) || '/') + (isDirectory && path !== '' ? '/' : '');
  const beside = differences.filter(
    (difference) => difference !== 'content' && (difference !== 'time' || times === true),
  );
  const what = beside.length === 0 ? '' : `  [${beside.join(', ')}]`;
  return `${painted(letters[kind], meanings[kind])} ${size(before)} ${size(after)}  ${name}${what}\n`;
}

function jsonLine({ kind, path, before, after, differences }: PathChange): string {
  const side = (entry: Entry | undefined): unknown =>
    entry === undefined ? null : entryJson(entry);
  const names = bytesJson('path', path === '' ? '/' : path);
  const both = { before: side(before), after: side(after) };
  return `${printableJson({ change: kind, ...names, differences, ...both })}\n`;
}

function totalsText({ added, removed, changed }: Totals): string {
  const signed = (bytes: number): string => (bytes < 0 ? '-' : '+') + formatSize(Math.abs(bytes));
  return (
    `${added.count} added (${signed(added.bytes)}), ${removed.count} removed (${signed(removed.bytes)}), ` +
    `${changed.count} changed (${signed(changed.bytes)})`
  );
}
