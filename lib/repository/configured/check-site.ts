import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { asPinfsError, PinfsError } from '../../format/errors.js';
import {
  checkConfiguration,
  type CheckedMachine,
  type SiteFinding,
} from '../../configuration/check.js';
import { evaluateSite } from '../../configuration/layers.js';
import type { Configuration } from '../../configuration/configuration.js';
import { elementsOf } from '../../configuration/values.js';
import { directories, type Environment } from '../open/environment.js';
import type { OpenOptions } from '../open/options.js';
import { withLoaded } from './config-repository.js';
import { probeSource } from '../probe.js';
import { namedSource } from './named-source.js';
import { readNamed, type NamedSite } from './site-source.js';
import { siteOf } from './site.js';
import { pathInRepository } from './site-keys.js';

/** What a site's files say of one repository. @throws PinfsError USAGE: it can't be a name */
export async function siteConfiguration(
  word: string,
  options: OpenOptions,
  environment: Environment,
): Promise<Configuration> {
  const { reading } = await readNamed(word, options, environment);
  if (reading === undefined) throw noName(word);
  await reading.repository?.close();
  return reading.configuration;
}

function noName(word: string): PinfsError {
  return new PinfsError('USAGE', `'${word}' is no name of a repository`, {
    advice: 'Write the whole name, such as software.example.org, or set CVMFS_DEFAULT_DOMAIN.',
  });
}

/**
 * What is wrong with a site's files, for one repository, or for each that they configure.
 * @throws PinfsError USAGE: it can't be a name
 */
export async function checkSite(
  word: string | undefined,
  options: OpenOptions,
  environment: Environment,
): Promise<SiteFinding[]> {
  const found: SiteFinding[] = [];
  if (word === undefined) {
    const machine = machineOf(undefined, options, environment);
    const all = evaluateSite('', machine.site);
    found.push(...checkConfiguration(all, machine));
    for (const name of configuredNames(all, machine.site))
      found.push(...(await checkNamed(name, options, environment)));
  } else found.push(...(await checkNamed(word, options, environment)));
  // The same line is read for each repository.
  const byText = new Map(found.map((one) => [JSON.stringify([one.origin, one.text]), one]));
  return [...byText.values()];
}

/**
 * Asks the servers of one repository, or of each that the files configure, through their proxies.
 * @throws PinfsError USAGE: it can't be a name
 */
export async function probeSite(
  word: string | undefined,
  options: OpenOptions,
  environment: Environment,
): Promise<SiteFinding[]> {
  const quiet = { ...environment, report: () => undefined };
  const site = siteOf(options, environment);
  const names = word === undefined ? configuredNames(evaluateSite('', site), site) : [word];
  const found: SiteFinding[] = [];
  for (const name of names) found.push(...(await probeNamed(name, options, quiet)));
  return found;
}

async function probeNamed(
  word: string,
  options: OpenOptions,
  environment: Environment,
): Promise<SiteFinding[]> {
  const { fqrn, settings } = await siteConfiguration(word, options, environment);
  const origin = settings.get('CVMFS_SERVER_URL')?.origin ?? null;
  const mend = 'Ask who runs the server or the proxy, or take it out of the list.';
  try {
    const named = await namedSource({ ...options, source: fqrn }, environment);
    const { ways } = await probeSource(named, environment);
    const isAnyValid = ways.some(({ error }) => error === null);
    return ways.flatMap(({ mirror, proxy, error }) =>
      error === null
        ? []
        : [
            {
              severity: isAnyValid ? ('warning' as const) : ('error' as const),
              origin,
              text: `${fqrn}: ${mirror} through ${proxy}: ${error.message} [${error.code}]`,
              mend,
            },
          ],
    );
  } catch (thrown) {
    const { code, message, advice = mend } = asPinfsError(thrown);
    return [{ severity: 'error', origin, text: `${fqrn}: ${message} [${code}]`, mend: advice }];
  }
}

async function checkNamed(
  word: string,
  options: OpenOptions,
  environment: Environment,
): Promise<SiteFinding[]> {
  const reported: SiteFinding[] = [];
  const report = ({ message, advice = '' }: PinfsError): void => {
    reported.push({ severity: 'warning', origin: null, text: message, mend: advice });
  };
  const named = await readNamed(word, options, { ...environment, report });
  const { reading } = named;
  if (reading === undefined) throw noName(word);
  const { configuration, repository } = reading;
  try {
    const machine = machineOf(named, options, environment);
    const check = (): SiteFinding[] => checkConfiguration(configuration, machine);
    return [
      ...reported,
      ...(repository === undefined ? check() : await withLoaded(repository, check)),
    ];
  } finally {
    await repository?.close();
  }
}

function machineOf(
  named: NamedSite | undefined,
  options: OpenOptions,
  environment: Environment,
): CheckedMachine & Pick<NamedSite, 'site'> {
  const site = named?.site ?? siteOf(options, environment);
  const reading = named?.reading;
  const loaded = (path: string) => {
    if (reading?.repository === undefined) return undefined;
    const inside = pathInRepository(reading.configuration, reading.repository, path);
    return inside === undefined ? undefined : reading.repository.loaded(inside);
  };
  const { cache } = directories(options, environment);
  return {
    site,
    look: (path) => {
      const file = loaded(path);
      return file === undefined ? site.look(path) : file.facts;
    },
    list: (path) => {
      const file = loaded(path);
      return file === undefined ? site.list(path) : (file.names ?? []);
    },
    cachePartitionBytes: partitionBytes(cache),
  };
}

/** Of the place where a directory lies or would lie; undefined: not known. */
function partitionBytes(directory: string): number | undefined {
  try {
    const { blocks, bsize } = statfsSync(directory);
    return blocks * bsize;
  } catch {
    return dirname(directory) === directory ? undefined : partitionBytes(dirname(directory));
  }
}

const namesMax = 200;

/** Each repository that the files name, and one of each domain that has a file and no repository. */
function configuredNames({ settings }: Configuration, site: NamedSite['site']): string[] {
  const isFile = /\.(conf|local)$/;
  const files = (folder: string): string[] =>
    site
      .list(`${site.directory}/${folder}`)
      .filter((name) => isFile.test(name))
      .map((name) => name.replace(isFile, ''));
  const names = new Set([
    ...elementsOf(settings.get('CVMFS_REPOSITORIES')?.value ?? ''),
    ...files('config.d'),
  ]);
  for (const domain of files('domain.d'))
    if (![...names].some((name) => name.endsWith(`.${domain}`))) names.add(`example.${domain}`);
  return [...names]
    .slice(0, namesMax)
    .filter((name) => /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$/.test(name));
}
