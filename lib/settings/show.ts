import { dataDirectory, type Variables } from '../machine/places.js';
import type { LinePlace } from '../configuration/shell/state.js';
import type { OptionRow } from '../options/option.js';
import { settingName, settingRows, type FileSetting, type SettingsFile } from './settings.js';

/** Where a value of pinfs's own comes from. */
export type OwnOrigin =
  | LinePlace
  | { readonly option: string }
  | { readonly variable: string }
  | { readonly default: true };

interface OwnValue {
  /** Texts of the command line; null: there is no value by itself. */
  readonly value: string | readonly string[] | null;
  readonly origin: OwnOrigin;
}

export interface OwnSetting extends OwnValue {
  readonly name: string;
  /** What it stands in the place of, what counts more first. */
  readonly overrode: readonly OwnValue[];
  /** What the default is, in words. */
  readonly note: string;
}

export interface OwnSource {
  readonly name: string;
  readonly source: string;
  readonly origin: LinePlace;
  readonly settings: readonly {
    readonly name: string;
    readonly value: string | readonly string[];
  }[];
}

/** Each setting with its origin; the command line counts most, then the environment, the files in their order. */
export function ownSettings(
  given: ReadonlyMap<string, readonly string[]>,
  variables: Variables,
  files: readonly SettingsFile[],
): OwnSetting[] {
  return [...settingRows].map(([name, row]) => {
    const variable = row.environment ?? '';
    const fromVariable = variables[variable] ?? '';
    const option = given.get(name);
    const inFiles = files.flatMap(({ settings }) => settings.get(name) ?? []);
    const values: OwnValue[] = [
      ...(option === undefined
        ? []
        : [{ value: shape(row, option), origin: { option: row.flag } }]),
      ...(fromVariable === ''
        ? []
        : [{ value: shape(row, textsOf(row, fromVariable)), origin: { variable } }]),
      ...inFiles.map(({ texts, origin }) => ({ value: shape(row, texts), origin })),
    ];
    const [first = defaultOf(name, row, variables), ...overrode] = values;
    return { name, ...first, overrode, note: row.otherwise ?? '' };
  });
}

function textsOf(row: OptionRow, text: string): string[] {
  return row.repeatable === true ? text.split(':').filter(Boolean) : [text];
}

function shape(row: OptionRow, texts: readonly string[]): string | readonly string[] {
  return row.repeatable === true ? texts : (texts[0] ?? '');
}

function defaultOf(name: string, row: OptionRow, variables: Variables): OwnValue {
  const fixed = row.default ?? row.usual;
  const value =
    name === 'cache' ? placeOfCache(variables) : fixed === undefined ? null : String(fixed);
  return { value, origin: { default: true } };
}

function placeOfCache(variables: Variables): string | null {
  try {
    return dataDirectory('cache', variables);
  } catch {
    return null;
  }
}

/** The words that stand for sources; of two files' the first one's. */
export function ownSources(files: readonly SettingsFile[]): OwnSource[] {
  const sources = new Map(files.toReversed().flatMap((file) => [...file.sources]));
  return [...sources.values()].map(({ name, source, origin, settings }) => ({
    name,
    source,
    origin,
    settings: [...settings.values()].map(valueOf),
  }));
}

export interface OwnMount {
  readonly mountpoint: string;
  readonly source: string;
  readonly origin: LinePlace;
}

/** What `pinfs mount --all` mounts; of two files' the first one's. */
export function ownMounts(files: readonly SettingsFile[]): OwnMount[] {
  return [...new Map(files.toReversed().flatMap((file) => [...file.mounts])).values()];
}

function valueOf({ row, texts }: FileSetting): OwnSource['settings'][number] {
  return { name: settingName(row), value: shape(row, texts) };
}

/** For people: name, value, origin and note of each, as for the values of a site. */
export function ownRows(
  settings: readonly OwnSetting[],
  sources: readonly OwnSource[],
  mounts: readonly OwnMount[] = [],
): string[][] {
  return [
    ...settings.flatMap(({ name, value, origin, overrode, note }) => [
      [
        name,
        value === null ? '-' : tomlText(value),
        placeText(origin),
        'default' in origin ? note : '',
      ],
      ...overrode.map(({ value, origin }) => [
        '',
        tomlText(value),
        placeText(origin),
        'overridden',
      ]),
    ]),
    ...sources.flatMap(({ name, source, origin, settings }) => [
      [`sources.${name}`, tomlText(source), placeText(origin), ''],
      ...settings.map((setting) => [
        `sources.${name}.${setting.name}`,
        tomlText(setting.value),
        placeText(origin),
        '',
      ]),
    ]),
    ...mounts.map(({ mountpoint, source, origin }) => [
      `mounts.${JSON.stringify(mountpoint)}`,
      tomlText(source),
      placeText(origin),
      '',
    ]),
  ];
}

function tomlText(value: OwnValue['value']): string {
  if (typeof value === 'string') return JSON.stringify(value);
  return value === null ? 'nothing' : `[${value.map((one) => JSON.stringify(one)).join(', ')}]`;
}

function placeText(origin: OwnOrigin): string {
  if ('file' in origin) return `${origin.file}:${origin.line}`;
  if ('variable' in origin) return origin.variable;
  return 'option' in origin ? origin.option : 'default';
}
