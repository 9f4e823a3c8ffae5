import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { errorReason } from '../../lib/format/errno.js';
import { fileFault } from '../../lib/format/file-fault.js';
import { PinfsError } from '../../lib/format/errors.js';
import { settingsFiles, settingsPlaces } from '../../lib/settings/places.js';
import type { OwnSetting, OwnSource, OwnMount } from '../../lib/settings/show.js';
import type { OptionRow } from '../../lib/options/option.js';
import { runAction } from './failures.js';
import { declarationOf, type OutputFlags } from './options.js';
import { writeValue } from './option-values.js';
import { print, printJson } from './output.js';

/* `pinfs config path | edit`, and what `pinfs config show` tells of pinfs's own settings. */

export interface OwnLayer {
  /** Those that are there. */
  readonly files: readonly string[];
  readonly settings: readonly OwnSetting[];
  readonly sources: readonly OwnSource[];
  readonly mounts: readonly OwnMount[];
}

/** pinfs's own settings, with their origin. @throws PinfsError USAGE */
export async function ownLayer(command: Command): Promise<OwnLayer> {
  const { ownMounts, ownSettings, ownSources } = await import('../../lib/settings/show.js');
  const { settingName } = await import('../../lib/settings/settings.js');
  const { readSettings } = await import('../../lib/settings/read.js');
  const paths = settingsFiles(settingsPlaces(process.env));
  const files = paths.map(readSettings);
  const given = new Map<string, readonly string[]>();
  for (const option of command.options) {
    const row = declarationOf(option);
    const name = option.attributeName();
    if (row === undefined || command.getOptionValueSource(name) !== 'cli') continue;
    given.set(settingName(row), textsOf(row, command.getOptionValue(name) as unknown));
  }
  return {
    files: paths,
    settings: ownSettings(given, process.env, files),
    sources: ownSources(files),
    mounts: ownMounts(files),
  };
}

function textsOf({ kind }: OptionRow, value: unknown): string[] {
  return [value]
    .flat()
    .filter((one) => typeof one === 'string' || typeof one === 'number')
    .map((one) => writeValue(kind, one));
}

/** Where the user's file lies or would lie: alone on its line, for `$(pinfs config path)`. */
export async function path(flags: OutputFlags): Promise<void> {
  await runAction(flags, async () => {
    const { user, machine } = settingsPlaces(process.env);
    if (flags.json === true) {
      const of = (path: string | undefined) =>
        path === undefined ? null : { path, exists: existsSync(path) };
      printJson({ user: of(user), machine: of(machine) });
    } else await print(`${userFile(user)}\n`);
  });
}

function userFile(user: string | undefined): string {
  if (user !== undefined) return user;
  throw new PinfsError('USAGE', 'there is no place for settings: this user has no home directory', {
    advice: 'Set HOME or XDG_CONFIG_HOME to a directory of your own.',
  });
}

/** Opens the user's file in his editor; one that is not there begins with what may stand in it. */
export async function edit(flags: OutputFlags): Promise<void> {
  await runAction(flags, async () => {
    const file = userFile(settingsPlaces(process.env).user);
    if (!existsSync(file)) await makeFile(file);
    const editor = ['VISUAL', 'EDITOR'].map((name) => process.env[name]).find(Boolean) ?? 'vi';
    // The variable may hold options, as it does for other programs.
    const { status, error } = spawnSync('sh', ['-c', `${editor} "$1"`, 'sh', file], {
      stdio: 'inherit',
    });
    if (status !== 0) {
      const reason = error === undefined ? `exit code ${status ?? 'none'}` : errorReason(error);
      throw new PinfsError('USAGE', `the editor '${editor}' failed: ${reason}`, {
        advice: `Set VISUAL or EDITOR to another one; the file is ${file}`,
      });
    }
    const { readSettings } = await import('../../lib/settings/read.js');
    const { settings, sources } = readSettings(file);
    if (flags.json === true) printJson({ file, settings: settings.size, sources: sources.size });
    else await print(`${file}: ${settings.size} settings, ${sources.size} sources\n`);
  });
}

async function makeFile(file: string): Promise<void> {
  const { settingsTemplate } = await import('../../lib/settings/template.js');
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    writeFileSync(file, settingsTemplate(), { flag: 'wx', mode: 0o600 });
  } catch (cause) {
    throw new PinfsError('USAGE', `can't make ${file}: ${fileFault(cause, 'write').why}`, {
      advice: 'Set XDG_CONFIG_HOME to a directory of your own.',
      cause,
    });
  }
}
