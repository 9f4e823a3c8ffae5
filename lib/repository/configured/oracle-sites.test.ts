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
    for (const site of [undefined, ...readdirSync(join(siteConfigs, 'sites')).sort()]) {
      const directory = siteDirectory(work, mountDirectory, site);
      for (const fqrn of site === undefined ? configuredNames() : namesOfSite(directory)) {
        const title = `${site ?? 'no site'}: ${fqrn}`;
        const warnings: string[] = [];
        const environment = {
          variables: {},
          now: () => new Date(),
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
        const [even, odd] = [6, 7].map((random) =>
          askSite('bash', fqrn, { directory, mountDirectory }, random),
        );
        for (const [name, value] of even ?? []) {
          if (unknown.some((one) => one.name === name)) continue;
          // One of its two orders is drawn by $RANDOM.
          const wanted = [value, odd?.get(name)];
          if (!wanted.includes(settings.get(name)?.value))
            t.equal(settings.get(name)?.value, value, `${title}: ${name}`);
        }
        t.equal(settings.size, even?.size, `${title}: names`);
        t.match(
          warnings.slice(0, 1),
          [/config repository .* can't be verified/].slice(0, warnings.length),
          title,
        );
      }
    }
  },
);
