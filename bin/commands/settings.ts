import type { Command, Option } from 'commander';
import { settingsFiles, settingsPlaces } from '../../lib/settings/places.js';
import type { FileSetting, SettingsFile } from '../../lib/settings/settings.js';
import { splitSourcePin } from '../../lib/source/source-pin.js';
import { applyEnvironment, readAs } from './environment.js';
import { declarationOf, valueReaderOf } from './options.js';

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * What the environment and the files config.toml say of options that the command line leaves out, and the sources that
 * stand for a word of it. The command line counts most, then the environment, the user's file, that of the machine.
 * @throws PinfsError USAGE, naming the variable, or file and line
 */
export async function applySettings(
  command: Command,
  variables: Variables = process.env,
): Promise<void> {
  applyEnvironment(command, variables);
  if (!isConcerned(command)) return;
  const paths = settingsFiles(settingsPlaces(variables));
  if (paths.length === 0) return;
  const { readSettings } = await import('../../lib/settings/read.js');
  const files = paths.map(readSettings);
  applyAliases(command, files);
  for (const { settings } of files) applyAll(command, settings);
}

/** Commands that open nothing, such as `umount`, work whatever is wrong with a file. */
function isConcerned(command: Command): boolean {
  return (
    command.registeredArguments.some((argument) => isSource(argument.name())) ||
    command.options.some((option) => declarationOf(option)?.environment !== undefined)
  );
}

/** Whether the value of an argument, or of an option, is SOURCE[@PIN]. */
function isSource(name: string): boolean {
  return /^(path\||\[?)source\b/.test(name);
}

function applyAll(command: Command, settings: ReadonlyMap<string, FileSetting>): void {
  for (const { row, texts, origin } of settings.values()) {
    const option = command.options.find(({ long }) => long === row.flag);
    if (option !== undefined && isOpen(command, option))
      setOption(command, option, texts, `${origin.file}:${origin.line}`);
  }
}

/** Nothing that counts more has said anything of it. */
function isOpen(command: Command, option: Option): boolean {
  const source = command.getOptionValueSource(option.attributeName());
  return source === undefined || source === 'default';
}

function setOption(command: Command, option: Option, texts: readonly string[], where: string) {
  const row = declarationOf(option);
  if (row === undefined) return;
  const read = valueReaderOf(option);
  const values =
    row.kind === 'flag'
      ? texts.map((text) => text === 'true')
      : texts.map((text) => readAs(where, read, text));
  const value = row.repeatable === true ? values : values[0];
  command.setOptionValueWithSource(option.attributeName(), value, 'config');
}

/** A word that stands for a source is replaced; its options count more than those of the whole file. */
function applyAliases(command: Command, files: readonly SettingsFile[]): void {
  const found = command.registeredArguments.flatMap((argument, index) => {
    const isOther = argument.name().startsWith('path|') && command.args.length < 2;
    if (!isSource(argument.name()) || isOther) return [];
    const given: unknown = command.processedArgs[index];
    if (Array.isArray(given)) {
      const all = given.map((word: unknown) => withoutAlias(word, files));
      command.processedArgs[index] = all.map(({ word }) => word);
      return all.flatMap(({ settings }) => settings ?? []);
    }
    const { word, settings } = withoutAlias(given, files);
    command.processedArgs[index] = word;
    return settings ?? [];
  });
  for (const option of command.options) {
    if (!isSource(declarationOf(option)?.value ?? '')) continue;
    const name = option.attributeName();
    const given = command.getOptionValue(name) as unknown;
    const replaced = Array.isArray(given)
      ? given.map((word: unknown) => withoutAlias(word, files).word)
      : withoutAlias(given, files).word;
    command.setOptionValueWithSource(name, replaced, command.getOptionValueSource(name));
  }
  const [settings] = found;
  if (settings !== undefined) applyAll(command, settings);
}

interface Replaced {
  readonly word: unknown;
  /** Of the alias. */
  readonly settings?: ReadonlyMap<string, FileSetting>;
}

/** NAME[@PIN] becomes SOURCE[@PIN]; the pin behind the name counts more than one behind the source. */
function withoutAlias(word: unknown, files: readonly SettingsFile[]): Replaced {
  if (typeof word !== 'string' || word.includes('/')) return { word };
  const [, name = '', pin] = /^([^@]*)(@.*)?$/s.exec(word) ?? [];
  const alias = files.map(({ sources }) => sources.get(name)).find((one) => one !== undefined);
  if (alias === undefined) return { word };
  const { source, settings } = alias;
  return { word: pin === undefined ? source : `${splitSourcePin(source).source}${pin}`, settings };
}
