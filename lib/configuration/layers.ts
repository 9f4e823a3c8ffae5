import { dirname, join } from 'node:path';
import { fromText, toBytes, type ByteString } from '../format/bytes.js';
import { isRepositoryName } from '../format/names.js';
import type { Configuration, Origin, Overridden, Setting } from './configuration.js';
import { evaluateFile, type FileValue } from './file.js';
import { filesMax } from './shell/bounds.js';
import type { FileFacts, LineProblem, Surroundings, Variable } from './shell/state.js';
import { Refused } from './shell/syntax.js';
import { withTemplates } from './templates.js';

/** Files of a snapshot of a config repository, by their paths in it. */
export interface RepositoryFiles {
  readonly read: (repository: string, path: string) => Buffer | undefined;
  readonly look: (repository: string, path: string) => FileFacts | undefined;
}

/** Everything that is not written in the files. */
export interface Site extends Surroundings {
  /** Such as /etc/cvmfs. */
  readonly directory: string;
  /** Only these files are read, in this order; undefined: those of the directory. */
  readonly onlyFiles?: readonly string[];
  /** Names in a directory; none where it is not there. */
  readonly list: (directory: string) => readonly string[];
  /** What the command line sets. */
  readonly given: ReadonlyMap<string, string>;
  /** Of the process. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Undefined: the config repository is left out. */
  readonly repositoryFiles?: RepositoryFiles;
}

/** Between two files: what is set, and what was found wrong. */
interface Reading {
  readonly site: Site;
  readonly fqrn: string;
  readonly settings: Map<string, ShellSetting>;
  readonly problems: LineProblem[];
  readonly files: string[];
  opened: number;
  /** CVMFS_CONFIG_REPOSITORY, once it is fixed. */
  configRepository: string | undefined;
}

interface ShellSetting {
  readonly value: ByteString;
  readonly origin: Origin;
  readonly overrode: readonly Overridden[];
  readonly unknown?: LineProblem;
}

/**
 * What the files of a site say for a repository, read in the order of the reference: a later value wins, and what the
 * command line sets wins over all and is there from the beginning.
 * @param fqrn empty for what holds for all repositories
 */
export function evaluateSite(fqrn: string, site: Site): Configuration {
  const reading: Reading = {
    site,
    fqrn,
    settings: new Map(),
    problems: [],
    files: [],
    opened: 0,
    configRepository: undefined,
  };
  for (const [name, value] of site.given) {
    const origin = { option: '--set' } as const;
    const bytes = withTemplates(fromText(value), fqrn);
    reading.settings.set(name, { value: bytes, origin, overrode: [] });
  }
  if (site.onlyFiles === undefined) readSite(reading);
  else for (const path of site.onlyFiles) readLayer(reading, path, true);
  return {
    fqrn,
    settings: new Map([...reading.settings].map(([name, one]) => [name, settingFrom(name, one)])),
    problems: reading.problems,
    files: reading.files,
    configRepository: reading.configRepository ?? '',
  };
}

function settingFrom(name: string, { value, ...rest }: ShellSetting): Setting {
  return { name, value: shownBytes(value), ...rest };
}

function shownBytes(bytes: ByteString): string {
  return toBytes(bytes).toString('utf8');
}

/** The files in their order (the format's description of the configuration, "Files and precedence"). */
function readSite(reading: Reading): void {
  const { site, fqrn } = reading;
  const local = (...path: string[]): void => {
    readLayer(reading, join(site.directory, ...path), false);
  };
  const domain = fqrn.split('.').slice(1).join('.');
  local('default.conf');
  const defaults = [...site.list(join(site.directory, 'default.d'))];
  for (const name of defaults.filter((name) => name.endsWith('.conf')).sort(bytewise))
    local('default.d', name);
  fixConfigRepository(reading);
  if (fqrn !== '') readConfigRepository(reading, 'default.conf');
  local('default.local');
  if (fqrn === '') return;
  readConfigRepository(reading, `domain.d/${domain}.conf`);
  local('domain.d', `${domain}.conf`);
  local('domain.d', `${domain}.local`);
  readConfigRepository(reading, `config.d/${fqrn}.conf`);
  local('config.d', `${fqrn}.conf`);
  local('config.d', `${fqrn}.local`);
}

function bytewise(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right));
}

/** From now on no file changes which repository it is. */
function fixConfigRepository(reading: Reading): void {
  const found = reading.settings.get('CVMFS_CONFIG_REPOSITORY');
  reading.configRepository = found?.value ?? '';
  if (reading.configRepository === '' || isRepositoryName(reading.configRepository)) return;
  if (found !== undefined && !('option' in found.origin)) {
    const text = `CVMFS_CONFIG_REPOSITORY: '${reading.configRepository}' can't be the name of a repository`;
    reading.problems.push({ severity: 'error', ...found.origin, text, mend: 'Mend the name.' });
  }
  reading.configRepository = '';
}

/** Where the reference mounts the config repository; undefined: there is none for this one. */
function configRepositoryRoot({ settings, configRepository, fqrn }: Reading): string | undefined {
  const mountDirectory = settings.get('CVMFS_MOUNT_DIR')?.value ?? '';
  const isThere = configRepository !== undefined && configRepository !== '';
  if (!isThere || configRepository === fqrn || mountDirectory === '') return undefined;
  return join('/', mountDirectory, configRepository);
}

function readConfigRepository(reading: Reading, path: string): void {
  const root = configRepositoryRoot(reading);
  if (root === undefined || reading.site.repositoryFiles === undefined) return;
  readLayer(reading, join(root, 'etc/cvmfs', path), false);
}

/** The same files, with those of the config repository where the reference mounts it. */
function surroundingsOf(reading: Reading): Surroundings {
  const { site } = reading;
  const root = configRepositoryRoot(reading);
  const inRepository = (path: string): string | undefined =>
    root !== undefined && path.startsWith(`${root}/`) ? path.slice(root.length) : undefined;
  const repository = reading.configRepository ?? '';
  return {
    random: site.random,
    processId: site.processId,
    hostName: site.hostName,
    userId: site.userId,
    look: (path) => {
      const inside = inRepository(path);
      return inside === undefined
        ? site.look(path)
        : site.repositoryFiles?.look(repository, inside);
    },
    read: (path) => {
      reading.opened += 1;
      if (reading.opened > filesMax)
        throw new Refused(`more than ${filesMax} files`, 'Read fewer files.', 0);
      const inside = inRepository(path);
      if (inside !== undefined) return site.repositoryFiles?.read(repository, inside);
      const allowed = site.onlyFiles?.map(dirname) ?? [site.directory];
      if (allowed.some((directory) => path.startsWith(join(directory, '/'))))
        return site.read(path);
      const mend = `Put the file below ${site.directory}.`;
      throw new Refused(`${path} lies outside of ${site.directory}`, mend, 0);
    },
  };
}

function readLayer(reading: Reading, path: string, isDemanded: boolean): void {
  const surroundings = surroundingsOf(reading);
  let bytes: Buffer | undefined;
  const wrong = (text: string, mend: string): void => {
    reading.problems.push({ severity: 'error', file: path, line: 1, text, mend });
  };
  try {
    bytes = surroundings.read(path);
  } catch (thrown) {
    if (!(thrown instanceof Refused)) throw thrown;
    wrong(thrown.refusal.reason, thrown.refusal.instead);
    return;
  }
  if (bytes === undefined) {
    if (isDemanded) wrong('it is not there', 'Name a file that is there.');
    return;
  }
  reading.files.push(path);
  const { values, problems } = evaluateFile(path, bytes, variablesOf(reading), surroundings);
  reading.problems.push(...problems);
  for (const value of values) populate(reading, value);
}

/** What the shell of the reference finds in its environment. */
function variablesOf({ site, fqrn, settings }: Reading): Map<string, Variable> {
  const variables = new Map<string, Variable>();
  for (const [name, value] of Object.entries(site.environment))
    if (value !== undefined) variables.set(name, { value: fromText(value) });
  variables.set('CVMFS_FQRN', { value: fqrn });
  for (const [name, { value, origin, unknown }] of settings) {
    const fixed = 'option' in origin ? { fixed: true as const } : { place: origin };
    variables.set(name, { value, ...fixed, ...(unknown && { unknown }) });
  }
  return variables;
}

/** Takes over a value of a file. */
function populate(reading: Reading, { name, value, file, line, unknown }: FileValue): void {
  const before = reading.settings.get(name);
  if (before !== undefined && 'option' in before.origin) return;
  const isFixed = name === 'CVMFS_CONFIG_REPOSITORY' && reading.configRepository !== undefined;
  if (isFixed && value !== (before?.value ?? '')) {
    const text = `${name} is fixed behind default.d: '${shownBytes(value)}' is not heeded`;
    const mend = `Set it in a file of default.d, such as default.d/80-site.conf.`;
    reading.problems.push({ severity: 'warning', file, line, text, mend });
    return;
  }
  const origin = { file, line };
  const isSame =
    before !== undefined &&
    'file' in before.origin &&
    before.origin.file === file &&
    before.origin.line === line;
  const overrode =
    before === undefined
      ? []
      : isSame
        ? before.overrode
        : [{ value: shownBytes(before.value), origin: before.origin }, ...before.overrode];
  const replaced = withTemplates(value, reading.fqrn);
  reading.settings.set(name, { value: replaced, origin, overrode, ...(unknown && { unknown }) });
}
