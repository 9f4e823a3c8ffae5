import { statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { isOurs } from '../../files/owners.js';
import { PinfsError } from '../../format/errors.js';
import { isRepositoryName } from '../../format/names.js';
import { cacheOfHost } from '../../machine/network-disk.js';
import { dataDirectory } from '../../machine/places.js';
import type { HttpOptions } from '../../source/http/http.js';
import { parseDate } from './pin.js';
import type { OpenOptions } from './options.js';

/** The part of the process's surroundings that opening a repository looks at; tests hand in their own. */
export interface Environment {
  readonly variables: Readonly<Record<string, string | undefined>>;
  readonly now: () => Date;
  /** As `$RANDOM` in a site's files: 0 to 32767. */
  readonly random?: () => number;
  /** Timeouts and pauses of the network, where they are not the usual ones. */
  readonly network?: HttpOptions;
  /** The last lines of the log of a mount. */
  readonly recentLog?: () => string;
  /** Told of what goes wrong later and ends nothing. */
  readonly report?: (error: PinfsError) => void;
}

export const processEnvironment: Environment = { variables: process.env, now: () => new Date() };

export interface StandardDirectories {
  readonly cache: string;
  readonly state: string;
}

/** A path that somebody gave. An empty one, as of an unset variable, would be the working directory. @throws PinfsError USAGE */
export function checkGiven(what: string, path: string): string {
  if (path !== '') return path;
  throw new PinfsError('USAGE', `${what} is empty`, { advice: 'Name a path, or leave it out.' });
}

/**
 * Where cache and state lie: with `--cache DIR` the state is in `DIR/state`. On a disk that other
 * machines may use as well, the cache is in a directory of this machine's own below that.
 * @throws PinfsError USAGE, CACHE_UNUSABLE, STATE_UNUSABLE (nowhere, see dataDirectory)
 */
export function directories(options: OpenOptions, environment: Environment): StandardDirectories {
  const { variables } = environment;
  if (options.cache !== undefined) {
    checkGiven('--cache', options.cache);
    const given = resolve(options.cache);
    const state = join(given, 'state');
    const isAnothers = belongsToAnother(state) ?? belongsToAnother(given) ?? false;
    // In a cache of root's, which others may read, nobody else's state can lie.
    return {
      cache: cacheOfHost(given),
      state: isAnothers ? dataDirectory('state', variables) : state,
    };
  }
  const cache = cacheOfHost(dataDirectory('cache', variables));
  return { cache, state: dataDirectory('state', variables) };
}

/** Undefined: nothing is seen there. */
function belongsToAnother(path: string): boolean | undefined {
  try {
    return !isOurs(statSync(path));
  } catch {
    return undefined;
  }
}

const architectures: Readonly<Record<string, string>> = {
  x64: 'x86_64',
  arm64: 'aarch64',
  ia32: 'i686',
  arm: 'armv7l',
  ppc64: 'ppc64le',
  riscv64: 'riscv64',
  s390x: 's390x',
};

/**
 * Variables for links: those given (`NAME` takes its value from the environment), `CVMFS_*` of the
 * environment, and CVMFS_ARCH and CVMFS_FQRN. Nothing else: readlink shows them to everyone.
 * @throws PinfsError USAGE
 */
export function givenLinkVariables(
  given: readonly string[],
  fqrn: string,
  environment: Environment,
): Record<string, string> {
  const result: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment.variables)) {
    if (name.startsWith('CVMFS_') && value !== undefined) result[name] = value;
  }
  for (const text of given) {
    const at = text.indexOf('=');
    const name = at < 0 ? text : text.slice(0, at);
    if (name === '') throw new PinfsError('USAGE', `--env '${text}' names no variable`);
    const value = at < 0 ? environment.variables[name] : text.slice(at + 1);
    if (value !== undefined) result[name] = value;
  }
  result['CVMFS_FQRN'] = fqrn;
  result['CVMFS_ARCH'] = architectures[process.arch] ?? process.arch;
  return result;
}

/** `--trust-at`; a bare date means its last second. @throws PinfsError USAGE */
export function trustTime(text: string | undefined): Date | undefined {
  if (text === undefined) return undefined;
  const date = parseDate(text);
  if (date === undefined) {
    throw new PinfsError('USAGE', `--trust-at '${text}' is no date`, {
      advice: 'Write it like 2015-06-10 or 2015-06-10T12:00:00Z.',
    });
  }
  return new Date(date.seconds * 1000);
}

/** @throws PinfsError USAGE */
export function checkFqrn(name: string): string {
  if (isRepositoryName(name)) return name;
  throw new PinfsError('USAGE', `'${name}' can't be the name of a repository`, {
    advice: 'Give it with --fqrn NAME; the last part of the source was taken for it.',
  });
}
