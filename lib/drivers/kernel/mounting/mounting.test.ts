import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { PinfsError } from '../../../format/errors.js';
import { openStore } from '../../../store/open.js';
import type { Store } from '../../../store/store.js';
import { fakeFilesystem, fakeDescriptor } from '../../../testing/fakes/fake-session.js';
import { makeFakeTree } from '../../../testing/fakes/fake-tree.js';
import { memorySource } from '../../../testing/fakes/memory-source.js';
import type { MountRequest } from '../../driver.js';
import { kernelDriver } from '../main/driver.js';
import { deviceFailed, helperFailed, mountFailed } from './mount-errors.js';
import { mountDevice } from './mounting.js';
import { passedDescriptor } from '../../../machine/mountpoint.js';

void t.test('the device may be missing or closed', (t) => {
  const failed = (code: string) => deviceFailed(Object.assign(new Error('open'), { code }));
  t.match(failed('ENOENT'), { code: 'MOUNT_NO_DEVICE', exit: 6, advice: /modprobe fuse/ });
  t.match(failed('ENXIO'), { code: 'MOUNT_NO_DEVICE' });
  t.match(failed('EACCES'), { code: 'MOUNT_NOT_PERMITTED', message: /EACCES/ });
  t.end();
});

void t.test('mount(2) says why it refuses', (t) => {
  t.match(mountFailed('/mnt', 1), { code: 'MOUNT_NOT_PERMITTED', message: /\/mnt.*EPERM/ });
  t.match(mountFailed('/mnt', 19), { code: 'MOUNT_NO_DEVICE', message: /no FUSE/ });
  t.match(mountFailed('/mnt', 22), { code: 'MOUNT_FAILED', message: /EINVAL/ });
  t.match(mountFailed('/mnt', 98765), { code: 'MOUNT_FAILED', message: /98765/ });
  t.end();
});

void t.test('so does fusermount3', (t) => {
  const cases: Record<string, string> = {
    'fusermount3: option allow_other only allowed if ...': 'MOUNT_NOT_PERMITTED',
    'fusermount3: fuse device not found, try modprobe fuse': 'MOUNT_NO_DEVICE',
    'fusermount3: failed to open /dev/fuse: Permission denied': 'MOUNT_NOT_PERMITTED',
    'fusermount3: user has no write access to mountpoint /mnt': 'MOUNT_NOT_PERMITTED',
    'fusermount3: could not determine username': 'MOUNT_NOT_PERMITTED',
    'fusermount3: mount failed: Invalid argument': 'MOUNT_FAILED',
    '': 'MOUNT_FAILED',
  };
  for (const [words, code] of Object.entries(cases)) {
    const error = helperFailed('/mnt', 1, words);
    t.equal(error.code, code, words);
    t.match(error.message, words === '' ? /ended with 1/ : words.slice(0, 40));
  }
  t.end();
});

void t.test('a descriptor that was passed from outside is known by its path', async (t) => {
  t.equal(passedDescriptor('/dev/fd/3'), 3);
  t.equal(passedDescriptor('/dev/fd/3/x'), undefined);
  t.equal(passedDescriptor('/dev/fd/'), undefined);
  t.equal(passedDescriptor('/mnt'), undefined);
  const wish = { source: 'x', allowOther: false, suid: false, dev: false, noExec: false };
  await t.rejects(mountDevice({ ...wish, mountpoint: '/dev/fd/987654' }), {
    code: 'MOUNT_FAILED',
    message: /987654.*EBADF/,
  });
});

const missing = () => Promise.reject(new PinfsError('OBJECT_MISSING', 'there is no such object'));

function request(mountpoint: string, directory: string): MountRequest {
  return {
    mountpoint,
    source: 'http://127.0.0.1/made.example.org',
    descriptor: fakeDescriptor(directory),
    filesystem: fakeFilesystem(makeFakeTree({ children: {} })),
    // Nothing else of it is looked at before the mount.
    store: { directory, fetch: missing, statistics: { limit: 0 } } as unknown as Store,
    lifetime: 'pinned',
    allowOther: false,
    suid: false,
    dev: false,
    deadline: 1000,
    minRate: 1024,
    noXattrs: false,
    log: () => undefined,
  };
}

void t.test('a cache below its own mountpoint would wait for itself', async (t) => {
  const directory = t.testdir({ mnt: {} });
  const mountpoint = join(directory, 'mnt');
  mkdirSync(join(mountpoint, 'cache'));
  symlinkSync(join(mountpoint, 'cache'), join(directory, 'link'));
  for (const cache of [join(mountpoint, 'cache'), mountpoint, join(directory, 'link')]) {
    await t.rejects(kernelDriver.mount(request(mountpoint, cache)), {
      code: 'MOUNTPOINT_UNUSABLE',
      message: /lies below/,
    });
  }
});

void t.test('a mountpoint that is no directory', async (t) => {
  const directory = t.testdir({ file: '', cache: {} });
  const cache = join(directory, 'cache');
  for (const name of ['file', 'none']) {
    await t.rejects(kernelDriver.mount(request(join(directory, name), cache)), {
      code: 'MOUNTPOINT_UNUSABLE',
    });
  }
});

void t.test('a link in the place of the directory that was checked is not followed', async (t) => {
  const directory = t.testdir({ victim: {}, cache: {} });
  const link = join(directory, 'mnt');
  symlinkSync(join(directory, 'victim'), link);
  const refused = { code: 'MOUNTPOINT_UNUSABLE', message: /not the directory that was checked/ };
  await t.rejects(kernelDriver.mount(request(link, join(directory, 'cache'))), refused);
});

void t.test('a snapshot that can not be built ends the attempt and its thread', async (t) => {
  const directory = t.testdir({ mnt: {}, cache: {} });
  const cache = join(directory, 'cache');
  await openStore({ directory: cache, limit: 2 ** 20, source: memorySource() }).close();
  const attempt = kernelDriver.mount(request(join(directory, 'mnt'), cache));
  await t.rejects(attempt, { code: 'OBJECT_MISSING' });
});
