import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { PinfsError } from '../../format/errors.js';
import { makeStateDirectory, writeState } from '../../trust/memory/state-files.js';
import type { Configuration } from '../../configuration/configuration.js';
import type { Site } from '../../configuration/layers.js';
import { elementsOf } from '../../configuration/values.js';
import type { ConfigRepository } from './config-repository.js';

const keysMax = 100;

/**
 * The files of the master keys that a site names: CVMFS_PUBLIC_KEY where it is set, else what lies in CVMFS_KEYS_DIR and
 * not below it. Keys of the config repository are copied from its snapshot to the state. Empty: it names none.
 * @throws PinfsError KEY_MALFORMED (what it names is not there), STATE_UNUSABLE
 */
export async function siteKeys(
  configuration: Configuration,
  site: Site,
  repository: ConfigRepository | undefined,
  state: string,
): Promise<string[]> {
  const { settings } = configuration;
  const value = (name: string): string => settings.get(name)?.value ?? '';
  const inRepository = (path: string): string | undefined =>
    pathInRepository(configuration, repository, path);
  const local = async (path: string): Promise<string> => {
    const inside = inRepository(path);
    return inside === undefined || repository === undefined
      ? path
      : await copyKey(repository, inside, state);
  };
  const files = elementsOf(value('CVMFS_PUBLIC_KEY'), ':');
  if (files.length > 0) return await Promise.all(files.map(local));
  const directory = value('CVMFS_KEYS_DIR');
  if (directory === '') return [];
  const inside = inRepository(directory);
  const names =
    inside === undefined || repository === undefined
      ? site.list(directory)
      : ((await repository.load(inside)).names ?? []);
  const keys = names
    .filter((name) => name.endsWith('.pub'))
    .sort()
    .slice(0, keysMax);
  if (keys.length > 0) return await Promise.all(keys.map((name) => local(join(directory, name))));
  throw new PinfsError('KEY_MALFORMED', `CVMFS_KEYS_DIR: there is no key (*.pub) in ${directory}`, {
    advice: 'Put the master keys there, or give one with --key.',
  });
}

/** The path inside of the config repository, of one below where the reference mounts it; undefined: it is of this machine. */
export function pathInRepository(
  { settings }: Configuration,
  repository: ConfigRepository | undefined,
  path: string,
): string | undefined {
  if (repository === undefined) return undefined;
  const root = join('/', settings.get('CVMFS_MOUNT_DIR')?.value ?? '', repository.fqrn);
  return path === root || path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
}

/** The blacklist that lies in a config repository, copied to the state; undefined: there is none. @throws PinfsError */
export async function siteBlacklist(
  repository: ConfigRepository | undefined,
  state: string,
): Promise<string | undefined> {
  return repository && (await copyFile(repository, '/etc/cvmfs/blacklist', state));
}

async function copyKey(repository: ConfigRepository, path: string, state: string): Promise<string> {
  const copy = await copyFile(repository, path, state);
  if (copy !== undefined) return copy;
  const what = `${path} is not in the config repository ${repository.fqrn}`;
  throw new PinfsError('KEY_MALFORMED', what, { advice: 'Give a key with --key.' });
}

async function copyFile(
  repository: ConfigRepository,
  path: string,
  state: string,
): Promise<string | undefined> {
  const { bytes } = await repository.load(path);
  if (bytes === undefined) return undefined;
  const directory = join(state, 'site-keys', repository.fqrn);
  makeStateDirectory(directory);
  // A key by what it holds: one that another process reads stays what it is.
  const digest = createHash('sha256').update(bytes).digest('hex');
  const copy = join(directory, `${digest.slice(0, 32)}-${basename(path)}`);
  if (statSync(copy, { throwIfNoEntry: false }) === undefined)
    writeState(copy, bytes.toString('latin1'), { replace: true });
  return copy;
}
