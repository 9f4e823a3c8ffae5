import { readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import t from 'tap';
import { file, makeRepository } from '../lib/publish/write-repository.js';
import { serve } from '../lib/source/serve.js';
import { hasGenuine, needsGenuine } from '../lib/testing/genuine.js';
import { mountedRepositories, siteConfigs, siteDirectory } from '../lib/testing/site-files.js';
import { needsMount } from './machine.js';
import { scene } from './scene.js';

// What lies in /etc/cvmfs at real sites, with other servers in the place of theirs: mounts come up.

const fqrn = 'cms.cern.ch';
const needs = { ...needsGenuine, ...needsMount, timeout: 240_000 };

t.test('a mount by its name comes up with the files of each site', needs, async (t) => {
  const place = scene(t, 'kernel');
  const { work } = place;
  const made = makeRepository({
    fqrn,
    revisions: [
      { tree: { hello: file('one\n') }, tags: { first: '' } },
      { tree: { hello: file('two\n') } },
    ],
  });
  made.writeTo(join(work, 'servers'));
  writeFileSync(join(work, 'k.pub'), made.masterKey);
  // In this process: nothing here may read a mount synchronously.
  const server = await serve(join(work, 'servers'));
  t.teardown(() => server.close());
  const mountDirectory = mountedRepositories(work);
  const set = [
    `CVMFS_SERVER_URL=${server.url}/@fqrn@`,
    `CVMFS_PUBLIC_KEY=${join(work, 'k.pub')}`,
    'CVMFS_HTTP_PROXY=DIRECT',
    'CVMFS_FALLBACK_PROXY=',
  ].flatMap((text) => ['--set', text]);
  for (const site of sites()) {
    const directory = siteDirectory(dirname(mountDirectory), mountDirectory, site);
    const args = ['--config', directory, ...set];
    const mountpoint = await place.mount({ source: `${fqrn}@first`, at: site, args });
    t.equal(await readFile(join(mountpoint, 'hello'), 'utf8'), 'one\n', site);
    const verdict = (await place.status(mountpoint))?.status?.verdict;
    t.equal(verdict?.status, 'verified', site);
    t.match(verdict?.summary, `; ${fqrn} is ${server.url}/${fqrn} (--set)`, site);
    await place.umount(mountpoint);
  }
});

/** Every third: a mount takes its time, and oracle-sites.test.ts reads them all. */
function sites(): string[] {
  const all = hasGenuine ? readdirSync(join(siteConfigs, 'sites')).sort() : [];
  return all.filter((_, index) => index % 3 === 1);
}
