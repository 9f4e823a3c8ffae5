import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import t from 'tap';
import { needsGenuine } from '../testing/genuine.js';
import { askShell, hasShells } from '../testing/shell-oracle.js';
import { mountedRepositories, siteConfigs, siteFiles } from '../testing/site-files.js';
import { evaluateFile, type EvaluatedFile } from './file.js';
import { localSite } from './local-site.js';

const skipped = hasShells
  ? { ...needsGenuine, timeout: 200_000 }
  : { skip: 'bash and dash are not both here' };

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

const surroundings = [
  { random: 6 },
  { random: 7, CVMFS_USE_CDN: 'yes' },
  { random: 6, CVMFS_HTTP_PROXY: 'DIRECT', CVMFS_CLIENT_PROFILE: 'single' },
] as const;

t.test('each file is what bash makes of it, value for value', skipped, (t) => {
  const mountDirectory = mountedRepositories(t.testdir());
  t.equal(siteFiles.length, 63);
  const refusedIn = new Set<string>();
  const differing = new Set<string>();
  for (const file of siteFiles) {
    const path = file.startsWith('config-repo/')
      ? join(mountDirectory, 'cvmfs-config.cern.ch', relative('config-repo', file))
      : join(siteConfigs, file);
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
