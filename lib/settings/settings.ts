import type { LinePlace } from '../configuration/shell/state.js';
import type { OptionRow } from '../options/option.js';
import { sourceOptionTable } from '../options/source-options.js';
import { mountTables } from '../options/tables.js';

/* pinfs's own settings, as the files config.toml have them. */

/** A value for an option, as texts of the command line: several where it may be given again. */
export interface FileSetting {
  readonly row: OptionRow;
  /** Paths are absolute; of a flag `true` or `false`. */
  readonly texts: readonly string[];
  readonly origin: LinePlace;
}

/** A word that stands for a source, with the options that belong to it. */
export interface SourceAlias {
  readonly name: string;
  /** SOURCE[@PIN] */
  readonly source: string;
  readonly settings: ReadonlyMap<string, FileSetting>;
  readonly origin: LinePlace;
}

/** What `pinfs mount --all` mounts. */
export interface MountSetting {
  /** Absolute. */
  readonly mountpoint: string;
  /** SOURCE[@PIN], or a word that stands for one. */
  readonly source: string;
  readonly origin: LinePlace;
}

/** What one file says. */
export interface SettingsFile {
  readonly path: string;
  readonly settings: ReadonlyMap<string, FileSetting>;
  readonly sources: ReadonlyMap<string, SourceAlias>;
  /** By their directories. */
  readonly mounts: ReadonlyMap<string, MountSetting>;
}

/** What the option is called in config.toml: its flag with underscores. */
export function settingName({ flag }: OptionRow): string {
  return flag.replace(/^-+/, '').replaceAll('-', '_');
}

function byName(rows: readonly OptionRow[]): ReadonlyMap<string, OptionRow> {
  return new Map(rows.map((row) => [settingName(row), row]));
}

/** What stands at the top of the file: the options that are typed each day, which have a variable as well. */
export const settingRows: ReadonlyMap<string, OptionRow> = byName(
  mountTables
    .flatMap((rows) => Object.values(rows))
    .filter(({ environment }) => environment !== undefined),
);

/** What may stand in the table of a source besides `source`. */
export const aliasRows: ReadonlyMap<string, OptionRow> = byName(
  Object.values<OptionRow>(sourceOptionTable).filter(({ on }) => on === undefined),
);

/** A word that can stand for a source: it is no path, no URL, and no option. */
export const aliasName = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
