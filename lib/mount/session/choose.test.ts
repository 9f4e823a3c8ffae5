import t from 'tap';
import type { Driver } from '../../drivers/driver.js';
import { PinfsError, type ErrorCode } from '../../format/errors.js';
import { stubDriver } from '../../testing/fakes/stub-mount.js';
import { driverLoaders, mountWith, prepareDriver, type DriverLoader } from './choose.js';

function loader(name: Driver['name'], problem?: Error): DriverLoader {
  return {
    name,
    load: () =>
      problem === undefined ? Promise.resolve(stubDriver(name)) : Promise.reject(problem),
  };
}

const attempt = (driver: Driver) => Promise.resolve(`mounted by ${driver.name}`);

void t.test('auto takes the kernel driver where it works', async (t) => {
  const loaders = [loader('kernel'), loader('fuse-native')];
  const { driver } = await mountWith('auto', loaders, attempt, () => undefined);
  t.equal(driver.name, 'kernel');
});

void t.test('auto goes on to fuse-native, and says why', async (t) => {
  const lines: string[] = [];
  const loaders = [loader('kernel', new Error('no koffi')), loader('fuse-native')];
  const { mounted } = await mountWith('auto', loaders, attempt, (line) => lines.push(line));
  t.equal(mounted, 'mounted by fuse-native');
  t.match(lines, [/kernel driver/]);
});

void t.test('a driver that was asked for by name is not replaced', async (t) => {
  const loaders = [loader('kernel', new Error('no koffi')), loader('fuse-native')];
  await t.rejects(
    mountWith('kernel', loaders, attempt, () => undefined),
    {
      code: 'MOUNT_NO_LIBRARY',
    },
  );
});

void t.test('when none works, the reason of the best one is the error', async (t) => {
  const failing = (code: ErrorCode) => Promise.reject(new PinfsError(code, code));
  const tried: string[] = [];
  const loaders = [loader('kernel'), loader('fuse-native')];
  const mounting = mountWith(
    'auto',
    loaders,
    (driver) => {
      tried.push(driver.name);
      return failing(driver.name === 'kernel' ? 'MOUNT_NOT_PERMITTED' : 'MOUNT_NO_LIBRARY');
    },
    () => undefined,
  );
  await t.rejects(mounting, { code: 'MOUNT_NOT_PERMITTED' });
  t.same(tried, ['kernel', 'fuse-native']);
});

void t.test('a mountpoint that can’t be used is not tried twice', async (t) => {
  let tried = 0;
  const loaders = [loader('kernel'), loader('fuse-native')];
  const mounting = mountWith(
    'auto',
    loaders,
    () => {
      tried += 1;
      return Promise.reject(new PinfsError('MOUNTPOINT_UNUSABLE', 'no'));
    },
    () => undefined,
  );
  await t.rejects(mounting, { code: 'MOUNTPOINT_UNUSABLE' });
  t.equal(tried, 1);
});

void t.test(
  'the likely driver may prepare, and what fails there is not heard of yet',
  async (t) => {
    let prepared = 0;
    const driver: Driver = { ...stubDriver(), prepare: () => (prepared += 1) };
    const loaders = [
      { name: driver.name, load: () => Promise.resolve(driver) },
      loader('fuse-native', new Error('not to be loaded')),
    ];
    await prepareDriver('auto', loaders);
    await prepareDriver('kernel', loaders);
    t.equal(prepared, 2);
    await t.resolves(prepareDriver('fuse-native', loaders));
    await t.resolves(prepareDriver('kernel', []));
  },
);

void t.test('the kernel driver is for Linux only', async (t) => {
  t.same(
    driverLoaders('linux').map(({ name }) => name),
    ['kernel', 'fuse-native'],
  );
  t.same(
    driverLoaders('darwin').map(({ name }) => name),
    ['fuse-native'],
  );
  await t.rejects(
    mountWith('kernel', driverLoaders('darwin'), attempt, () => undefined),
    { code: 'USAGE' },
  );
});
