import { isRepositoryName } from '../../format/names.js';
import { PinfsError } from '../../format/errors.js';
import { splitSourcePin } from '../../source/source-pin.js';
import { evaluateSite, type Site } from '../../configuration/layers.js';
import { nearestName } from '../../configuration/nearest.js';
import { elementsOf, urlsOf } from '../../configuration/values.js';
import { offlineReason } from '../../trust/verdicts.js';
import { openRepository } from '../open.js';
import { directories, type Environment } from '../open/environment.js';
import type { OpenOptions } from '../open/options.js';
import { configRepositoryOf } from './config-repository.js';
import { demandKnown } from './known-values.js';
import { readSite, type OpenConfigRepository, type SiteReading } from './read-site.js';
import { siteOf } from './site.js';
import { siteBlacklist, siteKeys } from './site-keys.js';
import { siteOptions } from './site-options.js';

/** What else the word may be that is taken for a name. */
export interface OtherMeaning {
  /** Where it is a name as well, that is an error. */
  readonly isAmbiguous: boolean;
  /** Where it is no name, it is something else. */
  readonly isElsewhere: boolean;
}

/**
 * The options with which a repository is opened by its name, as a site's files have it.
 * @param plain what was given but for `given`, which says where the site's files are.
 * @returns undefined: it is no name that they know, and something else.
 * @throws PinfsError as `namedSource`.
 */
export async function siteSource(
  plain: OpenOptions,
  given: Pick<OpenOptions, 'config' | 'set'>,
  environment: Environment,
  { isAmbiguous, isElsewhere }: OtherMeaning,
): Promise<OpenOptions | undefined> {
  const { source: word, pin } = splitSourcePin(plain.source);
  const { site, fqrn, reading } = await readNamed(word, { ...plain, ...given }, environment);
  try {
    const urls = urlsOf(reading?.configuration.settings.get('CVMFS_SERVER_URL')?.value ?? '');
    if (fqrn !== undefined && reading !== undefined && urls.length > 0) {
      if (isAmbiguous) throw ambiguous(word, fqrn);
      const own = await configured(plain, { fqrn, pin, urls }, reading, site, environment);
      const nearest = nearestKnown(fqrn, site, reading);
      if (own.site === undefined || nearest === undefined) return own;
      return { ...own, site: { ...own.site, nearest } };
    }
    if (!isElsewhere) throw nothingFits(word, fqrn, site, reading);
    return undefined;
  } finally {
    await reading?.repository?.close();
  }
}

export interface NamedSite {
  readonly site: Site;
  /** The whole name; undefined: the word can't be one. */
  readonly fqrn: string | undefined;
  /** What the site says of it; undefined where there is no name. */
  readonly reading: SiteReading | undefined;
}

/** What a site says of a word, as the name of a repository. The reading is to be closed. @throws PinfsError */
export async function readNamed(
  word: string,
  options: OpenOptions,
  environment: Environment,
): Promise<NamedSite> {
  const site = siteOf(options, environment);
  const fqrn = completedName(word, site);
  const open = opener(options, environment);
  const reading = fqrn === undefined ? undefined : await readSite(fqrn, site, open, environment);
  return { site, fqrn, reading };
}

/** A name without a dot gets the default domain; undefined: that is none. */
function completedName(word: string, site: Site): string | undefined {
  if (word.includes('.')) return isRepositoryName(word) ? word : undefined;
  const domain = evaluateSite('', site).settings.get('CVMFS_DEFAULT_DOMAIN')?.value ?? '';
  const name = `${word}.${domain}`;
  return domain !== '' && isRepositoryName(name) ? name : undefined;
}

function ambiguous(word: string, fqrn: string): PinfsError {
  return new PinfsError('USAGE', `'${word}' is a directory here, and the repository ${fqrn}`, {
    advice: `Write ./${word} for the directory; for the repository, go to another directory.`,
  });
}

/** A name that the site knows, for one that it does not; undefined: it knows this one, or none that is near. */
function nearestKnown(
  name: string,
  site: Site,
  reading: SiteReading | undefined,
): string | undefined {
  const { settings } = reading?.configuration ?? evaluateSite('', site);
  const known = new Set([
    ...elementsOf(settings.get('CVMFS_REPOSITORIES')?.value ?? ''),
    ...site.list(`${site.directory}/config.d`).map((name) => name.replace(/\.(conf|local)$/, '')),
  ]);
  return known.has(name) ? undefined : nearestName(name, known);
}

function nothingFits(
  word: string,
  fqrn: string | undefined,
  site: Site,
  reading: SiteReading | undefined,
): PinfsError {
  const meant = nearestKnown(fqrn ?? word, site, reading);
  const where = site.onlyFiles?.join(', ') ?? site.directory;
  const what =
    fqrn === undefined ? `'${word}' is no name of a repository` : `no server is known for ${fqrn}`;
  const advice =
    meant === undefined
      ? `Set CVMFS_SERVER_URL in ${where}, or give a URL, or ./DIR for a directory.`
      : `Did you mean ${meant}?`;
  return new PinfsError(
    'USAGE',
    `${what}: ${where} says nothing of it, and no directory has that name`,
    { advice },
  );
}

/** The config repository is a repository as others are, configured by the local files alone. */
function opener(options: OpenOptions, environment: Environment): OpenConfigRepository {
  return async (fqrn) => {
    const { cache, cacheLimit, offline, strict, deadline, minRate, weakKey, proxy } = options;
    const given = { cache, cacheLimit, offline, strict, deadline, minRate, weakKey, proxy };
    const there = Object.fromEntries(
      Object.entries(given).filter(([, value]) => value !== undefined),
    ) as Partial<OpenOptions>;
    const site = siteOf(options, environment);
    const reading: SiteReading = { configuration: evaluateSite(fqrn, site), repository: undefined };
    const urls = urlsOf(reading.configuration.settings.get('CVMFS_SERVER_URL')?.value ?? '');
    if (urls.length === 0)
      throw new PinfsError('USAGE', `no server is known for it`, {
        advice: `Set CVMFS_SERVER_URL in ${site.directory}/config.d/${fqrn}.local.`,
      });
    const plain = { ...there, source: fqrn };
    const own = await configured(plain, { fqrn, pin: undefined, urls }, reading, site, environment);
    const repository = await openRepository(own, environment);
    const { verdict } = repository;
    if (verdict.status === 'offline') {
      const message = `the config repository ${fqrn} is read offline: ${offlineReason(verdict)}`;
      environment.report?.(new PinfsError('OFFLINE', message));
    }
    return configRepositoryOf(repository);
  };
}

interface Named {
  readonly fqrn: string;
  /** Of the command line. */
  readonly pin: string | undefined;
  readonly urls: readonly string[];
}

async function configured(
  options: OpenOptions,
  named: Named,
  { configuration, repository }: SiteReading,
  site: Site,
  environment: Environment,
): Promise<OpenOptions> {
  demandKnown(configuration, options, named.pin, environment);
  const { state } = directories(options, environment);
  const { keys = [] } = options;
  const found = keys.length > 0 ? keys : await siteKeys(configuration, site, repository, state);
  const whole = siteOptions({ ...options, keys: found }, named, configuration);
  const blacklist = await siteBlacklist(repository, state);
  return blacklist === undefined ? whole : { ...whole, site: { ...whole.site, blacklist } };
}
