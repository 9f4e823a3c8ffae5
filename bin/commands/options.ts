import { Option, type Command } from 'commander';
import { PinfsError } from '../../lib/format/errors.js';
import type { OptionRow, OptionRows, OptionValues } from '../../lib/options/option.js';
import { outputOptionTable } from '../../lib/options/output-options.js';
import { rowsOn, valuesOf } from '../../lib/options/rows.js';
import { sourceOptionTable } from '../../lib/options/source-options.js';
import type { OpenOptions } from '../../lib/repository/open/options.js';
import { warnOfIgnored } from './ignored.js';
import { readValue, writeValue } from './option-values.js';

/** Flags that every command has. */
export interface OutputFlags extends OptionValues<typeof outputOptionTable> {
  /** With `json`: one value on each line, errors too. Set by the command, not by the user. */
  readonly jsonLines?: boolean;
}

/** Flags of every command that opens SOURCE[@PIN], by their names in the library. */
export type SourceFlags = OutputFlags & OptionValues<typeof sourceOptionTable>;

/** An option that a command has for itself. */
export interface CommandOptionRow extends OptionRow {
  /** For numbers. @throws PinfsError USAGE */
  readonly parse?: (text: string) => number;
}

export type CommandOptionRows = Readonly<Record<string, CommandOptionRow>>;

/** What the help says of SOURCE[@PIN]. */
export const sourceArgument =
  'URL or directory, and a root hash, tag or date (no pin: the signed head)';

/** Adds `--json` and `--verbose`. */
export function outputOptions(command: Command): Command {
  return addOptions(command, outputOptionTable);
}

/** Adds the options of a command that opens SOURCE[@PIN]. */
export function sourceOptions(command: Command, name = command.name()): Command {
  return addOptions(outputOptions(command), rowsOn(sourceOptionTable, name));
}

interface Declared {
  readonly row: CommandOptionRow;
  readonly read: (text: string) => string | number;
}

const declared = new WeakMap<Option, Declared>();

/** How an option was declared; undefined: commander's own. */
export function declarationOf(option: Option): CommandOptionRow | undefined {
  return declared.get(option)?.row;
}

/** What reads one value of an option as the command line does. @throws PinfsError, CommanderError */
export function valueReaderOf(option: Option): (text: string) => string | number {
  return declared.get(option)?.read ?? ((text) => text);
}

/** Adds options; the parsed values go by the names of the rows. */
export function addOptions(command: Command, rows: CommandOptionRows): Command {
  for (const [name, row] of Object.entries(rows)) command.addOption(makeOption(name, row));
  return command;
}

function makeOption(name: string, row: CommandOptionRow): Option {
  const { flag, short, value, repeatable, choices } = row;
  const flags = short === undefined ? flag : `${short}, ${flag}`;
  const option = new Option(value === undefined ? flags : `${flags} <${value}>`, helpOf(row));
  option.attributeName = () => name;
  // To commander, --no-x is x and its contrary; to the library it is an option as others are.
  option.negate = false;
  if (row.hidden === true) option.hideHelp();
  if (row.group !== undefined) option.helpGroup(`${row.group}:`);
  if (row.required === true) option.makeOptionMandatory();
  if (row.conflicts !== undefined) option.conflicts(row.conflicts);
  const check = choices === undefined ? undefined : option.choices(choices.map(String)).parseArg;
  const read = (text: string): string | number => {
    check?.(text, undefined);
    return row.parse?.(text) ?? readValue(row, text);
  };
  declared.set(option, { row, read });
  if (row.kind === 'flag') return option;
  if (row.default !== undefined) option.default(row.default);
  if (repeatable !== true) return option.argParser(read);
  return option
    .default([], 'none')
    .argParser((text: string, before: readonly (string | number)[]) => [...before, read(text)]);
}

function helpOf({ help, repeatable, kind, usual, otherwise, environment }: OptionRow): string {
  return [
    help,
    ...(usual === undefined ? [] : [`(default: ${writeValue(kind, usual)})`]),
    ...(otherwise === undefined ? [] : [`(default: ${otherwise})`]),
    ...(repeatable === true ? ['(repeatable)'] : []),
    ...(environment === undefined ? [] : [`(env: ${environment})`]),
  ].join(' ');
}

/** Options as they stand on a command line. */
export function argumentsOf<Rows extends OptionRows>(
  rows: Rows,
  values: Partial<OptionValues<Rows>>,
): string[] {
  const byName = new Map<string, unknown>(Object.entries(values));
  return Object.entries(rows).flatMap(([name, { flag, kind }]) =>
    [byName.get(name)].flat().flatMap((value) => {
      if (typeof value === 'boolean') return value ? [flag] : [];
      if (typeof value !== 'string' && typeof value !== 'number') return [];
      return [flag, writeValue(kind, value)];
    }),
  );
}

/** The options of the library for what stands on the command line. @throws PinfsError USAGE */
export function openOptions(source: string, flags: SourceFlags): OpenOptions {
  warnOfIgnored(source);
  const { signers = [], attestation } = flags;
  if (signers.length > 0 && attestation === undefined) {
    throw new PinfsError(
      'USAGE',
      '--signer says who may have signed an attestation: none is given',
      {
        advice: 'Give it with --attestation FILE.',
      },
    );
  }
  return { ...valuesOf(sourceOptionTable, flags), source };
}
