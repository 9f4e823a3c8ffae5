import { copyFileSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { genuine, hasGenuine } from './genuine.js';

/* The configuration files of real sites, put where they belong. */

export const siteConfigs = genuine('production', 'configs');

/** Below that, in order. */
export const siteFiles = hasGenuine
  ? readdirSync(siteConfigs, { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.(conf|local)$/.test(name))
      .sort()
  : [];

const configRepositories = ['cvmfs-config.cern.ch', 'config-osg.opensciencegrid.org'];

/** The config repository as if it were mounted, with the file to which it has a link. */
export function mountedRepositories(directory: string): string {
  const root = join(directory, 'cvmfs');
  for (const name of configRepositories) {
    cpSync(join(siteConfigs, 'config-repo'), join(root, name), { recursive: true });
    mkdirSync(join(root, name, 'libexec'));
    copyFileSync(
      join(siteConfigs, 'config-repo/etc/cvmfs/osgstorage-auth.conf'),
      join(root, name, 'libexec/osgstorage-auth.conf'),
    );
  }
  return root;
}

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
export function siteDirectory(
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
  const package_ = siteFiles.filter((file) => file.startsWith('reference-mount/'));
  for (const file of package_.filter((file) => !/default\.d\/(10|42)-|debian/.test(file)))
    put(join(siteConfigs, file), relative('reference-mount', file));
  for (const file of siteFiles.filter((file) => dirname(file) === `sites/${site ?? ''}`))
    put(join(siteConfigs, file), placeOf(basename(file)));
  return root;
}

/** Each name that files of the config repository and of the reference configure, one for each domain among them. */
export function configuredNames(): string[] {
  const names = siteFiles.flatMap((file) => {
    const name = basename(file).replace(/\.(conf|local)$/, '');
    if (dirname(file).endsWith('config.d')) return [name];
    return dirname(file).endsWith('domain.d') ? [`example.${name}`] : [];
  });
  return [...new Set(names)];
}

/** A few names of each site: those it lists, and those it has files for. */
export function namesOfSite(directory: string): string[] {
  const text = readFileSync(join(directory, 'default.local'), { encoding: 'utf8', flag: 'a+' });
  const listed = /^CVMFS_REPOSITORIES=["']?([\w.,-]+)/m.exec(text)?.[1]?.split(',') ?? [];
  const own = readdirSync(join(directory, 'config.d')).map((name) =>
    name.replace(/\.(conf|local)$/, ''),
  );
  return [...new Set([...listed.slice(0, 1), ...own, 'atlas.cern.ch'])];
}
