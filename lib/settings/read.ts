import { statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parse, TomlError } from 'smol-toml';
import { nearestName } from '../configuration/nearest.js';
import { readGiven } from '../files/given.js';
import { isTrusted, othersMayWrite } from '../files/owners.js';
import { fileFault } from '../format/file-fault.js';
import { PinfsError } from '../format/errors.js';
import type { OptionRow } from '../options/option.js';
import { namesPath } from '../options/rows.js';
import { isUrl } from '../source/source-pin.js';
import { lineOf } from './lines.js';
import {
  aliasName,
  aliasRows,
  settingRows,
  type FileSetting,
  type MountSetting,
  type SettingsFile,
  type SourceAlias,
} from './settings.js';

const bytesMax = 256 * 1024;

/**
 * Reads one config.toml.
 * @throws PinfsError USAGE: with file and line, what is wrong there and what may be meant
 */
export function readSettings(path: string): SettingsFile {
  return parseSettings(path, readText(path));
}

function readText(path: string): string {
  try {
    const status = statSync(path);
    // It says who is believed and who is asked.
    if (!isTrusted(status) || othersMayWrite(status)) {
      throw new PinfsError('USAGE', `${path} is not heeded: others may write to it`, {
        advice: `It has to be yours or root's: chmod go-w ${path}`,
      });
    }
    return readGiven(path, bytesMax).toString('utf8');
  } catch (thrown) {
    if (thrown instanceof PinfsError) throw thrown;
    throw new PinfsError('USAGE', `can't read ${path}: ${fileFault(thrown, 'read').why}`, {
      advice: 'Mend its rights, or take it away.',
      cause: thrown,
    });
  }
}

/** What the text of a config.toml says. @throws PinfsError USAGE */
export function parseSettings(path: string, text: string): SettingsFile {
  const file: OpenFile = { path, text };
  const { sources = {}, mounts = {}, ...others } = parsed(file);
  return {
    path,
    settings: settingsIn(file, [], others, settingRows, ['sources', 'mounts']),
    sources: sourcesIn(file, sources),
    mounts: mountsIn(file, mounts),
  };
}

interface OpenFile {
  readonly path: string;
  readonly text: string;
}

type Table = Readonly<Record<string, unknown>>;

function parsed({ path, text }: OpenFile): Table {
  try {
    return parse(text);
  } catch (thrown) {
    if (!(thrown instanceof TomlError)) throw thrown;
    const [what = ''] = thrown.message.replace(/^Invalid TOML document: /, '').split('\n', 1);
    throw new PinfsError('USAGE', `${path}:${thrown.line}: this is no TOML: ${what}`, {
      advice: 'A line is NAME = "value"; `pinfs config edit` opens the file.',
      cause: thrown,
    });
  }
}

function wrong(
  { path, text }: OpenFile,
  keys: readonly string[],
  what: string,
  advice: string,
): PinfsError {
  return new PinfsError('USAGE', `${path}:${lineOf(text, keys)}: ${what}`, { advice });
}

function isTable(value: unknown): value is Table {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)
  );
}

/** @param also what else may stand there */
function settingsIn(
  file: OpenFile,
  before: readonly string[],
  table: Table,
  rows: ReadonlyMap<string, OptionRow>,
  also: readonly string[],
): Map<string, FileSetting> {
  const settings = new Map<string, FileSetting>();
  for (const [name, value] of Object.entries(table)) {
    const keys = [...before, name];
    const row = rows.get(name);
    if (row === undefined) throw unknown(file, keys, [...also, ...rows.keys()]);
    const origin = { file: file.path, line: lineOf(file.text, keys) };
    settings.set(name, { row, texts: textsOf(file, keys, row, value), origin });
  }
  return settings;
}

function unknown(file: OpenFile, keys: readonly string[], known: readonly string[]): PinfsError {
  const name = keys.at(-1) ?? '';
  const meant = nearestName(name, known);
  const where = keys.length > 1 ? ` of a source` : '';
  const advice =
    meant === undefined
      ? `Known: ${known.join(', ')}.`
      : `Did you mean ${meant}? Known: ${known.join(', ')}.`;
  return wrong(file, keys, `'${name}' is no setting${where}`, advice);
}

function textsOf(
  file: OpenFile,
  keys: readonly string[],
  row: OptionRow,
  value: unknown,
): readonly string[] {
  const name = keys.at(-1) ?? '';
  if (row.kind === 'flag') {
    if (typeof value === 'boolean') return [String(value)];
    throw wrong(file, keys, `'${name}' is on or off`, 'Write true or false.');
  }
  const isList = Array.isArray(value) && row.repeatable === true;
  const values: readonly unknown[] = isList ? (value as readonly unknown[]) : [value];
  return values.map((one) => {
    if (typeof one === 'string' && one !== '') return absolute(file, row, one);
    if (typeof one === 'number') return String(one);
    const form = row.repeatable === true ? '"value", or ["one", "other"]' : '"value"';
    throw wrong(file, keys, `'${name}' is no text`, `Write ${name} = ${form}.`);
  });
}

/** Relative paths begin where the file lies, so that nothing depends on the working directory. */
function absolute({ path }: OpenFile, row: OptionRow, text: string): string {
  if (!namesPath(row) || isUrl(text)) return text;
  return text.startsWith('~/') ? join(homedir(), text.slice(2)) : resolve(dirname(path), text);
}

function sourcesIn(file: OpenFile, table: unknown): Map<string, SourceAlias> {
  const keys = ['sources'];
  const form = 'Write [sources.NAME], and below it source = "http://…".';
  if (!isTable(table)) throw wrong(file, keys, "'sources' is no table", form);
  const sources = new Map<string, SourceAlias>();
  for (const [name, value] of Object.entries(table)) {
    const here = [...keys, name];
    if (!aliasName.test(name)) {
      const advice = 'Letters, digits, and . - _ behind the first one.';
      throw wrong(file, here, `'${name}' can't stand for a source`, advice);
    }
    // The short form: atlas = "http://…"
    const { source, ...others } = isTable(value) ? value : { source: value };
    if (typeof source !== 'string' || source === '')
      throw wrong(file, here, `the source '${name}' leads nowhere`, form);
    sources.set(name, {
      name,
      source: placeOf(file, source),
      settings: settingsIn(file, here, others, aliasRows, ['source']),
      origin: { file: file.path, line: lineOf(file.text, here) },
    });
  }
  return sources;
}

function mountsIn(file: OpenFile, table: unknown): Map<string, MountSetting> {
  const form = 'Write [mounts], and below it "~/DIR" = "SOURCE@PIN".';
  if (!isTable(table)) throw wrong(file, ['mounts'], "'mounts' is no table", form);
  const mounts = Object.entries(table).map(([directory, source]): [string, MountSetting] => {
    const here = ['mounts', directory];
    if (directory === '' || typeof source !== 'string' || source === '')
      throw wrong(file, here, `nothing can be mounted on '${directory}'`, form);
    const mountpoint = directory.startsWith('~/')
      ? join(homedir(), directory.slice(2))
      : resolve(dirname(file.path), directory);
    const origin = { file: file.path, line: lineOf(file.text, here) };
    return [mountpoint, { mountpoint, source: placeOf(file, source), origin }];
  });
  return new Map(mounts);
}

/** A URL, the path of a directory, or the name of a repository that the site knows. */
function placeOf({ path }: OpenFile, text: string): string {
  if (text.startsWith('~/')) return join(homedir(), text.slice(2));
  return text.startsWith('./') || text.startsWith('../') ? resolve(dirname(path), text) : text;
}
