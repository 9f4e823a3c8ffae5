import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import t, { type Test } from 'tap';
import { genuine, hasGenuine, needsGenuine } from '../testing/genuine.js';
import { askShell, askSite, hasShells } from '../testing/shell-oracle.js';
import type { Configuration } from './configuration.js';
import { evaluateFile, type EvaluatedFile } from './file.js';
import { evaluateSite } from './layers.js';
import { localSite } from './local-site.js';

const configs = genuine('production', 'configs');
const skipped = hasShells
  ? { ...needsGenuine, timeout: 200_000 }
  : { skip: 'bash and dash are not both here' };

const files = hasGenuine
  ? readdirSync(configs, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(conf|local)$/.test(name))
      .sort()
  : [];

/** The only files with a line that is not understood, and the names that count as not set for it. */
const refusedFiles: Readonly<Record<string, readonly string[]>> = {
  // A grep in an if.
  'reference-mount/default.d/50-cern-debian.conf': ['CVMFS_CONFIG_REPOSITORY'],
  // Each puts a list together from what commands print.
  'sites/caltech-t2-2024/default.local': ['CVMFS_REPOSITORIES'],
  'sites/ihep-faser-2022/default.local': ['CVMFS_REPOSITORIES'],
};

/** What dash reads otherwise than bash: it has no `source`, and takes `$((` for a calculation in any case. */
const dashDiffers = [
  'config-repo/etc/cvmfs/config.d/cms.osgstorage.org.conf',
  'sites/caltech-t2-2024/default.local',
  'sites/ihep-faser-2022/default.local',
];

const configRepositories = ['cvmfs-config.cern.ch', 'config-osg.opensciencegrid.org'];

/** The config repository as if it were mounted, with the file to which it has a link. */
function mountedRepositories(directory: string): string {
  const root = join(directory, 'cvmfs');
  for (const name of configRepositories) {
    cpSync(join(configs, 'config-repo'), join(root, name), { recursive: true });
    mkdirSync(join(root, name, 'libexec'));
    copyFileSync(
      join(configs, 'config-repo/etc/cvmfs/osgstorage-auth.conf'),
      join(root, name, 'libexec/osgstorage-auth.conf'),
    );
  }
  return root;
}

const surroundings = [
  { random: 6 },
  { random: 7, CVMFS_USE_CDN: 'yes' },
  { random: 6, CVMFS_HTTP_PROXY: 'DIRECT', CVMFS_CLIENT_PROFILE: 'single' },
] as const;

t.test('each file is what bash makes of it, value for value', skipped, (t) => {
  const mountDirectory = mountedRepositories(t.testdir());
  t.equal(files.length, 63);
  const refusedIn = new Set<string>();
  const differing = new Set<string>();
  for (const file of files) {
    const path = file.startsWith('config-repo/')
      ? join(mountDirectory, 'cvmfs-config.cern.ch', relative('config-repo', file))
      : join(configs, file);
    for (const { random, ...given } of surroundings) {
      const environment: Record<string, string> = {
        PATH: process.env['PATH'] ?? '',
        CVMFS_MOUNT_DIR: mountDirectory,
        CVMFS_CONFIG_REPOSITORY: 'cvmfs-config.cern.ch',
        ...given,
      };
      const evaluated = (processId: number): EvaluatedFile => {
        const before = new Map(
          Object.entries(environment).map(([name, value]) => [name, { value }]),
        );
        const around = { ...localSite('/', {}), random: () => random, processId };
        return evaluateFile(path, readFileSync(path), before, around);
      };
      const bash = askShell('bash', path, environment, random);
      const found = evaluated(bash.processId);
      if (found.problems.length > 0) refusedIn.add(file);
      const unknown = found.values.filter((one) => one.unknown !== undefined);
      const refused = unknown.map(({ name }) => name);
      t.same(refused, refusedFiles[file] ?? [], `${file}: what is refused`);
      const isRefused = (name: string): boolean => refused.includes(name);
      const known = [...bash.values].filter(([name]) => !isRefused(name));
      const ours = found.values.filter(({ name }) => !isRefused(name));
      const valuesOf = ({ values }: EvaluatedFile): Map<string, string> =>
        new Map(values.map(({ name, value }) => [name, value]));
      t.same(new Map(ours.map(({ name, value }) => [name, value])), new Map(known), file);
      const dash = askShell('dash', path, environment, random);
      const asDash = valuesOf(evaluated(dash.processId));
      if ([...dash.values].some(([name, value]) => !isRefused(name) && asDash.get(name) !== value))
        differing.add(file);
    }
  }
  t.same([...refusedIn].sort(), Object.keys(refusedFiles).sort(), 'files with refused lines');
  t.same([...differing], dashDiffers, 'files that dash reads otherwise');
  t.end();
});

/** Where a file of a site belongs. */
function placeOf(name: string): string {
  if (name === 'default.conf' || name === 'default.local') return name;
  if (/^\d\d-/.test(name)) return join('default.d', name);
  return join(
    name.replace(/\.(conf|local)$/, '').split('.').length > 2 ? 'config.d' : 'domain.d',
    name,
  );
}

/** /etc/cvmfs as the reference's package makes it, with the files of one site. */
function siteDirectory(
  directory: string,
  mountDirectory: string,
  site: string | undefined,
): string {
  const root = join(directory, `etc-${site ?? 'none'}`);
  for (const folder of ['default.d', 'domain.d', 'config.d'])
    mkdirSync(join(root, folder), { recursive: true });
  const put = (from: string, to: string): void => {
    // Read-only in the reference's file, and to be found where the config repository lies here.
    const text = readFileSync(from, 'latin1').replaceAll(
      'MOUNT_DIR=/cvmfs',
      `MOUNT_DIR=${mountDirectory}`,
    );
    mkdirSync(dirname(join(root, to)), { recursive: true });
    writeFileSync(join(root, to), text, 'latin1');
  };
  const package_ = files.filter((file) => file.startsWith('reference-mount/'));
  for (const file of package_.filter((file) => !/default\.d\/(10|42)-|debian/.test(file)))
    put(join(configs, file), relative('reference-mount', file));
  for (const file of files.filter((file) => dirname(file) === `sites/${site ?? ''}`))
    put(join(configs, file), placeOf(basename(file)));
  return root;
}

/** Each name that files of the config repository and of the reference configure, one for each domain among them. */
function configured(): string[] {
  const names = files.flatMap((file) => {
    const name = basename(file).replace(/\.(conf|local)$/, '');
    if (dirname(file).endsWith('config.d')) return [name];
    return dirname(file).endsWith('domain.d') ? [`example.${name}`] : [];
  });
  return [...new Set(names)];
}

t.test('a whole site is what bash makes of it, for each name that it configures', skipped, (t) => {
  const mountDirectory = mountedRepositories(t.testdir());
  const sites = [undefined, ...readdirSync(join(configs, 'sites')).sort()];
  for (const site of sites) {
    const directory = siteDirectory(dirname(mountDirectory), mountDirectory, site);
    const names = site === undefined ? configured() : namesOfSite(directory);
    for (const fqrn of names) {
      const wanted = askSite('bash', fqrn, { directory, mountDirectory }, 7);
      const found = evaluateSite(fqrn, {
        ...localSite(directory, {}),
        random: () => 7,
        // Half of the processes of bash have an odd number: such a one is taken below.
        processId: 7,
        repositoryFiles: {
          read: (repository, path) => readIfThere(join(mountDirectory, repository, path)),
          look: () => undefined,
        },
      });
      compare(t, found, wanted, `${site ?? 'no site'}: ${fqrn}`);
    }
  }
  t.end();
});

function readIfThere(path: string): Buffer | undefined {
  return localSite('/', {}).read(path);
}

/** A few names of each site: those it lists, and those it has files for. */
function namesOfSite(directory: string): string[] {
  const text = readFileSync(join(directory, 'default.local'), { encoding: 'utf8', flag: 'a+' });
  const listed = /^CVMFS_REPOSITORIES=["']?([\w.,-]+)/m.exec(text)?.[1]?.split(',') ?? [];
  const own = readdirSync(join(directory, 'config.d')).map((name) =>
    name.replace(/\.(conf|local)$/, ''),
  );
  return [...new Set([...listed.slice(0, 1), ...own, 'atlas.cern.ch'])].filter(
    // Its values depend on the number of the process.
    (name) => name !== 'config-osg.opensciencegrid.org',
  );
}

function compare(
  t: Test,
  found: Configuration,
  wanted: ReadonlyMap<string, string>,
  title: string,
): void {
  const unknown = [...found.settings.values()].filter((one) => one.unknown !== undefined);
  for (const { name } of unknown) t.equal(name, 'CVMFS_REPOSITORIES', title);
  const known = [...wanted].filter(([name]) => !unknown.some((one) => one.name === name));
  t.same(
    new Map(known.map(([name]) => [name, found.settings.get(name)?.value])),
    new Map(known),
    title,
  );
  t.equal(found.settings.size, wanted.size, `${title}: names`);
}
