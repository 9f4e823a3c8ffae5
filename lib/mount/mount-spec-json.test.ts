import t from 'tap';
import { mountOptions } from './options.js';
import { readMountSpec } from './mount-spec-json.js';
import type { MountSpec } from './mount-spec.js';

const least: MountSpec = {
  options: { source: '/repo' },
  mount: mountOptions({ mountpoint: '/mnt' }),
};

const most: MountSpec = {
  options: {
    ...least.options,
    keys: ['/a', '/b'],
    cache: '/c',
    cacheLimit: 1e9,
    offline: true,
    deadline: 1500,
    inodes: 32,
    site: {
      note: 'x',
      pinNote: 'y',
      network: { geo: true, dnsServer: '192.0.2.1', dnsMinTtl: 5, ipFamily: 4, maxServers: 2 },
      shown: { uidMap: '/u', gidMap: '/g', worldReadable: true },
      blacklist: '/b',
      maxTtl: 60,
    },
  },
  mount: {
    ...least.mount,
    driver: 'kernel',
    passthrough: true,
    log: '/log',
    place: 5,
    fsname: 'x',
    ownPlace: true,
    idle: 900_000,
    noExec: true,
    protectedXattrs: { names: ['user.a'], gids: [1] },
  },
};

void t.test('a mount spec is read as it was written', (t) => {
  for (const spec of [least, most, { ...least, others: [most, least] }])
    t.same(readMountSpec(JSON.parse(JSON.stringify(spec))), spec);
  t.end();
});

void t.test('what is no mount spec is not taken for one', (t) => {
  const { options, mount } = least;
  for (const wrong of [
    undefined,
    {},
    { options },
    { options: {}, mount },
    { options: { ...options, keys: '/a' }, mount },
    { options: { ...options, keys: [1] }, mount },
    { options: { ...options, cacheLimit: '1G' }, mount },
    { options: { ...options, inodes: 64 }, mount },
    { options, mount: { ...mount, driver: 'none' } },
    { options, mount: { ...mount, driver: undefined } },
    { options, mount: { ...mount, suid: 'yes' } },
    { options, mount: { ...mount, place: -1 } },
    { options, mount: { ...mount, protectedXattrs: { names: ['user.a'] } } },
  ]) {
    t.equal(readMountSpec(wrong), undefined, JSON.stringify(wrong));
  }
  t.end();
});
