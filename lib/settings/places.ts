import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { userDirectory, type Variables } from '../machine/places.js';

/** Where pinfs's own settings lie: those of the user count more than those of the machine. */
export interface SettingsPlaces {
  /** Undefined: this user has no home. */
  readonly user: string | undefined;
  readonly machine: string;
}

export function settingsPlaces(variables: Variables): SettingsPlaces {
  const base = userDirectory('XDG_CONFIG_HOME', variables);
  return {
    user: base === undefined ? undefined : join(base, 'pinfs', 'config.toml'),
    machine: '/etc/pinfs/config.toml',
  };
}

/** Those that are there, the one that counts most first. */
export function settingsFiles({ user, machine }: SettingsPlaces): string[] {
  return [user, machine].filter((path) => path !== undefined && existsSync(path)) as string[];
}
