import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isTrusted, othersMayWrite } from '../../files/owners.js';
import { localSite } from '../../configuration/local-site.js';
import type { ConfigRepository } from './config-repository.js';

/**
 * The config repository as another client has mounted it, where the reference reads it as well; undefined: nothing of
 * ours or root's lies there.
 */
export function mountedRepository(root: string, fqrn: string): ConfigRepository | undefined {
  const status = statSync(join(root, 'etc/cvmfs'), { throwIfNoEntry: false });
  if (status?.isDirectory() !== true || !isTrusted(status) || othersMayWrite(status))
    return undefined;
  const local = localSite(root, {});
  const loaded: ConfigRepository['loaded'] = (path) => {
    const place = join(root, path);
    const facts = local.look(place);
    if (facts === undefined) return {};
    if (facts.kind === 'directory') return { facts, names: local.list(place) };
    const bytes = local.read(place);
    return bytes === undefined ? { facts } : { facts, bytes };
  };
  return {
    fqrn,
    loaded,
    load: (path) => Promise.resolve(loaded(path)),
    close: () => Promise.resolve(),
  };
}
