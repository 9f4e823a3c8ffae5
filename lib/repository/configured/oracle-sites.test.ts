import { dirname } from 'node:path';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { needsGenuine } from '../../testing/genuine.js';
import { askSite, hasShells } from '../../testing/shell-oracle.js';
import {
  configuredNames,
  mountedRepositories,
  namesOfSite,
  siteConfigs,
  siteDirectory,
} from '../../testing/site-files.js';
import { siteConfiguration } from './check-site.js';

const skipped = hasShells
  ? { ...needsGenuine, timeout: 200_000 }
  : { skip: 'bash and dash are not both here' };

t.test(
  'a whole site is what bash makes of it, for each name that it configures',
  skipped,
  async (t) => {
    const mountDirectory = mountedRepositories(t.testdir());
    const work = dirname(mountDirectory);
    let draws = 0;
    for (const site of [undefined, ...readdirSync(join(siteConfigs, 'sites')).sort()]) {
      const directory = siteDirectory(work, mountDirectory, site);
      for (const fqrn of site === undefined ? configuredNames() : namesOfSite(directory)) {
        const title = `${site ?? 'no site'}: ${fqrn}`;
        const warnings: string[] = [];
        // Each name has the files' dice fall to one side or the other, as bash has.
        const random = 6 + (draws++ % 2);
        const environment = {
          variables: {},
          now: () => new Date(),
          random: () => random,
          report: ({ message }: Error) => warnings.push(message),
        };
        // The config repository of 2026 can't be had: its files are where another client would have mounted it.
        const options = {
          source: '',
          config: directory,
          cache: join(work, 'cache'),
          offline: true,
        };
        const { settings } = await siteConfiguration(fqrn, options, environment);
        const unknown = [...settings.values()].filter((one) => one.unknown !== undefined);
        for (const { name } of unknown) t.equal(name, 'CVMFS_REPOSITORIES', title);
        const wanted = askSite('bash', fqrn, { directory, mountDirectory }, random);
        for (const [name, value] of wanted) {
          if (unknown.some((one) => one.name === name)) continue;
          if (settings.get(name)?.value !== value)
            t.equal(settings.get(name)?.value, value, `${title}: ${name}`);
        }
        t.equal(settings.size, wanted.size, `${title}: names`);
        t.match(
          warnings.slice(0, 1),
          [/config repository .* can't be verified/].slice(0, warnings.length),
          title,
        );
      }
    }
  },
);
