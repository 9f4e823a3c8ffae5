import { declarationOf } from '../bin/commands/options.js';
import { makeProgram } from '../bin/program.js';
import { topics } from '../bin/manual/topics.js';
import type { OptionRow } from '../lib/options/option.js';
import { outputOptionTable } from '../lib/options/output-options.js';
import { sourceOptionTable } from '../lib/options/source-options.js';

/* The command line as it is declared, for what is written from it. */

type Command = Awaited<ReturnType<typeof makeProgram>>;
type Argument = Command['registeredArguments'][number];

export interface CommandForm {
  /** Such as `cache`, `size`. */
  readonly words: readonly string[];
  readonly summary: string;
  readonly options: readonly OptionRow[];
  readonly arguments: readonly ArgumentForm[];
}

export interface ArgumentForm {
  readonly name: string;
  readonly repeatable: boolean;
  readonly completion: 'sources' | 'files' | 'directories' | 'mounts' | 'words' | 'nothing';
  /** What is offered for `words`. */
  readonly words: readonly string[];
}

/** A word before others, such as `cache`. */
export interface GroupForm {
  readonly name: string;
  readonly summary: string;
}

export interface ProgramForm {
  readonly commands: readonly CommandForm[];
  readonly groups: readonly GroupForm[];
}

/** Options that every command has, in the order of its help. */
export const outputRows: readonly OptionRow[] = Object.values<OptionRow>(outputOptionTable);

/** Options that every command has which opens a source. */
export const sourceRows: readonly OptionRow[] = Object.values<OptionRow>(sourceOptionTable).filter(
  ({ on }) => on === undefined,
);

/** What commander itself adds to each command. */
export const helpRow = {
  flag: '--help',
  short: '-h',
  kind: 'flag',
  help: 'display help for command',
} as const satisfies OptionRow;

/** Options of a command that not all of its kind have. */
export function ownRows({ options }: CommandForm): OptionRow[] {
  return options.filter((row) => !outputRows.includes(row) && !sourceRows.includes(row));
}

/** Options for which a variable of the environment stands, each once. */
export function environmentRows({ commands }: ProgramForm): [variable: string, row: OptionRow][] {
  const found = new Map<string, OptionRow>();
  // Commands may have words of their own for it: those of its table come first.
  for (const row of [...sourceRows, ...commands.flatMap(({ options }) => options)])
    if (row.environment !== undefined && !found.has(row.environment))
      found.set(row.environment, row);
  return [...found];
}

export async function describeProgram(): Promise<ProgramForm> {
  const program = await makeProgram();
  const groups = program.commands.filter(({ commands }) => commands.length > 0);
  return {
    commands: program.commands.flatMap((command) =>
      command.commands.length === 0
        ? [formOf(command, [])]
        : command.commands.map((one) => formOf(one, [command.name()])),
    ),
    groups: groups.map((command) => ({ name: command.name(), summary: summaryOf(command) })),
  };
}

function formOf(command: Command, before: readonly string[]): CommandForm {
  const words = [...before, command.name()];
  return {
    words,
    summary: summaryOf(command),
    options: command.options
      .map((option) => {
        const row = declarationOf(option);
        if (row === undefined)
          throw new Error(`${words.join(' ')}: ${option.flags} is no row of a table`);
        return row;
      })
      .filter(({ hidden }) => hidden !== true),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      repeatable: argument.variadic,
      completion: completionOf(argument, words),
      words: offeredWords(argument),
    })),
  };
}

function summaryOf(command: Command): string {
  return command.summary() || (command.description().split('\n', 1)[0] ?? '');
}

function completionOf(
  argument: Argument,
  [command]: readonly string[],
): ArgumentForm['completion'] {
  const name = argument.name();
  if (offeredWords(argument).length > 0) return 'words';
  if (name === 'mountpoint') return command === 'mount' ? 'directories' : 'mounts';
  if (name === 'dir') return 'directories';
  if (/^(path\|)?source/.test(name)) return 'sources';
  return name === 'dest' ? 'files' : 'nothing';
}

function offeredWords(argument: Argument): string[] {
  if (argument.name() === 'topic') return topics.map(({ name }) => `topic-${name}`);
  return argument.argChoices ?? [];
}

/** Words that stand for the value of an option, as far as there are any. */
export function offeredValues({ choices, suggestions }: OptionRow): string[] | undefined {
  return choices?.map(String) ?? suggestions?.slice();
}

export const madeBy = 'Made by `npm run documents` from what the commands declare.';

/** Mountpoints of pinfs, as a command for a shell. */
export const listMounts = String.raw`awk '$3 == "fuse.pinfs" { print $2 }' /proc/mounts`;
