import { join } from 'node:path';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import { evaluateSite, type RepositoryFiles, type Site } from '../../configuration/layers.js';
import { isOn } from '../../configuration/values.js';
import type { Configuration } from '../../configuration/configuration.js';
import type { Environment } from '../open/environment.js';
import { mountedRepository } from './mounted-repository.js';
import { withLoaded, type ConfigRepository } from './config-repository.js';

/** Opens the config repository of that name. @throws PinfsError */
export type OpenConfigRepository = (fqrn: string) => Promise<ConfigRepository>;

export interface SiteReading {
  readonly configuration: Configuration;
  /** Undefined: there is none, or it can't be had. To be closed. */
  readonly repository: ConfigRepository | undefined;
}

/**
 * What the files of a site say for a repository. Those of the config repository are read from a verified snapshot of
 * it; without it the others count alone, unless the site demands it (CVMFS_CONFIG_REPO_REQUIRED).
 * @throws PinfsError of the config repository, where it is demanded
 */
export async function readSite(
  fqrn: string,
  site: Site,
  open: OpenConfigRepository,
  environment: Environment,
): Promise<SiteReading> {
  const alone = evaluateSite(fqrn, site);
  const name = alone.configRepository;
  if (fqrn === '' || name === '' || name === fqrn || site.onlyFiles !== undefined)
    return { configuration: alone, repository: undefined };
  const repository = await openOrMounted(alone, open, environment);
  if (repository === undefined) return { configuration: alone, repository };
  try {
    const repositoryFiles: RepositoryFiles = {
      read: (_, path) => repository.loaded(path).bytes,
      look: (_, path) => repository.loaded(path).facts,
    };
    const configuration = await withLoaded(repository, () =>
      evaluateSite(fqrn, { ...site, repositoryFiles }),
    );
    return { configuration, repository };
  } catch (error) {
    await repository.close();
    throw error;
  }
}

/** A snapshot; where that can't be had what another client has mounted, with a warning. */
async function openOrMounted(
  alone: Configuration,
  open: OpenConfigRepository,
  { report }: Environment,
): Promise<ConfigRepository | undefined> {
  const name = alone.configRepository;
  const value = (parameter: string): string => alone.settings.get(parameter)?.value ?? '';
  try {
    return await open(name);
  } catch (thrown) {
    const error = asPinfsError(thrown);
    const root = join('/', value('CVMFS_MOUNT_DIR'), name);
    const mounted = mountedRepository(root, name);
    const instead = mounted === undefined ? '' : `; it is read as it is mounted, in ${root}`;
    const message = `the config repository ${name} can't be verified: ${error.message}${instead}`;
    const shown = new PinfsError(error.code, message, { advice: error.advice, cause: error });
    if (mounted === undefined && isOn(value('CVMFS_CONFIG_REPO_REQUIRED'))) throw shown;
    report?.(shown);
    return mounted;
  }
}
