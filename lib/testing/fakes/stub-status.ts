import type { ListedMount } from '../../mount/list.js';
import { mountStatus } from '../../mount/session/status.js';
import { stubRepository } from './stub-mount.js';

/** What `pinfs status` could have heard of a mount, with these figures. */
export function stubMountStatus(figures: {
  readonly hits: number;
  readonly misses: number;
  /** That came from the network. */
  readonly bytes: number;
  readonly requests: number;
}): ListedMount {
  const { hits, misses, bytes, requests } = figures;
  const status = mountStatus({
    ...{ state: 'running', mountpoint: '/mnt/a', since: '2020-01-01T00:00:00.000Z' },
    ...{ driver: 'kernel', device: '0:40', repository: stubRepository(), head: null },
    ...{ previous: [], log: null },
    statistics: { requests: { READ: requests }, errors: { OBJECT_MISSING: 1 }, notCarried: 0 },
  });
  return {
    ...{ mountpoint: '/mnt/a', state: 'running', pid: 1, since: null, source: status.source },
    status: {
      ...status,
      store: { ...status.store, hits, misses, hitRate: hits / (hits + misses) },
      traffic: { ...status.traffic, bytes },
    },
  };
}
